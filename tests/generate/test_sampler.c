/* Sampling: what each option keeps, and that draws follow the distribution. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "generate/sampler.h"

enum { VOCAB = 6, DRAWS = 20000 };
/* Probabilities 0.4 0.25 0.2 0.1 0.04 0.01 at temperature 1, not in order of id. */
static const double p[VOCAB] = {0.1, 0.4, 0.01, 0.25, 0.04, 0.2};

static void fill(float *logits)
{
    for (int i = 0; i < VOCAB; i++)
        logits[i] = (float)log(p[i]) + 3;
}

static void count(const struct ml_sampling *s, const int32_t *history, int n, int *counts)
{
    struct ml_sampler *sampler = NULL;
    struct ml_error err = {0};
    assert_int_equal(ml_sampler_new(&sampler, s, VOCAB, &err), 0);
    memset(counts, 0, VOCAB * sizeof *counts);
    for (int i = 0; i < DRAWS; i++) {
        float logits[VOCAB];
        int32_t id;
        fill(logits);
        assert_int_equal(ml_sampler_pick(sampler, logits, history, n, 0, (uint64_t)i, &id, &err),
                         0);
        counts[id]++;
    }
    ml_sampler_free(sampler);
}

static void expect(const int *counts, const double *want)
{
    for (int i = 0; i < VOCAB; i++) {
        double sd = sqrt(want[i] * (1 - want[i]) / DRAWS);
        assert_float_equal((double)counts[i] / DRAWS, want[i], 4.5 * sd + 1e-9);
    }
}

static void temperature_one_is_the_distribution(void **state)
{
    (void)state;
    struct ml_sampling s = {.temperature = 1, .seed = 11};
    int counts[VOCAB];
    count(&s, NULL, 0, counts);
    expect(counts, p);
}

static void low_temperature_sharpens(void **state)
{
    (void)state;
    struct ml_sampling s = {.temperature = 0.5f, .seed = 12};
    int counts[VOCAB];
    double want[VOCAB], sum = 0;
    for (int i = 0; i < VOCAB; i++)
        sum += p[i] * p[i];
    for (int i = 0; i < VOCAB; i++)
        want[i] = p[i] * p[i] / sum;
    count(&s, NULL, 0, counts);
    expect(counts, want);
}

static void greedy(void **state)
{
    (void)state;
    struct ml_sampling s = {.temperature = -1};
    int counts[VOCAB];
    count(&s, NULL, 0, counts);
    assert_int_equal(counts[1], DRAWS);
}

static void filters_keep_the_likeliest(void **state)
{
    (void)state;
    const struct ml_sampling cases[] = {
        {.temperature = 1, .top_k = 3},     /* 0.4 0.25 0.2 */
        {.temperature = 1, .top_p = 0.8f},  /* the same: 0.65 is not enough */
        {.temperature = 1, .min_p = 0.45f}, /* at least 0.18 */
        {.temperature = 1, .top_k = 4, .top_p = 0.85f, .min_p = 0.3f},
    };
    const double want[VOCAB] = {0, 0.4 / 0.85, 0, 0.25 / 0.85, 0, 0.2 / 0.85};
    for (int i = 0; i < 4; i++) {
        int counts[VOCAB];
        count(&cases[i], NULL, 0, counts);
        expect(counts, want);
    }
}

static void repetition_is_punished_once(void **state)
{
    (void)state;
    struct ml_sampling s = {.temperature = 1, .repetition_penalty = 2, .repetition_window = 3};
    const int32_t history[] = {3, 1, 1,
                               99}; /* 3 is outside the window, 99 outside the vocabulary */
    int counts[VOCAB];
    double want[VOCAB], sum = 0, logit = log(p[1]) + 3;
    for (int i = 0; i < VOCAB; i++)
        sum += want[i] = i == 1 ? exp(logit / 2) : exp(log(p[i]) + 3);
    for (int i = 0; i < VOCAB; i++)
        want[i] /= sum;
    count(&s, history, 4, counts);
    expect(counts, want);
}

static void bad_numbers(void **state)
{
    (void)state;
    struct ml_sampler *sampler = NULL;
    struct ml_error err = {0};
    struct ml_sampling s = {.temperature = 1};
    float logits[VOCAB] = {NAN, NAN, 2, NAN, -INFINITY, NAN};
    int32_t id = -1;
    assert_int_equal(ml_sampler_new(&sampler, &s, VOCAB, &err), 0);
    assert_int_equal(ml_sampler_pick(sampler, logits, NULL, 0, 0, 0, &id, &err), 0);
    assert_int_equal(id, 2);
    logits[2] = NAN;
    assert_int_equal(ml_sampler_pick(sampler, logits, NULL, 0, 0, 0, &id, &err), ML_ERR_NUMERIC);
    ml_sampler_free(sampler);
}

static void options_out_of_range(void **state)
{
    (void)state;
    const struct ml_sampling bad[] = {{.temperature = NAN},
                                      {.top_k = -1},
                                      {.top_p = 1.5f},
                                      {.min_p = -0.1f},
                                      {.repetition_penalty = 11},
                                      {.repetition_window = -1}};
    for (int i = 0; i < 6; i++) {
        struct ml_error err = {0};
        assert_int_equal(ml_sampling_check(&bad[i], &err), ML_ERR_ARG);
        assert_non_null(strstr(err.message, "must be"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(temperature_one_is_the_distribution),
        cmocka_unit_test(low_temperature_sharpens),
        cmocka_unit_test(greedy),
        cmocka_unit_test(filters_keep_the_likeliest),
        cmocka_unit_test(repetition_is_punished_once),
        cmocka_unit_test(bad_numbers),
        cmocka_unit_test(options_out_of_range),
    };
    return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}
