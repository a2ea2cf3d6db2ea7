#include "format/number.h"

#include <math.h>
#include <string.h>

#define CHUNK 1024 /* numbers converted at a time: both stages stay in the first-level cache */

enum ml_number ml_number_of(enum ml_dtype dtype)
{
    switch (dtype) {
    case ML_F32:
        return ML_NUMBER_F32;
    case ML_BF16:
        return ML_NUMBER_BF16;
    case ML_F16:
        return ML_NUMBER_F16;
    case ML_I32:
        return ML_NUMBER_I32;
    default:
        return ML_NUMBER_OTHER;
    }
}

int ml_number_bytes(enum ml_number number)
{
    switch (number) {
    case ML_NUMBER_F64:
        return 8;
    case ML_NUMBER_F32:
    case ML_NUMBER_I32:
        return 4;
    case ML_NUMBER_BF16:
    case ML_NUMBER_F16:
        return 2;
    default:
        return 0;
    }
}

int ml_number_fits(enum ml_number from, enum ml_dtype to)
{
    if (from == ML_NUMBER_OTHER || ml_number_of(to) == ML_NUMBER_OTHER)
        return 0;
    return (from == ML_NUMBER_I32) == (to == ML_I32);
}

/* n <= CHUNK numbers at any address -> f32. */
static void widen(const struct ml_kernels *k, enum ml_number from, const unsigned char *bytes,
                  float *out, int64_t n)
{
    uint16_t half[CHUNK];
    double wide[CHUNK];
    switch (from) {
    case ML_NUMBER_BF16:
        memcpy(half, bytes, (size_t)n * 2);
        k->bf16_to_f32(n, out, half);
        break;
    case ML_NUMBER_F16:
        memcpy(half, bytes, (size_t)n * 2);
        k->f16_to_f32(n, out, half);
        break;
    case ML_NUMBER_F64:
        memcpy(wide, bytes, (size_t)n * 8);
        for (int64_t i = 0; i < n; i++)
            out[i] = (float)wide[i];
        break;
    default:
        memcpy(out, bytes, (size_t)n * 4);
    }
}

static void narrow(const struct ml_kernels *k, enum ml_dtype to, const float *from,
                   unsigned char *out, int64_t n)
{
    if (to == ML_BF16)
        k->f32_to_bf16(n, (ml_bf16 *)(void *)out, from);
    else if (to == ML_F16)
        k->f32_to_f16(n, (uint16_t *)(void *)out, from);
    else
        memcpy(out, from, (size_t)n * 4);
}

/* The first number that is finite in `from` and not in `to`. */
static int64_t find_overflow(const struct ml_conversion *c, int64_t start, int64_t n)
{
    enum ml_number to = ml_number_of(c->to_dtype);
    const unsigned char *out = (const unsigned char *)c->to + start * ml_number_bytes(to);
    if (ml_number_find_nonfinite(to, out, n) < 0)
        return -1;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(ml_number_get(to, out, i)) &&
            isfinite(ml_number_get(c->from_number, c->from, start + i)))
            return start + i;
    return -1;
}

int64_t ml_convert(const struct ml_kernels *kernels, const struct ml_conversion *c)
{
    enum ml_number to = ml_number_of(c->to_dtype);
    int64_t in_bytes = ml_number_bytes(c->from_number), out_bytes = ml_number_bytes(to);
    int64_t overflow = -1;
    if (c->n == 0)
        return -1;
    if (c->from_number == to) {
        memcpy(c->to, c->from, (size_t)(c->n * in_bytes));
        return -1;
    }
    float stage[CHUNK];
    for (int64_t i = 0; i < c->n; i += CHUNK) {
        int64_t n = c->n - i < CHUNK ? c->n - i : CHUNK;
        widen(kernels, c->from_number, (const unsigned char *)c->from + i * in_bytes, stage, n);
        narrow(kernels, c->to_dtype, stage, (unsigned char *)c->to + i * out_bytes, n);
        if (overflow < 0)
            overflow = find_overflow(c, i, n);
    }
    return overflow;
}

static uint64_t load_bits(const unsigned char *bytes, int size)
{
    uint16_t b16;
    uint32_t b32;
    uint64_t b64;
    switch (size) {
    case 2:
        memcpy(&b16, bytes, 2);
        return b16;
    case 4:
        memcpy(&b32, bytes, 4);
        return b32;
    default:
        memcpy(&b64, bytes, 8);
        return b64;
    }
}

/* True when one of n numbers has all exponent bits set. No branch inside: it vectorises. */
static int any_nonfinite(const unsigned char *bytes, int size, uint64_t exponent, int64_t n)
{
    uint64_t found = 0;
    for (int64_t i = 0; i < n; i++)
        found |= (load_bits(bytes + i * size, size) & exponent) == exponent;
    return found != 0;
}

static uint64_t exponent_mask(enum ml_number number)
{
    switch (number) {
    case ML_NUMBER_F64:
        return 0x7ff0000000000000u;
    case ML_NUMBER_F32:
        return 0x7f800000u;
    case ML_NUMBER_BF16:
        return 0x7f80u;
    case ML_NUMBER_F16:
        return 0x7c00u;
    default:
        return 0;
    }
}

int64_t ml_number_find_nonfinite(enum ml_number number, const void *data, int64_t n)
{
    const unsigned char *bytes = data;
    uint64_t mask = exponent_mask(number);
    int size = ml_number_bytes(number);
    if (mask == 0)
        return -1;
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t part = n - i < CHUNK ? n - i : CHUNK;
        int bad = size == 2   ? any_nonfinite(bytes + i * 2, 2, mask, part)
                  : size == 4 ? any_nonfinite(bytes + i * 4, 4, mask, part)
                              : any_nonfinite(bytes + i * 8, 8, mask, part);
        for (int64_t j = i; bad && j < i + part; j++)
            if ((load_bits(bytes + j * size, size) & mask) == mask)
                return j;
    }
    return -1;
}

double ml_number_get(enum ml_number number, const void *data, int64_t index)
{
    const unsigned char *bytes = (const unsigned char *)data + index * ml_number_bytes(number);
    double wide;
    float single;
    int32_t whole;
    uint16_t half;
    switch (number) {
    case ML_NUMBER_F64:
        memcpy(&wide, bytes, 8);
        return wide;
    case ML_NUMBER_F32:
        memcpy(&single, bytes, 4);
        return (double)single;
    case ML_NUMBER_I32:
        memcpy(&whole, bytes, 4);
        return whole;
    case ML_NUMBER_BF16:
        memcpy(&half, bytes, 2);
        return (double)ml_bf16_to_f32(half);
    case ML_NUMBER_F16:
        memcpy(&half, bytes, 2);
        return (double)ml_f16_to_f32(half);
    default:
        return 0;
    }
}
