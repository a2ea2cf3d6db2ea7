/* int8 products with AVX2, exact: numbers are widened to 16 bits and multiplied in pairs
 * (vpmaddwd), which cannot overflow. (vpmaddubsw takes bytes as they are, but its 16-bit sums
 * saturate.)
 *
 * Tile: 6 x 16, that is 12 accumulators of 8 sums, two registers of W, one broadcast pair of A and
 * one product (16 of 16). Two steps of k are 12 vpmaddwd, 12 additions, 2 loads, 6 broadcasts.
 * Floor: two vpmaddwd a cycle (Zen 2 and later, Intel since Skylake), so 6 cycles for 192
 * multiply-adds, twice the rate of f32; vpmaddubsw with its second multiplication (vpmaddwd by
 * ones) has the same floor. W's panel is widened once for all row tiles of a block, which leaves
 * the shuffle unit out of the loop. A few rows read W as it is and widen each register once for up
 * to 6 rows: bytes of W are what such products wait for. */
#include <immintrin.h>
#include <string.h>

#include "kernel/ref/ref.h"
#include "kernel/x86/avx2_lanes.h"
#include "kernel/x86/x86.h"

#define MR     6
#define NR     16
#define UNROLL 2 /* pairs of k a turn */

/* Four rows' pairs at k ... k + 7 (up to n of them), widened. */
static inline __m128i load_pairs(const uint8_t *a, int64_t n)
{
    if (n >= 8)
        return _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)a));
    uint8_t part[8] = {0};
    for (int64_t i = 0; i < n; i++)
        part[i] = a[i];
    return _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)part));
}

/* Pairs of MR rows side by side; 4 pairs a turn: a 4 x 4 transpose, and the last two rows. */
static void pack_a(void *panel, const uint8_t *a, int64_t row, int64_t rows, int64_t k)
{
    char *to = panel;
    for (int64_t p = 0; p < k; p += 8, to += 4 * MR * 4) {
        __m128i r[MR];
        for (int64_t i = 0; i < MR; i++)
            r[i] = i < rows ? load_pairs(a + i * row + p, k - p) : _mm_setzero_si128();
        __m128i t0 = _mm_unpacklo_epi32(r[0], r[1]), t1 = _mm_unpacklo_epi32(r[2], r[3]);
        __m128i t2 = _mm_unpackhi_epi32(r[0], r[1]), t3 = _mm_unpackhi_epi32(r[2], r[3]);
        __m128i lo = _mm_unpacklo_epi32(r[4], r[5]), hi = _mm_unpackhi_epi32(r[4], r[5]);
        __m128i four[4] = {_mm_unpacklo_epi64(t0, t1), _mm_unpackhi_epi64(t0, t1),
                           _mm_unpacklo_epi64(t2, t3), _mm_unpackhi_epi64(t2, t3)};
        __m128i two[4] = {lo, _mm_unpackhi_epi64(lo, lo), hi, _mm_unpackhi_epi64(hi, hi)};
        for (int64_t q = 0; q < 4 && p + 2 * q < k; q++) {
            _mm_storeu_si128((__m128i *)(to + q * MR * 4), four[q]);
            _mm_storel_epi64((__m128i *)(to + q * MR * 4 + 16), two[q]);
        }
    }
}

static void widen(void *to, const int8_t *panel_w, int64_t k)
{
    int16_t *wide = to;
    for (int64_t i = 0; i < k * NR; i += 16) {
        __m256i x = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(panel_w + i)));
        _mm256_storeu_si256((__m256i *)(wide + i), x);
    }
}

static inline __attribute__((always_inline)) __m256i pair(const char *a)
{
    int32_t x;
    memcpy(&x, a, sizeof x);
    return _mm256_set1_epi32(x);
}

