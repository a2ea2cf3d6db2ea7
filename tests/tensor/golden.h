/* Golden numbers, made by tools/golden/ with PyTorch. A file is "MLGOLD01", u32 count, then for
 * each entry: u32 length and name, u32 ndim, i64 dims, f32 numbers; all little-endian. */
#ifndef ML_TESTS_GOLDEN_H
#define ML_TESTS_GOLDEN_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/tensor.h"

struct golden_entry {
    char name[64];
    int ndim;
    int64_t dim[ML_MAX_DIMS];
    int64_t count;
    const float *data;
};

struct golden {
    char *bytes; /* the file */
    int count;
    struct golden_entry *entries;
};

/* Reads GOLDEN_DIR/name; ends the test when it cannot. */
void golden_open(struct golden *golden, const char *name);
void golden_close(struct golden *golden);
/* The entry called "prefix.name" (or `name` where prefix is NULL); ends the test when absent. */
const struct golden_entry *golden_get(const struct golden *golden, const char *prefix,
                                      const char *name);
/* The same or NULL. */
const struct golden_entry *golden_find(const struct golden *golden, const char *prefix,
                                       const char *name);
/* |ours - golden| <= tolerance everywhere and n numbers on both sides; else ends the test and says
 * where. */
void golden_check(const struct golden_entry *entry, const float *ours, int64_t n, double tolerance);

#endif
