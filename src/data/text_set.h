/* Which texts were there before: a set of 64-bit prefixes of their SHA-256, which tell a billion
 * texts apart but for one chance in some thirty. */
#ifndef ML_DATA_TEXT_SET_H
#define ML_DATA_TEXT_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "maliang/error.h"

/* Zero-initialise. */
struct ml_text_set {
    uint64_t *slots; /* open addressing; 0 is free */
    uint64_t size, count;
};
/* *before: it was in it already. */
int ml_text_set_add(struct ml_text_set *set, uint64_t key, bool *before, struct ml_error *err);
bool ml_text_set_has(const struct ml_text_set *set, uint64_t key);
void ml_text_set_clear(struct ml_text_set *set); /* accepts NULL */

#endif
