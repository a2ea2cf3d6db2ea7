/* Random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * SC'11). Counter-based: the state is three integers, so it is saved and resumed exactly, and any
 * index of a stream can be drawn without the ones before it (which keeps results equal for any
 * number of threads). */
#ifndef ML_BASE_RNG_H
#define ML_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct ml_rng {
    uint64_t seed;
    uint64_t stream;  /* independent sequences under one seed */
    uint64_t counter; /* how many 32-bit numbers were drawn */
};

/* The four 32-bit numbers of block `block` of (seed, stream). */
void ml_rng_block(uint64_t seed, uint64_t stream, uint64_t block, uint32_t out[4]);

void ml_rng_init(struct ml_rng *rng, uint64_t seed, uint64_t stream);
uint32_t ml_rng_u32(struct ml_rng *rng);
uint64_t ml_rng_u64(struct ml_rng *rng);
uint64_t ml_rng_below(struct ml_rng *rng, uint64_t n); /* uniform in [0, n), n > 0, unbiased */
double ml_rng_double(struct ml_rng *rng);              /* uniform in [0, 1), 53 bits */
float ml_rng_normal(struct ml_rng *rng);               /* mean 0, variance 1 (Box-Muller) */
void ml_rng_shuffle(struct ml_rng *rng, uint32_t *items, size_t n); /* Fisher-Yates */

#endif
