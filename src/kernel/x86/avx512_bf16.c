/* bf16 products with AVX512-BF16, f32 accumulation.
 *
 * Tile: 14 x 32 as in avx512_gemm.c; a step takes two elements of k: 28 VDPBF16PS, 2 loads of 16
 * pairs of B and 14 broadcasts of a pair of A. Floor: one VDPBF16PS of 512 bits a cycle on Zen 4:
 * 28 cycles and twice the flops of f32. The instruction takes denormals as zero and rounds to
 * nearest even. Intel's processors need two cycles or more for it, which makes f32 faster there
 * (ml_kernels_have_bf16); they have amx_bf16.c. */
#include <string.h>

#include "kernel/x86/avx512_pairs.h"
#include "kernel/x86/x86.h"

#define MR 14
#define NR 32

static void pack_a(void *panel, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                   int64_t rows, int64_t k)
{
    if (type == ML_F32)
        ml_pack_pairs(MR, panel, src, ML_F32, si, sp, rows, k);
    else if (type == ML_BF16)
        ml_pack_pairs(MR, panel, src, ML_BF16, si, sp, rows, k);
    else
        ml_pack_pairs(MR, panel, src, ML_F16, si, sp, rows, k);
}

static void pack_b(void *panel, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                   int64_t cols, int64_t k)
{
    if (type == ML_F32)
        ml_pack_pairs(NR, panel, src, ML_F32, si, sp, cols, k);
    else if (type == ML_BF16)
        ml_pack_pairs(NR, panel, src, ML_BF16, si, sp, cols, k);
    else
        ml_pack_pairs(NR, panel, src, ML_F16, si, sp, cols, k);
}

static void tile(int64_t k, const void *panel_a, const void *panel_b, float *c, int64_t ldc,
                 bool accumulate)
{
    const int32_t *a = panel_a, *b = panel_b;
    __m512 sum[MR][2];
#pragma GCC unroll 14
    for (int i = 0; i < MR; i++)
        sum[i][0] = sum[i][1] = _mm512_setzero_ps();
    for (int64_t p = 0; p < k; p += 2, a += MR, b += NR) {
        __m512bh b0 = (__m512bh)_mm512_loadu_si512(b), b1 = (__m512bh)_mm512_loadu_si512(b + 16);
#pragma GCC unroll 14
        for (int i = 0; i < MR; i++) {
            __m512bh x = (__m512bh)_mm512_set1_epi32(a[i]);
            sum[i][0] = _mm512_dpbf16_ps(sum[i][0], x, b0);
            sum[i][1] = _mm512_dpbf16_ps(sum[i][1], x, b1);
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

/* A panel of B two deep is [NR][2]: NR places at a time. */
static void pack_places(void *to, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                        int64_t n, int64_t k)
{
    int64_t bytes = type == ML_F32 ? 4 : 2;
    for (int64_t i = 0; i < n; i += NR) {
        int64_t some = n - i < NR ? n - i : NR;
        const char *from = (const char *)src + i * si * bytes;
        ml_bf16 rows[2 * 32];
        if (si != 1) {
            ml_bring_places(rows, from, type, si, sp, some, k);
            pack_b((ml_bf16 *)to + 2 * i, rows, ML_BF16, 1, 32, some, k);
        } else {
            pack_b((ml_bf16 *)to + 2 * i, from, type, 1, sp, some, k);
        }
    }
}

static inline __attribute__((always_inline)) void places_of(const int rows, int64_t steps,
                                                            const int32_t *at, const ml_bf16 *a0,
                                                            const int64_t apart, const int32_t *b,
                                                            float *c, int64_t ldc, bool accumulate)
{
    /* Three rows share a pointer: x86 adds an index once or twice to an address. */
    const ml_bf16 *third[(MR + 2) / 3];
#pragma GCC unroll 5
    for (int i = 0; i < (MR + 2) / 3; i++)
        third[i] = a0 + 3 * i * apart;
    __m512 sum[MR][2];
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++)
        sum[i][0] = sum[i][1] = _mm512_setzero_ps();
    for (int64_t s = 0; s < steps; s++, b += NR) {
        int64_t off = at[s];
        __m512bh b0 = (__m512bh)_mm512_loadu_si512(b), b1 = (__m512bh)_mm512_loadu_si512(b + 16);
#pragma GCC unroll 14
        for (int i = 0; i < rows; i++) {
            int32_t pair;
            memcpy(&pair, third[i / 3] + off + i % 3 * apart, sizeof pair);
            __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
            sum[i][0] = _mm512_dpbf16_ps(sum[i][0], x, b0);
            sum[i][1] = _mm512_dpbf16_ps(sum[i][1], x, b1);
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
        if (apart == 2)                                                                            \
            places_of(n, steps, at, a, 2, panel_b, c, ldc, accumulate);                            \
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
    __m512bh x = (__m512bh)_mm512_set1_epi32(0x3f003f00);
    __m512 sum[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        sum[i] = _mm512_setzero_ps();
    for (int64_t s = 0; s < steps; s++) {
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            sum[i] = _mm512_dpbf16_ps(sum[i], x, x);
            __asm__ volatile("" : "+v"(sum[i]));
        }
    }
    return steps * 16 * 64;
}

void ml_avx512_bf16(struct ml_kernels *out)
{
    out->gemm_bf16 = (struct ml_gemm_kernel){
        MR, NR, 2, sizeof(ml_bf16), pack_a, pack_b, tile, burn, 32 << 10, pack_places, tile_places};
}
