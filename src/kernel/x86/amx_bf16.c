/* bf16 products with AMX (Intel's Sapphire Rapids and later), f32 accumulation.
 *
 * Tile: 32 x 32 as two by two hardware tiles of 16 x 16 sums; with two tiles of A (16 rows of 32
 * elements of k) and two of B (16 pairs of k by 16 columns) that is all eight. A step takes 32
 * elements of k: 4 tile loads of 1 KB and 4 TDPBF16PS. Floor: 16 cycles a TDPBF16PS, so 64 cycles
 * for 65,536 flops; the loads take 8 cycles each beside them. The sums are loaded from C and stored
 * to it as tiles, so a part of k should be long (`panel` below, from L2).
 *
 * A's panel: blocks of 32 elements of k, each 32 rows of 64 bytes; B's: pairs as in avx512_bf16.c.
 * Both are filled with zeros up to a multiple of 32 elements. The instruction takes denormals as
 * zero and rounds to nearest even. */
#include <string.h>

#include "kernel/x86/avx512_pairs.h"
#include "kernel/x86/x86.h"

#define MR    32
#define NR    32
#define KR    32
#define BLOCK (MR * KR) /* elements of A's panel for KR of k */

/* Row-adjacent source: pairs of k for 16 rows at a time, turned into rows of 16 pairs. */
static inline __attribute__((always_inline)) void pack_a_columns(ml_bf16 *panel, const void *src,
                                                                 enum ml_dtype type, int64_t sp,
                                                                 int64_t rows, int64_t k)
{
    for (int64_t p = 0; p < k; p += KR, panel += BLOCK)
        for (int lane = 0; lane < MR; lane += 16) {
            uint32_t pairs[16 * 16] __attribute__((aligned(64))) = {0};
            const char *from = (const char *)src + (p * sp + lane) * (type == ML_F32 ? 4 : 2);
            if (rows > lane)
                ml_pack_pair_columns(pairs, 16, from, type, sp, rows - lane,
                                     k - p < KR ? k - p : KR);
            __m512i r[16];
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                r[i] = _mm512_load_si512(pairs + i * 16);
            ml_transpose16(r);
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                _mm512_storeu_si512(panel + (lane + i) * KR, r[i]);
        }
}

static inline __attribute__((always_inline)) void pack_a_type(ml_bf16 *panel, const void *src,
                                                              enum ml_dtype type, int64_t si,
                                                              int64_t sp, int64_t rows, int64_t k)
{
    if (sp == 1) {
        for (int64_t p = 0; p < k; p += KR, panel += BLOCK)
            for (int i = 0; i < MR; i++)
                _mm512_storeu_si512(panel + i * KR,
                                    i < rows ? ml_load_pairs(src, type, i * si + p, k - p)
                                             : _mm512_setzero_si512());
    } else if (si == 1) {
        pack_a_columns(panel, src, type, sp, rows, k);
    } else { /* any strides: pairs first */
        ml_bf16 pairs[BLOCK];
        for (int64_t p = 0; p < k; p += KR, panel += BLOCK) {
            int64_t depth = k - p < KR ? k - p : KR;
            memset(pairs, 0, sizeof pairs);
            ml_ref_pack_bf16(MR, pairs, (const char *)src + p * sp * (type == ML_F32 ? 4 : 2), type,
                             si, sp, rows, depth);
            for (int i = 0; i < MR; i++)
                for (int q = 0; q < KR / 2; q++)
                    memcpy(panel + i * KR + 2 * q, pairs + 2 * (q * MR + i), 2 * sizeof *pairs);
        }
    }
}

static void pack_a(void *panel, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                   int64_t rows, int64_t k)
{
    if (type == ML_F32)
        pack_a_type(panel, src, ML_F32, si, sp, rows, k);
    else if (type == ML_BF16)
        pack_a_type(panel, src, ML_BF16, si, sp, rows, k);
    else
        pack_a_type(panel, src, ML_F16, si, sp, rows, k);
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
    int64_t done = (k + 1) / 2, all = (k + KR - 1) / KR * (KR / 2); /* pairs */
    memset((uint32_t *)panel + done * NR, 0, (size_t)(all - done) * NR * sizeof(uint32_t));
}

/* Eight tiles of 16 rows of 64 bytes (Intel's manual, volume 1, chapter 18: palette 1). */
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} __attribute__((aligned(64)));