/* Two steps of k for `rows` rows. */
static inline __attribute__((always_inline)) void step(int rows, __m256i sum[MR][2], const char *a,
                                                       __m256i w0, __m256i w1)
{
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
        __m256i x = pair(a + 4 * i);
        sum[i][0] = _mm256_add_epi32(sum[i][0], _mm256_madd_epi16(x, w0));
        sum[i][1] = _mm256_add_epi32(sum[i][1], _mm256_madd_epi16(x, w1));
    }
}

static inline __attribute__((always_inline)) void sums_begin(int rows, __m256i sum[MR][2],
                                                             const int32_t *c, bool accumulate)
{
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
        for (int h = 0; h < 2; h++)
            sum[i][h] = accumulate ? _mm256_loadu_si256((const __m256i *)(c + i * NR + 8 * h))
                                   : _mm256_setzero_si256();
}

static inline __attribute__((always_inline)) void sums_end(int rows, __m256i sum[MR][2], int32_t *c)
{
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
        for (int h = 0; h < 2; h++)
            _mm256_storeu_si256((__m256i *)(c + i * NR + 8 * h), sum[i][h]);
}

/* Integers may be added in any order, and GCC would regroup two steps: it runs out of registers. */
static inline __attribute__((always_inline)) void keep_order(__m256i sum[MR][2])
{
#pragma GCC unroll 6
    for (int i = 0; i < MR; i++)
        __asm__("" : "+x"(sum[i][0]), "+x"(sum[i][1]));
}

static void tile(int64_t k, const void *panel_a, const int8_t *panel_w, int32_t *c, bool accumulate)
{
    const char *a = panel_a;
    const __m256i *w = (const __m256i *)panel_w;
    __m256i sum[MR][2];
    sums_begin(MR, sum, c, accumulate);
    int64_t pairs = k / 2, p = 0;
    for (; p + UNROLL <= pairs; p += UNROLL, a += UNROLL * 4 * MR, w += UNROLL * 2)
#pragma GCC unroll 2
        for (int u = 0; u < UNROLL; u++) {
            step(MR, sum, a + u * 4 * MR, _mm256_loadu_si256(w + 2 * u),
                 _mm256_loadu_si256(w + 2 * u + 1));
            keep_order(sum);
        }
    for (; p < pairs; p++, a += 4 * MR, w += 2)
        step(MR, sum, a, _mm256_loadu_si256(w), _mm256_loadu_si256(w + 1));
    sums_end(MR, sum, c);
}

static inline __attribute__((always_inline)) void
few_rows(int rows, int64_t k, const char *a, const int8_t *w, int32_t *c, bool accumulate)
{
    __m256i sum[MR][2];
    sums_begin(rows, sum, c, accumulate);
#pragma GCC unroll 2
    for (int64_t p = 0; p < k; p += 2, a += 4 * MR, w += 2 * NR) {
        __m128i w0 = _mm_loadu_si128((const __m128i *)w);
        __m128i w1 = _mm_loadu_si128((const __m128i *)(w + NR));
        step(rows, sum, a, _mm256_cvtepi8_epi16(w0), _mm256_cvtepi8_epi16(w1));
    }
    sums_end(rows, sum, c);
}

static void few(int64_t k, int64_t rows, const void *panel_a, const int8_t *panel_w, int32_t *c,
                bool accumulate)
{
    switch (rows) {
    case 1:
        few_rows(1, k, panel_a, panel_w, c, accumulate);
        break;
    case 2:
        few_rows(2, k, panel_a, panel_w, c, accumulate);
        break;
    case 3:
        few_rows(3, k, panel_a, panel_w, c, accumulate);
        break;
    case 4:
        few_rows(4, k, panel_a, panel_w, c, accumulate);
        break;
    case 5:
        few_rows(5, k, panel_a, panel_w, c, accumulate);
        break;
    default:
        few_rows(6, k, panel_a, panel_w, c, accumulate);
    }
}

