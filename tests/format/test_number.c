/* Conversion between the number formats of weight files, at any alignment. */
#include "format_check.h"

#include <math.h>

#include "format/number.h"

static struct ml_kernels kernels;

static int setup(void **state)
{
    ml_kernels_init(&kernels, ML_ISA_COUNT - 1);
    return 0;
}

static const enum ml_number numbers[] = {ML_NUMBER_F32, ML_NUMBER_BF16, ML_NUMBER_F16,
                                         ML_NUMBER_F64};
static const enum ml_dtype dtypes[] = {ML_F32, ML_BF16, ML_F16};

/* Small whole numbers and halves are exact in every format. */
static double sample(int64_t i)
{
    return (double)((i * 37) % 129 - 64) / 2;
}

static void put(enum ml_number number, void *data, int64_t i, double value)
{
    unsigned char *at = (unsigned char *)data + i * ml_number_bytes(number);
    float single = (float)value;
    uint16_t half = number == ML_NUMBER_BF16 ? ml_f32_to_bf16(single) : ml_f32_to_f16(single);
    if (number == ML_NUMBER_F64)
        memcpy(at, &value, 8);
    else if (number == ML_NUMBER_F32)
        memcpy(at, &single, 4);
    else
        memcpy(at, &half, 2);
}

static void every_pair_of_formats(void **state)
{
    enum { N = 2500 };
    unsigned char *raw = ml_mem_alloc(N * 8 + 8), *out = ml_mem_alloc(N * 4);
    for (size_t f = 0; f < 4; f++)
        for (size_t t = 0; t < 3; t++)
            for (int shift = 0; shift < 3; shift++) {
                for (int64_t i = 0; i < N; i++)
                    put(numbers[f], raw + shift, i, sample(i));
                struct ml_conversion c = {numbers[f], raw + shift, dtypes[t], out, N};
                assert_true(ml_number_fits(numbers[f], dtypes[t]));
                assert_int_equal(ml_convert(&kernels, &c), -1);
                for (int64_t i = 0; i < N; i++)
                    assert_true(ml_number_get(ml_number_of(dtypes[t]), out, i) == sample(i));
            }
    ml_mem_free(raw);
    ml_mem_free(out);
}

static void whole_numbers_stay_whole(void **state)
{
    int32_t in[3] = {-7, 0, 2147483647}, out[3];
    struct ml_conversion c = {ML_NUMBER_I32, in, ML_I32, out, 3};
    assert_int_equal(ml_convert(&kernels, &c), -1);
    assert_memory_equal(in, out, sizeof in);
    assert_false(ml_number_fits(ML_NUMBER_I32, ML_F32));
    assert_false(ml_number_fits(ML_NUMBER_F32, ML_I32));
    assert_false(ml_number_fits(ML_NUMBER_OTHER, ML_F32));
}

static void overflow_is_reported(void **state)
{
    enum { N = 1500 };
    float in[N];
    uint16_t half[N];
    for (int i = 0; i < N; i++)
        in[i] = 1;
    in[5] = INFINITY; /* was infinite before: not an overflow */
    in[7] = NAN;
    struct ml_conversion c = {ML_NUMBER_F32, in, ML_F16, half, N};
    assert_int_equal(ml_convert(&kernels, &c), -1);
    in[1200] = -70000;
    assert_int_equal(ml_convert(&kernels, &c), 1200);
    in[9] = 65520; /* rounds up past the largest half, 65504 */
    assert_int_equal(ml_convert(&kernels, &c), 9);
    double wide[2] = {1, 1e300};
    float single[2];
    struct ml_conversion d = {ML_NUMBER_F64, wide, ML_F32, single, 2};
    assert_int_equal(ml_convert(&kernels, &d), 1);
}

static void finds_what_is_not_finite(void **state)
{
    enum { N = 2100 };
    static unsigned char raw[N * 8];
    for (size_t f = 0; f < 4; f++) {
        for (int64_t i = 0; i < N; i++)
            put(numbers[f], raw, i, sample(i));
        assert_int_equal(ml_number_find_nonfinite(numbers[f], raw, N), -1);
        put(numbers[f], raw, 2050, INFINITY);
        assert_int_equal(ml_number_find_nonfinite(numbers[f], raw, N), 2050);
        put(numbers[f], raw, 3, NAN);
        assert_int_equal(ml_number_find_nonfinite(numbers[f], raw, N), 3);
    }
    memset(raw, 0xff, sizeof raw);
    assert_int_equal(ml_number_find_nonfinite(ML_NUMBER_I32, raw, N), -1);
    assert_int_equal(ml_number_find_nonfinite(ML_NUMBER_OTHER, raw, N), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_formats),
        cmocka_unit_test(whole_numbers_stay_whole),
        cmocka_unit_test(overflow_is_reported),
        cmocka_unit_test(finds_what_is_not_finite),
    };
    return cmocka_run_group_tests_name("number", tests, setup, NULL);
}
