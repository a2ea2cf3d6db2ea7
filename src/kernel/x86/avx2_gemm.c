/* f32 products with AVX2 and FMA.
 *
 * Tile: 6 x 16, that is 12 accumulators of 8 floats, two registers of B and one broadcast of A
 * (15 of 16). A step of k is 12 fused multiply-adds, 2 loads and 6 broadcasts. Floor: two 256-bit
 * FMAs a cycle on everything since Haswell, so 6 cycles a step, for 8 loads at two a cycle. Four
 * steps a turn: the loop's own instructions are a fifth of all otherwise, which shows where another
 * thread shares the core.
 * k-adjacent sources are transposed in 8 x 8 blocks. bf16 products stay with f32 arithmetic
 * (ml_gemm_run never asks for gemm_bf16 here). */
#include <immintrin.h>
#include <string.h>

#include "kernel/ref/ref.h"
#include "kernel/x86/avx2_lanes.h"
#include "kernel/x86/x86.h"

#define MR     6
#define NR     16
#define UNROLL 4

static inline __attribute__((always_inline)) vf load8(const void *src, enum ml_dtype type,
                                                      int64_t at, int64_t n)
{
    if (n <= 0)
        return _mm256_setzero_ps();
    if (type == ML_F32)
        return n >= 8 ? v_load((const float *)src + at) : v_load_n((const float *)src + at, n);
    const uint16_t *half = (const uint16_t *)src + at;
    if (type == ML_BF16)
        return n >= 8 ? v_load_bf16(half) : v_load_bf16_n(half, n);
    return n >= 8 ? v_load_f16(half) : v_load_f16_n(half, n);
}

/* k-adjacent source: up to 8 rows into lanes [lane, lane + 8) of a panel of `width`. A panel
 * narrower than its lanes is stored in ascending order, each store overwriting the spill of the
 * one before; the last block is masked. */
static inline __attribute__((always_inline)) void pack_rows(float *panel, int width, int lane,
                                                            const void *src, enum ml_dtype type,
                                                            int64_t si, int64_t rows, int64_t k)
{
    int lanes = width - lane < 8 ? width - lane : 8;
    for (int64_t p = 0; p < k; p += 8) {
        vf r[8];
        for (int i = 0; i < 8; i++)
            r[i] = i < rows ? load8(src, type, i * si + p, k - p) : _mm256_setzero_ps();
        v_transpose(r);
        float *to = panel + p * width + lane;
        bool spill = p + 8 < k || lanes == 8;
        for (int i = 0; i < 8 && p + i < k; i++)
            if (spill)
                v_store(to + i * width, r[i]);
            else
                v_store_n(to + i * width, r[i], lanes);
    }
}

/* The lower 6 of 8 lanes. A masked store would be microcode on AMD's processors before Zen 4. */
static inline void store6(float *to, vf x)
{
    _mm_storeu_ps(to, _mm256_castps256_ps128(x));
    _mm_storel_pi((__m64 *)(to + 4), _mm256_extractf128_ps(x, 1));
}

/* Row-adjacent source: each step of k is a contiguous piece. */
static inline __attribute__((always_inline)) void pack_columns(float *panel, int width,
                                                               const void *src, enum ml_dtype type,
                                                               int64_t sp, int64_t rows, int64_t k)
{
    for (int lane = 0; lane < width; lane += 8) {
        bool wide = rows - lane >= 8;
        int64_t n = wide ? 8 : rows - lane;
        for (int64_t p = 0; p < k; p++) {
            vf x = load8(src, type, p * sp + lane, n);
            if (width - lane >= 8)
                v_store(panel + p * width + lane, x);
            else
                store6(panel + p * width + lane, x);
        }
    }
}

