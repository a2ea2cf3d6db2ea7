/* int8 products with AVX512-VNNI: vpdpbusd adds four u8 x s8 products to each 32-bit sum, exactly.
 *
 * Tile: 12 x 32, that is 24 accumulators of 16 sums, two registers of W and one broadcast of A (27
 * of 32). Four steps of k are 24 vpdpbusd, 2 loads, 12 broadcasts. Floor: one vpdpbusd a cycle on
 * Zen 4 (two on Zen 5 and on Intel's servers), so 24 (12) cycles for 1,536 multiply-adds, for 14
 * loads at two a cycle; a sum is used again after 24 (12) cycles, well over vpdpbusd's latency of
 * four or five. A wider tile (6 x 64) would load less, but W's part (512 of k) would take all of an
 * L1 of 32 KB; so it takes half.
 * A few rows use up to 12 rows of the same tile. With one row, 128 bytes of W wait for a latency of
 * five cycles: some 100 GB/s at 4 GHz, which is more than one core can read. */
#include <immintrin.h>
#include <string.h>

#include "kernel/x86/x86.h"

#define MR 12
#define NR 32

/* Up to 16 bytes, and zeros. */
static inline __m128i load16(const uint8_t *a, int64_t n)
{
    if (n >= 16)
        return _mm_loadu_si128((const __m128i *)a);
    uint8_t part[16] = {0};
    memcpy(part, a, (size_t)n);
    return _mm_loadu_si128((const __m128i *)part);
}

/* Fours of MR rows side by side; 4 fours a turn, 4 x 4 transposes. */
static void pack_a(void *panel, const uint8_t *a, int64_t row, int64_t rows, int64_t k)
{
    char *to = panel;
    for (int64_t p = 0; p < k; p += 16, to += 4 * MR * 4)
        for (int64_t i = 0; i < MR; i += 4) {
            __m128i r[4];
            for (int64_t h = 0; h < 4; h++)
                r[h] = i + h < rows ? load16(a + (i + h) * row + p, k - p) : _mm_setzero_si128();
            __m128i t0 = _mm_unpacklo_epi32(r[0], r[1]), t1 = _mm_unpacklo_epi32(r[2], r[3]);
            __m128i t2 = _mm_unpackhi_epi32(r[0], r[1]), t3 = _mm_unpackhi_epi32(r[2], r[3]);
            __m128i four[4] = {_mm_unpacklo_epi64(t0, t1), _mm_unpackhi_epi64(t0, t1),
                               _mm_unpacklo_epi64(t2, t3), _mm_unpackhi_epi64(t2, t3)};
            for (int64_t q = 0; q < 4 && p + 4 * q < k; q++)
                _mm_storeu_si128((__m128i *)(to + (q * MR + i) * 4), four[q]);
        }
}

/* Sums of `rows` rows, known where this is inlined. */
static inline __attribute__((always_inline)) void
multiply(int rows, int64_t k, const char *a, const int8_t *w, int32_t *c, bool accumulate)
{
    __m512i sum[MR][2];
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
        for (int h = 0; h < 2; h++)
            sum[i][h] =
                accumulate ? _mm512_loadu_si512(c + i * NR + 16 * h) : _mm512_setzero_si512();
#pragma GCC unroll 2
    for (int64_t p = 0; p < k; p += 4, a += 4 * MR, w += 4 * NR) {
        __m512i w0 = _mm512_loadu_si512(w), w1 = _mm512_loadu_si512(w + 64);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            int32_t four;
            memcpy(&four, a + 4 * i, sizeof four);
            __m512i x = _mm512_set1_epi32(four);
            sum[i][0] = _mm512_dpbusd_epi32(sum[i][0], x, w0);
            sum[i][1] = _mm512_dpbusd_epi32(sum[i][1], x, w1);
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
        for (int h = 0; h < 2; h++)
            _mm512_storeu_si512(c + i * NR + 16 * h, sum[i][h]);
}

static void tile(int64_t k, const void *panel_a, const int8_t *panel_w, int32_t *c, bool accumulate)
{
    multiply(MR, k, panel_a, panel_w, c, accumulate);
}

static void few(int64_t k, int64_t rows, const void *panel_a, const int8_t *panel_w, int32_t *c,
                bool accumulate)
{
    if (rows <= 1)
        multiply(1, k, panel_a, panel_w, c, accumulate);
    else if (rows <= 2)
        multiply(2, k, panel_a, panel_w, c, accumulate);
    else if (rows <= 4)
        multiply(4, k, panel_a, panel_w, c, accumulate);
    else if (rows <= 8)
        multiply(8, k, panel_a, panel_w, c, accumulate);
    else
        multiply(MR, k, panel_a, panel_w, c, accumulate);
}

/* 16 columns of all rows, of which those of the mask count. */
static void scale_columns(int64_t rows, __mmask16 mask, float *y, int64_t ldy,
                          const struct ml_i8_sums *s, int64_t j)
{
    __m512i w_sum = _mm512_loadu_si512(s->w_sum + j);
    __m512 w_scale = _mm512_loadu_ps(s->w_scale + j), bias = _mm512_setzero_ps();
    if (s->bias)
        bias = _mm512_maskz_loadu_ps(mask, s->bias + j);
    for (int64_t r = 0; r < rows; r++) {
        __m512i sum = _mm512_maskz_loadu_epi32(mask, s->sums + r * s->row + j);
        __m512i off = _mm512_mullo_epi32(_mm512_set1_epi32(s->zero[r]), w_sum);
        __m512 x = _mm512_cvtepi32_ps(_mm512_sub_epi32(sum, off));
        x = _mm512_mul_ps(x, _mm512_mul_ps(_mm512_set1_ps(s->a_scale[r]), w_scale));
        _mm512_mask_storeu_ps(y + r * ldy + j, mask, s->bias ? _mm512_add_ps(x, bias) : x);
    }
}

static void scale(int64_t rows, int64_t n, float *y, int64_t ldy, const struct ml_i8_sums *s)
{
    for (int64_t j = 0; j < n; j += 16)
        scale_columns(rows, n - j < 16 ? (__mmask16)((1u << (n - j)) - 1) : (__mmask16)0xffff, y,
                      ldy, s, j);
}

/* Quantising stays AVX2's: it is bound by memory. */
void ml_avx512_vnni(struct ml_kernels *out)
{
    struct ml_gemm_i8_kernel *i8 = &out->gemm_i8;
    i8->mr = MR;
    i8->nr = NR;
    i8->kr = 4;
    i8->element = 1;
    i8->pack_a = pack_a;
    i8->widen = NULL;
    i8->tile = tile;
    i8->few = few;
    i8->scale = scale;
}
