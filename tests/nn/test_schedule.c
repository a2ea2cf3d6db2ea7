#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nn/schedule.h"

static void expect(const struct ml_schedule *s, int64_t step, double want)
{
    double got = ml_schedule_at(s, step);
    if (!(fabs(got - want) < 1e-12))
        fail_msg("step %d: %.15g instead of %.15g", (int)step, got, want);
}

static void warmup_rises_to_one(void **state)
{
    for (int kind = 0; kind < ML_SCHEDULE_COUNT; kind++) {
        struct ml_schedule s = {.kind = (enum ml_schedule_kind)kind, .steps = 100, .warmup = 4};
        expect(&s, 0, 0.25);
        expect(&s, 1, 0.5);
        expect(&s, 3, 1.0);
        expect(&s, 4, 1.0);
        expect(&s, -5, 0.25);
    }
}

static void cosine_falls_to_its_floor(void **state)
{
    struct ml_schedule s = {.kind = ML_SCHEDULE_COSINE, .steps = 110, .warmup = 10, .floor = 0.1};
    expect(&s, 60, 0.1 + 0.9 * 0.5);
    expect(&s, 35, 0.1 + 0.9 * 0.5 * (1 + sqrt(0.5)));
    expect(&s, 110, 0.1);
    expect(&s, 100000, 0.1);
}

static void linear_is_a_line(void **state)
{
    struct ml_schedule s = {.kind = ML_SCHEDULE_LINEAR, .steps = 100};
    expect(&s, 0, 1.0);
    expect(&s, 25, 0.75);
    expect(&s, 99, 0.01);
    expect(&s, 100, 0.0);
}

static void wsd_stays_then_falls(void **state)
{
    struct ml_schedule s = {.kind = ML_SCHEDULE_WSD, .steps = 100, .warmup = 5, .decay = 0.4};
    expect(&s, 5, 1.0);
    expect(&s, 60, 1.0);
    expect(&s, 80, 0.5);
    expect(&s, 100, 0.0);
    s.decay = 0; /* the default, 0.2 */
    expect(&s, 80, 1.0);
    expect(&s, 90, 0.5);
    s.decay = 1.0; /* never before the warm-up is over */
    expect(&s, 5, 1.0);
}

static void constant_stays(void **state)
{
    struct ml_schedule s = {.kind = ML_SCHEDULE_CONSTANT, .steps = 10};
    expect(&s, 0, 1.0);
    expect(&s, 10, 1.0);
    expect(&s, 1000, 1.0);
}

static void warmup_longer_than_the_run(void **state)
{
    struct ml_schedule s = {.kind = ML_SCHEDULE_COSINE, .steps = 5, .warmup = 10, .floor = 0.2};
    expect(&s, 4, 0.5);
    expect(&s, 10, 0.2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(warmup_rises_to_one), cmocka_unit_test(cosine_falls_to_its_floor),
        cmocka_unit_test(linear_is_a_line),    cmocka_unit_test(wsd_stays_then_falls),
        cmocka_unit_test(constant_stays),      cmocka_unit_test(warmup_longer_than_the_run),
    };
    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
