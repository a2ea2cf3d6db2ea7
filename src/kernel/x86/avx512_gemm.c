/* f32 products with AVX-512.
 *
 * Tile: 14 x 32, that is 28 accumulators of 16 floats, two registers of B and one broadcast of A
 * (31 of 32). A step of k is 28 fused multiply-adds, 2 loads and 14 broadcasts. Floor: one 512-bit
 * FMA a cycle on Zen 4 (two on Intel server cores), so 28 cycles a step there; L1 and L2 have to
 * deliver 184 bytes in that time. Packing k-adjacent sources transposes 16 x 16 blocks in
 * registers. */
#include <immintrin.h>

#include "kernel/ref/ref.h"
#include "kernel/x86/avx512_transpose.h"
#include "kernel/x86/x86.h"

#define MR          14
#define NR          32
#define GATHER_MOST (1 << 24) /* apart, so that 16 of them fit an index */

/* k-adjacent source: `rows` (<= 16) rows into lanes [lane, lane + 16) of a panel of `width`.
 * A panel narrower than 16 lanes is stored in ascending order, each store overwriting the
 * spill of the one before; the last two are masked. */
static inline __attribute__((always_inline)) void pack_rows(float *panel, int width, int lane,
                                                            const void *src, enum ml_dtype type,
                                                            int64_t si, int64_t rows, int64_t k)
{
    __mmask16 lanes = ml_mask16(width - lane);
    for (int64_t p = 0; p < k; p += 16) {
        __mmask16 mask = ml_mask16(k - p);
        __m512i r[16];
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++)
            r[i] = i < rows ? _mm512_castps_si512(ml_load16(src, type, i * si + p, mask))
                            : _mm512_setzero_si512();
        ml_transpose16(r);
        float *to = panel + p * width + lane;
        if (p + 16 < k) {
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                _mm512_storeu_si512(to + i * width, r[i]);
        } else {
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                if (p + i < k)
                    _mm512_mask_storeu_epi32(to + i * width, lanes, r[i]);
        }
    }
}

/* Row-adjacent source: each step of k is a contiguous piece. */
static inline __attribute__((always_inline)) void pack_columns(float *panel, int width,
                                                               const void *src, enum ml_dtype type,
                                                               int64_t sp, int64_t rows, int64_t k)
{
    for (int lane = 0; lane < width; lane += 16) {
        __mmask16 mask = ml_mask16(rows - lane), lanes = ml_mask16(width - lane);
        for (int64_t p = 0; p < k; p++)
            _mm512_mask_storeu_ps(panel + p * width + lane, lanes,
                                  ml_load16(src, type, p * sp + lane, mask));
    }
}

/* Any strides. */
static void pack_gathered(float *panel, int width, const float *src, int64_t si, int64_t sp,
                          int64_t rows, int64_t k)
{
    const __m512i count = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    __m512i index = _mm512_mullo_epi32(count, _mm512_set1_epi32((int)si));
    for (int lane = 0; lane < width; lane += 16) {
        __mmask16 mask = ml_mask16(rows - lane), lanes = ml_mask16(width - lane);
        const float *from = src + (rows > lane ? lane * si : 0);
        for (int64_t p = 0; p < k; p++)
            _mm512_mask_storeu_ps(
                panel + p * width + lane, lanes,
                _mm512_mask_i32gather_ps(_mm512_setzero_ps(), mask, index, from + p * sp, 4));
    }
}

static inline __attribute__((always_inline)) void pack(int width, float *panel, const void *src,
                                                       enum ml_dtype type, int64_t si, int64_t sp,
                                                       int64_t rows, int64_t k)
{
    int64_t bytes = type == ML_F32 ? 4 : 2;
    if (sp == 1)
        for (int lane = 0; lane < width; lane += 16)
            pack_rows(panel, width, lane, (const char *)src + lane * si * bytes, type, si,
                      rows - lane, k);
    else if (si == 1)
        pack_columns(panel, width, src, type, sp, rows, k);
    else if (type == ML_F32 && si > 0 && si < GATHER_MOST)
        pack_gathered(panel, width, src, si, sp, rows, k);
    else
        ml_ref_pack_f32(width, panel, src, type, si, sp, rows, k);
}

static void pack_a(void *panel, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                   int64_t rows, int64_t k)
{
    if (type == ML_F32)
        pack(MR, panel, src, ML_F32, si, sp, rows, k);
    else if (type == ML_BF16)
        pack(MR, panel, src, ML_BF16, si, sp, rows, k);
    else
        pack(MR, panel, src, ML_F16, si, sp, rows, k);
}

static void pack_b(void *panel, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                   int64_t cols, int64_t k)
{
    if (type == ML_F32)
        pack(NR, panel, src, ML_F32, si, sp, cols, k);
    else if (type == ML_BF16)
        pack(NR, panel, src, ML_BF16, si, sp, cols, k);
    else
        pack(NR, panel, src, ML_F16, si, sp, cols, k);
}