static inline __attribute__((always_inline)) void pack(int width, float *panel, const void *src,
                                                       enum ml_dtype type, int64_t si, int64_t sp,
                                                       int64_t rows, int64_t k)
{
    int64_t bytes = type == ML_F32 ? 4 : 2;
    if (sp == 1)
        for (int lane = 0; lane < width; lane += 8)
            pack_rows(panel, width, lane, (const char *)src + lane * si * bytes, type, si,
                      rows - lane, k);
    else if (si == 1)
        pack_columns(panel, width, src, type, sp, rows, k);
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

/* One step of k. */
static inline __attribute__((always_inline)) void step(vf sum[MR][2], const float *a,
                                                       const float *b)
{
    vf b0 = v_load(b), b1 = v_load(b + 8);
#pragma GCC unroll 6
    for (int i = 0; i < MR; i++) {
        vf x = _mm256_broadcast_ss(a + i);
        sum[i][0] = v_fma(x, b0, sum[i][0]);
        sum[i][1] = v_fma(x, b1, sum[i][1]);
    }
}

static void tile(int64_t k, const void *panel_a, const void *panel_b, float *c, int64_t ldc,
                 bool accumulate)
{
    const float *a = panel_a, *b = panel_b;
    vf sum[MR][2];
#pragma GCC unroll 6
    for (int i = 0; i < MR; i++) /* C comes while the sums are made */
        _mm_prefetch((const char *)(c + i * ldc + NR - 1), _MM_HINT_T0);
#pragma GCC unroll 6
    for (int i = 0; i < MR; i++)
        sum[i][0] = sum[i][1] = _mm256_setzero_ps();
    int64_t p = 0;
    for (; p + UNROLL <= k; p += UNROLL, a += UNROLL * MR, b += UNROLL * NR)
#pragma GCC unroll 4
        for (int u = 0; u < UNROLL; u++)
            step(sum, a + u * MR, b + u * NR);
    for (; p < k; p++, a += MR, b += NR)
        step(sum, a, b);
#pragma GCC unroll 6
    for (int i = 0; i < MR; i++, c += ldc) {
        if (accumulate) {
            sum[i][0] = v_add(sum[i][0], v_load(c));
            sum[i][1] = v_add(sum[i][1], v_load(c + 8));
        }
        v_store(c, sum[i][0]);
        v_store(c + 8, sum[i][1]);
    }
}

static void pack_places(void *to, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                        int64_t n, int64_t k)
{
    int64_t i = 0;
    if (si == 1)
        for (; i + 8 <= n; i += 8)
            v_store((float *)to + i, load8(src, type, i, 8));
    if (i < n)
        ml_ref_pack_places((float *)to + i, (const char *)src + i * si * (type == ML_F32 ? 4 : 2),
                           type, si, sp, n - i, k);
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
    vf sum[MR][2];
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
        sum[i][0] = sum[i][1] = _mm256_setzero_ps();
#pragma GCC unroll 4
    for (int64_t s = 0; s < steps; s++, b += NR) {
        int64_t off = at[s];
        vf b0 = v_load(b), b1 = v_load(b + 8);
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
            vf x = _mm256_broadcast_ss(third[i / 3] + off + i % 3 * apart);
            sum[i][0] = v_fma(x, b0, sum[i][0]);
            sum[i][1] = v_fma(x, b1, sum[i][1]);
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++, c += ldc) {
        if (accumulate) {
            sum[i][0] = v_add(sum[i][0], v_load(c));
            sum[i][1] = v_add(sum[i][1], v_load(c + 8));
        }
        v_store(c, sum[i][0]);
        v_store(c + 8, sum[i][1]);
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
        ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6)
    }
    /* clang-format on */
#undef ROWS
}

/* 12 independent sums. The empty asm keeps them in registers and in the loop. */
static int64_t burn(int64_t steps)
{
    vf x = v_set(0.5f), sum[12];
#pragma GCC unroll 12
    for (int i = 0; i < 12; i++)
        sum[i] = _mm256_setzero_ps();
    for (int64_t s = 0; s < steps; s++) {
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++) {
            sum[i] = v_fma(sum[i], x, x);
            __asm__ volatile("" : "+x"(sum[i]));
        }
    }
    return steps * 12 * 16;
}

void ml_avx2_gemm(struct ml_kernels *out)
{
    out->gemm_f32 = (struct ml_gemm_kernel){MR,   NR,   1,        sizeof(float), pack_a,     pack_b,
                                            tile, burn, 16 << 10, pack_places,   tile_places};
}