/* Eight columns of all rows, of which n count. */
static void scale_eight(int64_t rows, int64_t n, float *y, int64_t ldy, const struct ml_i8_sums *s,
                        int64_t j)
{
    __m256i w_sum = _mm256_loadu_si256((const __m256i *)(s->w_sum + j));
    __m256 w_scale = _mm256_loadu_ps(s->w_scale + j), bias = _mm256_setzero_ps();
    if (s->bias)
        bias = v_load_n(s->bias + j, n);
    for (int64_t r = 0; r < rows; r++) {
        __m256i sum = _mm256_castps_si256(v_load_n((const float *)s->sums + r * s->row + j, n));
        __m256i off = _mm256_mullo_epi32(_mm256_set1_epi32(s->zero[r]), w_sum);
        __m256 x = _mm256_cvtepi32_ps(_mm256_sub_epi32(sum, off));
        x = _mm256_mul_ps(x, _mm256_mul_ps(_mm256_set1_ps(s->a_scale[r]), w_scale));
        x = s->bias ? _mm256_add_ps(x, bias) : x;
        if (n == 8)
            _mm256_storeu_ps(y + r * ldy + j, x);
        else
            v_store_n(y + r * ldy + j, x, n);
    }
}

static void scale(int64_t rows, int64_t n, float *y, int64_t ldy, const struct ml_i8_sums *s)
{
    for (int64_t j = 0; j < n; j += 8)
        scale_eight(rows, n - j < 8 ? n - j : 8, y, ldy, s, j);
}

/* Largest of 8. */
static float most(__m256 x)
{
    __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}

/* Eight numbers, or n of them and zeros. */
static inline __m256 load8(const float *x, int64_t n)
{
    if (n >= 8)
        return _mm256_loadu_ps(x);
    float part[8] = {0};
    memcpy(part, x, (size_t)n * sizeof(float));
    return _mm256_loadu_ps(part);
}

static void quantize(int64_t n, uint8_t *q, const float *x, float *scale_out, int32_t *zero)
{
    const __m256 sign = _mm256_set1_ps(-0.0f), infinity = _mm256_set1_ps(__builtin_inff());
    __m256 low = _mm256_setzero_ps(), high = low, odd = low;
    for (int64_t i = 0; i < n; i += 8) {
        __m256 v = load8(x + i, n - i), size = _mm256_andnot_ps(sign, v);
        odd = _mm256_or_ps(odd, _mm256_cmp_ps(size, infinity, _CMP_NLT_UQ)); /* NaN too */
        low = _mm256_max_ps(low, _mm256_xor_ps(sign, v));
        high = _mm256_max_ps(high, v);
    }
    struct ml_u8_scale s = ml_u8_scale(-most(low), most(high), !_mm256_movemask_ps(odd));
    *scale_out = s.scale;
    *zero = s.zero;
    bool finite = s.scale == s.scale;
    __m256i z = _mm256_set1_epi32(s.zero);
    for (int64_t i = 0; i < n; i += 8) {
        __m256 v = finite ? load8(x + i, n - i) : _mm256_setzero_ps();
        __m256i r = _mm256_cvtps_epi32(_mm256_mul_ps(v, _mm256_set1_ps(s.inverse)));
        r = _mm256_add_epi32(r, z);
        __m128i half = _mm_packs_epi32(_mm256_castsi256_si128(r), _mm256_extracti128_si256(r, 1));
        uint64_t bytes = (uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(half, half));
        memcpy(q + i, &bytes, (size_t)(n - i < 8 ? n - i : 8));
    }
}

void ml_avx2_gemm_i8(struct ml_kernels *out)
{
    out->gemm_i8 = (struct ml_gemm_i8_kernel){
        .mr = MR,
        .nr = NR,
        .kr = 2,
        .element = 2,
        .pack_a = pack_a,
        .widen = widen,
        .tile = tile,
        .few = few,
        .scale = scale,
        .quantize = quantize,
    };
}