static void tile(int64_t k, const void *panel_a, const void *panel_b, float *c, int64_t ldc,
                 bool accumulate)
{
    const float *a = panel_a, *b = panel_b;
    __m512 sum[MR][2];
#pragma GCC unroll 14
    for (int i = 0; i < MR; i++)
        sum[i][0] = sum[i][1] = _mm512_setzero_ps();
    for (int64_t p = 0; p < k; p++, a += MR, b += NR) {
        __m512 b0 = _mm512_loadu_ps(b), b1 = _mm512_loadu_ps(b + 16);
#pragma GCC unroll 14
        for (int i = 0; i < MR; i++) {
            __m512 x = _mm512_set1_ps(a[i]);
            sum[i][0] = _mm512_fmadd_ps(x, b0, sum[i][0]);
            sum[i][1] = _mm512_fmadd_ps(x, b1, sum[i][1]);
        }
    }
#pragma GCC unroll 14
    for (int i = 0; i < MR; i++, c += ldc) {
        if (accumulate) {
            sum[i][0] = _mm512_add_ps(sum[i][0], _mm512_loadu_ps(c));
            sum[i][1] = _mm512_add_ps(sum[i][1], _mm512_loadu_ps(c + 16));
        }
        _mm512_storeu_ps(c, sum[i][0]);
        _mm512_storeu_ps(c + 16, sum[i][1]);
    }
}

static void pack_places(void *to, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                        int64_t n, int64_t k)
{
    if (si != 1) {
        ml_ref_pack_places(to, src, type, si, sp, n, k);
        return;
    }
    for (int64_t i = 0; i < n; i += 16) {
        __mmask16 mask = ml_mask16(n - i);
        __m512 x = type == ML_F32    ? ml_load16(src, ML_F32, i, mask)
                   : type == ML_BF16 ? ml_load16(src, ML_BF16, i, mask)
                                     : ml_load16(src, ML_F16, i, mask);
        _mm512_mask_storeu_ps((float *)to + i, mask, x);
    }
}

/* `tile` for a number of rows that is known when this is compiled. */
static inline __attribute__((always_inline)) void places_of(const int rows, int64_t steps,
                                                            const int32_t *at, const float *a0,
                                                            const int64_t apart, const float *b,
                                                            float *c, int64_t ldc, bool accumulate)
{
    /* Three rows share a pointer: x86 adds an index once or twice to an address. */
    const float *third[(MR + 2) / 3];
#pragma GCC unroll 5
    for (int i = 0; i < (MR + 2) / 3; i++)
        third[i] = a0 + 3 * i * apart;
    __m512 sum[MR][2];
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++)
        sum[i][0] = sum[i][1] = _mm512_setzero_ps();
    for (int64_t s = 0; s < steps; s++, b += NR) {
        int64_t off = at[s];
        __m512 b0 = _mm512_loadu_ps(b), b1 = _mm512_loadu_ps(b + 16);
#pragma GCC unroll 14
        for (int i = 0; i < rows; i++) {
            __m512 x = _mm512_set1_ps((third[i / 3] + off)[i % 3 * apart]);
            sum[i][0] = _mm512_fmadd_ps(x, b0, sum[i][0]);
            sum[i][1] = _mm512_fmadd_ps(x, b1, sum[i][1]);
        }
    }
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++, c += ldc) {
        if (accumulate) {
            sum[i][0] = _mm512_add_ps(sum[i][0], _mm512_loadu_ps(c));
            sum[i][1] = _mm512_add_ps(sum[i][1], _mm512_loadu_ps(c + 16));
        }
        _mm512_storeu_ps(c, sum[i][0]);
        _mm512_storeu_ps(c + 16, sum[i][1]);
    }
}

static void tile_places(int64_t rows, int64_t steps, const int32_t *at, const void *a,
                        int64_t apart, const void *panel_b, float *c, int64_t ldc, bool accumulate)
{
#define ROWS(n)                                                                                    \
    case n:                                                                                        \
        if (apart == 1)                                                                            \
            places_of(n, steps, at, a, 1, panel_b, c, ldc, accumulate);                            \
        else                                                                                       \
            places_of(n, steps, at, a, apart, panel_b, c, ldc, accumulate);                        \
        break;
    /* clang-format off */
    switch (rows) {
        ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6) ROWS(7)
        ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12) ROWS(13) ROWS(14)
    }
    /* clang-format on */
#undef ROWS
}

/* 16 independent sums: twice what latency 4 times 2 pipes needs. The empty asm keeps them in
 * registers and in the loop. */
static int64_t burn(int64_t steps)
{
    __m512 x = _mm512_set1_ps(0.5f);
    __m512 sum[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        sum[i] = _mm512_setzero_ps();
    for (int64_t s = 0; s < steps; s++) {
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            sum[i] = _mm512_fmadd_ps(sum[i], x, x);
            __asm__ volatile("" : "+v"(sum[i]));
        }
    }
    return steps * 16 * 32;
}

void ml_avx512_gemm(struct ml_kernels *out)
{
    out->gemm_f32 = (struct ml_gemm_kernel){MR,   NR,   1,        sizeof(float), pack_a,     pack_b,
                                            tile, burn, 32 << 10, pack_places,   tile_places};
}
