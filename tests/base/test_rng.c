#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "base/rng.h"

/* Known answers of philox4x32-10, published with the paper's code (Random123, kat_vectors). */
static void philox_gives_the_published_answers(void **state)
{
    static const struct {
        uint32_t counter[4], key[2], answer[4];
    } rows[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const uint32_t *c = rows[i].counter, *k = rows[i].key;
        uint32_t out[4];
        ml_rng_block(k[0] | (uint64_t)k[1] << 32, c[2] | (uint64_t)c[3] << 32,
                     c[0] | (uint64_t)c[1] << 32, out);
        for (int j = 0; j < 4; j++)
            assert_int_equal(out[j], rows[i].answer[j]);
    }
}

static void a_stream_is_its_blocks_in_order(void **state)
{
    struct ml_rng rng;
    ml_rng_init(&rng, 7, 9);
    for (uint64_t block = 0; block < 10; block++) {
        uint32_t out[4];
        ml_rng_block(7, 9, block, out);
        for (int i = 0; i < 4; i++)
            assert_int_equal(ml_rng_u32(&rng), out[i]);
    }
    assert_int_equal(rng.counter, 40);
}

static void wide_draws_straddle_blocks(void **state)
{
    struct ml_rng narrow, wide;
    ml_rng_init(&narrow, 1, 2);
    ml_rng_init(&wide, 1, 2);
    ml_rng_u32(&narrow);
    ml_rng_u32(&wide);
    for (int i = 0; i < 9; i++) {
        uint64_t low = ml_rng_u32(&narrow), high = ml_rng_u32(&narrow);
        assert_true(ml_rng_u64(&wide) == (low | high << 32));
    }
}

static void a_saved_state_goes_on_exactly(void **state)
{
    struct ml_rng rng, saved;
    ml_rng_init(&rng, 42, 0);
    for (int i = 0; i < 13; i++)
        ml_rng_normal(&rng);
    ml_rng_u32(&rng);
    saved = rng;
    for (int i = 0; i < 100; i++)
        assert_true(ml_rng_double(&rng) == ml_rng_double(&saved));
}

static void seeds_and_streams_differ(void **state)
{
    struct ml_rng a, b, c;
    ml_rng_init(&a, 1, 0);
    ml_rng_init(&b, 2, 0);
    ml_rng_init(&c, 1, 1);
    uint64_t x = ml_rng_u64(&a), y = ml_rng_u64(&b), z = ml_rng_u64(&c);
    assert_true(x != y && y != z && x != z);
}

static void below_is_even(void **state)
{
    struct ml_rng rng;
    int counts[6] = {0};
    ml_rng_init(&rng, 3, 0);
    for (int i = 0; i < 60000; i++)
        counts[ml_rng_below(&rng, 6)]++;
    double chi = 0; /* 5 degrees of freedom: above 20.5 once in a thousand seeds */
    for (int i = 0; i < 6; i++)
        chi += (counts[i] - 10000.0) * (counts[i] - 10000.0) / 10000.0;
    assert_true(chi < 20.5);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(ml_rng_below(&rng, 1), 0);
        assert_true(ml_rng_below(&rng, UINT64_MAX) < UINT64_MAX);
        assert_true(ml_rng_below(&rng, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
    }
}

static void doubles_fill_the_unit_interval(void **state)
{
    struct ml_rng rng;
    double sum = 0, low = 1, high = 0;
    ml_rng_init(&rng, 4, 0);
    for (int i = 0; i < 100000; i++) {
        double x = ml_rng_double(&rng);
        assert_true(x >= 0 && x < 1);
        sum += x;
        low = x < low ? x : low;
        high = x > high ? x : high;
    }
    assert_true(fabs(sum / 100000 - 0.5) < 0.005);
    assert_true(low < 1e-3 && high > 1 - 1e-3);
}

static void normals_have_the_moments_of_a_normal(void **state)
{
    struct ml_rng rng;
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
    int n = 100000;
    ml_rng_init(&rng, 5, 0);
    for (int i = 0; i < n; i++) {
        double x = ml_rng_normal(&rng);
        assert_true(isfinite(x) && fabs(x) < 6.8);
        m1 += x / n;
        m2 += x * x / n;
        m3 += x * x * x / n;
        m4 += x * x * x * x / n;
    }
    assert_true(fabs(m1) < 0.02 && fabs(m2 - 1) < 0.03);
    assert_true(fabs(m3) < 0.06 && fabs(m4 - 3) < 0.15);
}

static void a_shuffle_is_a_permutation_and_repeats(void **state)
{
    uint32_t items[100], again[100], seen[100] = {0};
    struct ml_rng rng, same;
    for (uint32_t i = 0; i < 100; i++)
        items[i] = again[i] = i;
    ml_rng_init(&rng, 6, 0);
    ml_rng_init(&same, 6, 0);
    ml_rng_shuffle(&rng, items, 100);
    ml_rng_shuffle(&same, again, 100);
    assert_memory_equal(items, again, sizeof items);
    int moved = 0;
    for (uint32_t i = 0; i < 100; i++) {
        seen[items[i]]++;
        moved += items[i] != i;
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(seen[i], 1);
    assert_true(moved > 80);
    ml_rng_shuffle(&rng, items, 0);
    ml_rng_shuffle(&rng, items, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_answers),
        cmocka_unit_test(a_stream_is_its_blocks_in_order),
        cmocka_unit_test(wide_draws_straddle_blocks),
        cmocka_unit_test(a_saved_state_goes_on_exactly),
        cmocka_unit_test(seeds_and_streams_differ),
        cmocka_unit_test(below_is_even),
        cmocka_unit_test(doubles_fill_the_unit_interval),
        cmocka_unit_test(normals_have_the_moments_of_a_normal),
        cmocka_unit_test(a_shuffle_is_a_permutation_and_repeats),
    };
    return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
