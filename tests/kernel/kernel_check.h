/* What the kernel tests share: the tables to test, guarded buffers, numbers to feed, and how two
 * results are compared. */
#ifndef ML_TESTS_KERNEL_CHECK_H
#define ML_TESTS_KERNEL_CHECK_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/rng.h"
#include "kernel/table.h"

/* The plain table, and in turn every better one that this processor has. */
struct tables {
    struct ml_kernels ref, variant[ML_ISA_COUNT];
    int variants;
};

static inline void tables_init(struct tables *t)
{
    ml_kernels_init(&t->ref, ML_ISA_REF);
    t->variants = 0;
    for (int isa = ML_ISA_REF + 1; isa <= (int)ml_isa_detect(); isa++)
        if (ml_isa_built((enum ml_isa)isa))
            ml_kernels_init(&t->variant[t->variants++], (enum ml_isa)isa);
}

#define GUARD 64 /* bytes before and after */

/* n bytes between guard bands, `skew` bytes off a 64-byte border. */
struct guarded {
    unsigned char *block, *data;
    size_t n;
};

static inline void *guarded_new(struct guarded *g, size_t n, size_t skew)
{
    g->block = ml_mem_alloc(n + 3 * GUARD);
    assert_non_null(g->block);
    memset(g->block, 0xa5, n + 3 * GUARD);
    g->data = g->block + GUARD + skew % GUARD;
    g->n = n;
    return g->data;
}

static inline void guarded_free(struct guarded *g)
{
    for (unsigned char *p = g->block; p < g->block + g->n + 3 * GUARD; p++)
        if (p < g->data || p >= g->data + g->n)
            assert_int_equal(*p, 0xa5);
    ml_mem_free(g->block);
}

/* Sizes worth trying: every tail of every width, some blocks, something long. */
static inline int64_t test_size(int i)
{
    static const int64_t large[] = {96, 127, 255, 1000, 4099};
    return i <= 67 ? i : large[i - 68];
}

#define TEST_SIZES 73

static inline void fill_normal(struct ml_rng *rng, float *x, int64_t n, float scale)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = scale * ml_rng_normal(rng);
}

/* Equal, both NaN, or within absolute + relative * |want|. */
static inline int close_to(float got, float want, double relative, double absolute)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    if (isinf(want) || isinf(got))
        return got == want;
    return fabs((double)got - want) <= absolute + relative * fabs((double)want);
}

static inline void assert_close(const char *what, const float *got, const float *want, int64_t n,
                                double relative, double absolute)
{
    for (int64_t i = 0; i < n; i++)
        if (!close_to(got[i], want[i], relative, absolute))
            fail_msg("%s: n %lld, at %lld: got %.9g, want %.9g", what, (long long)n, (long long)i,
                     (double)got[i], (double)want[i]);
}

#endif
