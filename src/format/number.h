/* Numbers in weight files: what can be loaded, conversion in chunks, and the search for values
 * that no weight may have. */
#ifndef ML_FORMAT_NUMBER_H
#define ML_FORMAT_NUMBER_H

#include <stdint.h>

#include "kernel/table.h"

/* Number formats that load. Everything else in a file is listed only. */
enum ml_number {
    ML_NUMBER_OTHER,
    ML_NUMBER_F32,
    ML_NUMBER_BF16,
    ML_NUMBER_F16,
    ML_NUMBER_I32,
    ML_NUMBER_F64,
};

enum ml_number ml_number_of(enum ml_dtype dtype);
int ml_number_bytes(enum ml_number number); /* 0 for ML_NUMBER_OTHER */

/* One conversion of n numbers. `from` may have any alignment, `to` is aligned to its element.
 * Floats convert to floats, I32 only to I32 (see ml_number_fits). */
struct ml_conversion {
    enum ml_number from_number;
    const void *from;
    enum ml_dtype to_dtype;
    void *to;
    int64_t n;
};
int ml_number_fits(enum ml_number from, enum ml_dtype to); /* 1 when ml_convert can do it */

/* Rounds to nearest, ties to even. Returns -1, or the index of the first finite number that became
 * infinite because `to` cannot hold it (the whole conversion is done all the same). */
int64_t ml_convert(const struct ml_kernels *kernels, const struct ml_conversion *conversion);

/* Index of the first NaN or infinity, -1 when there is none (always for I32 and OTHER). */
int64_t ml_number_find_nonfinite(enum ml_number number, const void *data, int64_t n);
double ml_number_get(enum ml_number number, const void *data, int64_t index);

#endif