static const struct tile_config config = {
    .palette = 1,
    .bytes = {64, 64, 64, 64, 64, 64, 64, 64},
    .rows = {16, 16, 16, 16, 16, 16, 16, 16},
};

static void tile(int64_t k, const void *panel_a, const void *panel_b, float *c, int64_t ldc,
                 bool accumulate)
{
    const ml_bf16 *a = panel_a, *b = panel_b;
    size_t row = (size_t)ldc * sizeof *c;
    _tile_loadconfig(&config);
    if (accumulate) {
        _tile_loadd(0, c, row);
        _tile_loadd(1, c + 16, row);
        _tile_loadd(2, c + 16 * ldc, row);
        _tile_loadd(3, c + 16 * ldc + 16, row);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int64_t p = 0; p < k; p += KR, a += BLOCK, b += NR * KR) {
        _tile_loadd(4, a, KR * 2);
        _tile_loadd(6, b, NR * 4);
        _tile_loadd(7, b + 32, NR * 4);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(5, a + 16 * KR, KR * 2);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, row);
    _tile_stored(1, c + 16, row);
    _tile_stored(2, c + 16 * ldc, row);
    _tile_stored(3, c + 16 * ldc + 16, row);
    _tile_release();
}

/* A block of A's panel is [MR][KR]: MR places at a time. */
static void pack_places(void *to, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                        int64_t n, int64_t k)
{
    int64_t bytes = type == ML_F32 ? 4 : 2;
    for (int64_t i = 0; i < n; i += MR) {
        int64_t some = n - i < MR ? n - i : MR;
        const char *from = (const char *)src + i * si * bytes;
        ml_bf16 rows[32 * 32];
        if (si != 1) {
            ml_bring_places(rows, from, type, si, sp, some, k);
            pack_a((ml_bf16 *)to + i * KR, rows, ML_BF16, 1, 32, some, k);
        } else {
            pack_a((ml_bf16 *)to + i * KR, from, type, 1, sp, some, k);
        }
    }
}

/* Hardware tiles of rows <= 16 and of the rest. */
static struct tile_config config_for(int64_t rows)
{
    struct tile_config own = config;
    int64_t low = rows < 16 ? rows : 16, high = rows > 16 ? rows - 16 : 1;
    own.rows[0] = own.rows[1] = own.rows[4] = (uint8_t)low;
    own.rows[2] = own.rows[3] = own.rows[5] = (uint8_t)high;
    return own;
}

static void tile_places(int64_t rows, int64_t steps, const int32_t *at, const void *a,
                        int64_t apart, const void *panel_b, float *c, int64_t ldc, bool accumulate)
{
    const ml_bf16 *b = panel_b;
    size_t row = (size_t)ldc * sizeof *c, stride = (size_t)apart * sizeof(ml_bf16);
    struct tile_config own = config_for(rows);
    bool high = rows > 16;
    _tile_loadconfig(&own);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (accumulate) {
        _tile_loadd(0, c, row);
        _tile_loadd(1, c + 16, row);
        if (high) {
            _tile_loadd(2, c + 16 * ldc, row);
            _tile_loadd(3, c + 16 * ldc + 16, row);
        }
    }
    for (int64_t s = 0; s < steps; s++, b += NR * KR) {
        const ml_bf16 *from = (const ml_bf16 *)a + at[s];
        _tile_loadd(4, from, stride);
        _tile_loadd(6, b, NR * 4);
        _tile_loadd(7, b + 32, NR * 4);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        if (high) {
            _tile_loadd(5, from + 16 * apart, stride);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, c, row);
    _tile_stored(1, c + 16, row);
    if (high) {
        _tile_stored(2, c + 16 * ldc, row);
        _tile_stored(3, c + 16 * ldc + 16, row);
    }
    _tile_release();
}

/* Four independent sums, no loads. */
static int64_t burn(int64_t steps)
{
    _tile_loadconfig(&config);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(6);
    for (int64_t s = 0; s < steps; s++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 6);
        _tile_dpbf16ps(2, 4, 6);
        _tile_dpbf16ps(3, 4, 6);
    }
    _tile_release();
    return steps * 4 * (2 * 16 * 16 * 32);
}

void ml_amx_bf16(struct ml_kernels *out)
{
    out->gemm_bf16 =
        (struct ml_gemm_kernel){MR,   NR,   KR,       sizeof(ml_bf16), pack_a,     pack_b,
                                tile, burn, 64 << 10, pack_places,     tile_places};
}
