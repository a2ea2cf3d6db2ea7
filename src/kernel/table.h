/* The kernel table: arithmetic on raw pointers. ref/ fills every slot in plain C; x86/ overwrites
 * what it does better on the processor at hand. Every variant is tested against ref.
 *
 * Conventions: n counts elements; x and y of the same call may be the same pointer (in place) but
 * may not otherwise overlap; no alignment is required; n may be 0. NaN in gives NaN out. Each
 * slot's result depends on its arguments alone (never on threads). */
#ifndef ML_KERNEL_TABLE_H
#define ML_KERNEL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/threads.h"
#include "kernel/dtype.h"

/* y = f(x), and dx = dy * f'(x) with x the input of the forward. */
enum ml_unary {
    ML_UNARY_NEG,
    ML_UNARY_ABS,
    ML_UNARY_SQUARE,
    ML_UNARY_SQRT,
    ML_UNARY_EXP,
    ML_UNARY_LOG,
    ML_UNARY_SIN,
    ML_UNARY_COS,
    ML_UNARY_TANH,
    ML_UNARY_SIGMOID,
    ML_UNARY_RELU,
    ML_UNARY_RELU2,      /* relu(x)^2 */
    ML_UNARY_LEAKY_RELU, /* slope 0.1 for x < 0 (HiFi-GAN) */
    ML_UNARY_GELU,       /* tanh approximation */
    ML_UNARY_GELU_ERF,   /* exact */
    ML_UNARY_SILU,
    ML_UNARY_COUNT
};

enum ml_binary {
    ML_BINARY_ADD,
    ML_BINARY_SUB,
    ML_BINARY_MUL,
    ML_BINARY_DIV,
    ML_BINARY_MAX,
    ML_BINARY_MIN,
    ML_BINARY_COUNT
};

/* Ascending within a family; each level has what is before it. */
enum ml_isa {
    ML_ISA_REF,
    ML_ISA_AVX2, /* x86-64 */
    ML_ISA_AVX512,
    ML_ISA_AVX512_VNNI,
    ML_ISA_AVX512_BF16,
    ML_ISA_AMX,
    ML_ISA_NEON, /* ARM, 64 bits */
    ML_ISA_NEON_BF16,
    ML_ISA_COUNT
};

/* One AdamW step (Loshchilov & Hutter, arXiv:1711.05101), gradients scaled first. */
struct ml_adamw_step {
    float lr, beta1, beta2, eps, weight_decay;
    float grad_scale;               /* clip and accumulation in one factor */
    float correction1, correction2; /* 1 - beta^t */
};

/* Micro-kernel geometry and routines of one GEMM precision. gemm.c does the blocking. */
struct ml_gemm_kernel {
    int mr, nr;     /* register tile: mr rows of A by nr columns of B */
    int kr;         /* elements of k packed together: 1 for f32, 2 for bf16 pairs */
    size_t element; /* bytes of a packed element */
    /* Packs mr (nr) rows (columns) by k into a panel, zero-filled to mr (nr) and to a multiple of
     * kr. src element (i, p) is at src[i * si + p * sp]; type is F32, BF16 or F16. rows <= mr. */
    void (*pack_a)(void *panel, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                   int64_t rows, int64_t k);
    void (*pack_b)(void *panel, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                   int64_t cols, int64_t k);
    /* c[mr][nr] (row stride ldc) = panel_a * panel_b; with accumulate the finished sum is added to
     * c. Full tiles; k counts elements and is rounded up to a multiple of kr. */
    void (*tile)(int64_t k, const void *panel_a, const void *panel_b, float *c, int64_t ldc,
                 bool accumulate);
    /* Multiply-adds on registers alone, `steps` times; returns how many floating point operations
     * that were. What it reaches in a second is this precision's peak (peak.h). */
    int64_t (*burn)(int64_t steps);
    int64_t panel; /* bytes of a column panel that gemm.c goes through at a time */
    /* Convolutions leave A where it lies. pack_places writes that, to[n][kr], zero-filled to kr,
     * from src[i * si + p * sp] (i < n places, p < k <= kr numbers); zeros may follow, of up to 32
     * places. tile_places is `tile` with the kr numbers of row i and step s at a[at[s] + i *
     * apart]; rows <= mr; what follows rows in c stays as it is, what follows in a is not read. */
    void (*pack_places)(void *to, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                        int64_t n, int64_t k);
    void (*tile_places)(int64_t rows, int64_t steps, const int32_t *at, const void *a,
                        int64_t apart, const void *panel_b, float *c, int64_t ldc, bool accumulate);
};

/* Sums of an int8 product and what makes numbers of them. */
struct ml_i8_sums {
    const int32_t *sums;
    int64_t row;         /* from one row to the next */
    const int32_t *zero; /* [rows] */
    const float *a_scale;
    const int32_t *w_sum; /* [columns], and so up to a whole tile */
    const float *w_scale;
    const float *bias; /* [columns], or NULL */
};

/* The int8 product: u8 times s8 into 32-bit integers, exact for all of both. gemm_i8.c does the
 * blocking. Panels are zero-filled to whole tiles and to a multiple of kr of k. */
struct ml_gemm_i8_kernel {
    int mr, nr;
    int kr;         /* elements of k packed side by side */
    size_t element; /* bytes of a packed element of A, and of a widened one of W */
    /* Packs rows <= mr of A, `row` bytes apart: [k / kr][mr][kr]. */
    void (*pack_a)(void *panel, const uint8_t *a, int64_t row, int64_t rows, int64_t k);
    /* A part of a panel of W ([k / kr][nr][kr]) as `tile` wants it; NULL: as it is. */
    void (*widen)(void *to, const int8_t *panel_w, int64_t k);
    /* c[mr][nr] = (c +) panel_a * panel_w; k is a multiple of kr. */
    void (*tile)(int64_t k, const void *panel_a, const int8_t *panel_w, int32_t *c,
                 bool accumulate);
    /* The same for rows <= mr, from a panel of W that is not widened. Other rows of c may be
     * overwritten. */
    void (*few)(int64_t k, int64_t rows, const void *panel_a, const int8_t *panel_w, int32_t *c,
                bool accumulate);
    /* y[r][j] = (sums[r][j] - zero[r] * w_sum[j]) * (a_scale[r] * w_scale[j]) + bias[j]; r < rows,
     * j < n; y may be sums, with the same rows. */
    void (*scale)(int64_t rows, int64_t n, float *y, int64_t ldy, const struct ml_i8_sums *sums);
    /* q = clamp(round(x / scale) + zero), scale and zero such that 0 and all of x fit. A NaN or
     * infinity in x: a scale of NaN, zeros. */
    void (*quantize)(int64_t n, uint8_t *q, const float *x, float *scale, int32_t *zero);
};

struct ml_kernels {
    enum ml_isa isa;
    const char *name; /* "ref", "avx2", "avx512", ..., what --isa knows */

    void (*unary[ML_UNARY_COUNT])(int64_t n, float *y, const float *x);
    void (*unary_grad[ML_UNARY_COUNT])(int64_t n, float *dx, const float *dy, const float *x);
    void (*binary[ML_BINARY_COUNT])(int64_t n, float *y, const float *a, const float *b);
    void (*binary_scalar[ML_BINARY_COUNT])(int64_t n, float *y, const float *a,
                                           float b); /* a op b */
    void (*affine)(int64_t n, float *y, const float *x, float scale,
                   float shift);                                          /* y = x*scale+shift */
    void (*axpy)(int64_t n, float *y, float a, const float *x);           /* y += a*x */
    void (*mul_add)(int64_t n, float *y, const float *a, const float *b); /* y += a*b */
    void (*fill)(int64_t n, float *y, float value);

    /* SwiGLU: y = silu(gate) * up, and its two gradients. */
    void (*swiglu)(int64_t n, float *y, const float *gate, const float *up);
    void (*swiglu_grad)(int64_t n, float *dgate, float *dup, const float *dy, const float *gate,
                        const float *up);

    /* Reductions in a fixed order. */
    float (*sum)(int64_t n, const float *x);
    float (*dot)(int64_t n, const float *a, const float *b);
    float (*max)(int64_t n, const float *x); /* -inf for n = 0 */

    /* One row of softmax over scale*x; returns log(sum(exp(scale*x))) (the log-sum-exp). A row that
     * is all -inf gives zeros and returns -inf. */
    float (*softmax)(int64_t n, float *y, const float *x, float scale);
    /* y = exp(scale*x - lse); used when the log-sum-exp is known. Zeros when lse is -inf. */
    void (*exp_shift)(int64_t n, float *y, const float *x, float scale, float lse);
    /* dx = y * (dy - dot(y, dy)), y being the softmax's output. */
    void (*softmax_grad)(int64_t n, float *dx, const float *dy, const float *y);

    /* One row of RMSNorm: y = x * inv * w, inv = 1/sqrt(mean(x^2) + eps), returned. w may be NULL.
     */
    float (*rmsnorm)(int64_t n, float *y, const float *x, const float *w, float eps);
    /* dx for one row, and dw += dy * x * inv (dw NULL: not wanted; w NULL: ones). */
    void (*rmsnorm_grad)(int64_t n, float *dx, float *dw, const float *dy, const float *x,
                         const float *w, float inv);
    /* One row of LayerNorm: y = (x - mean) * inv * w + b; stats = {mean, inv}. w, b may be NULL. */
    void (*layernorm)(int64_t n, float *y, const float *x, const float *w, const float *b,
                      float eps, float stats[2]);
    /* dx, dw += dy*(x-mean)*inv, db += dy; dw, db may be NULL. */
    void (*layernorm_grad)(int64_t n, float *dx, float *dw, float *db, const float *dy,
                           const float *x, const float *w, const float stats[2]);

    /* Rotates n pairs by given angles: (a, b) -> (a*cos - b*sin, a*sin + b*cos). */
    void (*rotate)(int64_t n, float *ya, float *yb, const float *a, const float *b,
                   const float *cos, const float *sin); /* NEOX: a and b are two halves */
    void (*rotate_pairs)(int64_t n, float *y, const float *x, const float *cos,
                         const float *sin); /* interleaved: x = a0 b0 a1 b1 ... (2n floats) */

    void (*bf16_to_f32)(int64_t n, float *y, const ml_bf16 *x);
    void (*f32_to_bf16)(int64_t n, ml_bf16 *y, const float *x);
    void (*f16_to_f32)(int64_t n, float *y, const uint16_t *x);
    void (*f32_to_f16)(int64_t n, uint16_t *y, const float *x);

    /* y[r][i] = sum over p of W[i,p] x[r,p], r < rows, i < n, p < k: a product of few rows. Row
     * strides ldy, ldw, ldx in elements; W of type F32, BF16 or F16 is read once for all rows. Each
     * result is formed as if its row were alone. */
    void (*gemv)(int64_t rows, int64_t n, int64_t k, float *y, int64_t ldy, const void *w,
                 enum ml_dtype w_type, int64_t ldw, const float *x, int64_t ldx);

    /* y[i] = sum over p of x[p] W[p,i], i < n, p < k: rows of W, ldw apart, weighed. */
    void (*mix)(int64_t n, int64_t k, float *y, const void *w, enum ml_dtype w_type, int64_t ldw,
                const float *x);

    /* y[r][i] = sum over p of W[p,i] x[r,p] for `count` panels of gemm_f32.nr columns, each [k][nr]
     * of w_type, one after the other; r < rows. Each result is formed as if its row were alone. */
    void (*panels)(int64_t rows, int64_t count, int64_t k, float *y, int64_t ldy, const void *w,
                   enum ml_dtype w_type, const float *x, int64_t ldx);

    /* Planes that slide over each other (depthwise convolution), `rows` of n places, ldy and ldx
     * apart. y[r][i] = (add ? y[r][i] : bias) + sum over taps of w[t] * x[r * ldx + at[t] + i]. */
    void (*slide)(int64_t rows, int64_t n, float *y, int64_t ldy, float bias, int64_t taps,
                  const int32_t *at, const float *x, int64_t ldx, const float *w, bool add);
    /* Rows of n numbers, `step` apart (rows: ld), to rows of `pitch`: `left` zeros before, zeros
     * behind. */
    void (*pad_rows)(int64_t rows, float *to, int64_t pitch, const float *x, int64_t ld,
                     int64_t step, int64_t left, int64_t n);
    /* Rows of channels to planes: to[c * plane + r] = sums[r * row + c] + bias[c]; bias may be
     * NULL. */
    void (*turn_rows)(int64_t rows, int64_t channels, float *to, int64_t plane, const float *sums,
                      int64_t row, const float *bias);
    /* dw[t] += sum over places of x[r * ldx + at[t] + i] * dy[r * ldy + i]. */
    void (*slide_dw)(int64_t rows, int64_t n, float *dw, int64_t taps, const int32_t *at,
                     const float *x, int64_t ldx, const float *dy, int64_t ldy);

    /* Winograd's F(2x2, 3x3) (arXiv:1509.09308), of numbers in f32.
     * source: B' d B for n cells, to[q * plane + i] (q < 16) from the four rows x[at[r] + 2 * i +
     * c] (r, c < 4); up to 32 numbers that follow are read. weights: G g G' for n columns, n a
     * multiple of gemm_f32.nr: to[q * plane + i] from w[9][n]; turned: the kernel by half a turn.
     * result: A' m A for cells side by side with n columns each, n likewise: m is sums[q * plane +
     * cell * n + i]; y[(2 * cell) * n + i], the place right of it, and both a `row` on. */
    void (*winograd_source)(int64_t n, float *to, int64_t plane, const float *x, const int32_t *at);
    void (*winograd_weights)(int64_t n, float *to, int64_t plane, const float *w, bool turned);
    void (*winograd_result)(int64_t cells, int64_t n, float *y, int64_t row, const float *sums,
                            int64_t plane);

    void (*adamw)(int64_t n, float *w, float *m, float *v, const float *g,
                  const struct ml_adamw_step *step);

    /* MinHash: least[j] = min(least[j], min over i of a[j] * x[i] + b[j] mod 2^32), i < n, j < k.
     */
    void (*minhash)(int64_t n, int64_t k, uint32_t *least, const uint32_t *x, const uint32_t *a,
                    const uint32_t *b);

    /* out[r] = sum over i of w[r * ldw + i] * x[i], r < rows, i < n: exact. */
    void (*i8_dots)(int64_t rows, int64_t n, int32_t *out, const int8_t *w, int64_t ldw,
                    const int8_t *x);

    struct ml_gemm_kernel gemm_f32, gemm_bf16; /* bf16 inputs, f32 accumulation */
    struct ml_gemm_i8_kernel gemm_i8;
};

/* Fills the table with the best that this processor has, at most `limit` (ML_ISA_COUNT - 1: no
 * limit). Cheap; the caller keeps the table (no globals). */
void ml_kernels_init(struct ml_kernels *out, enum ml_isa limit);
/* The best instruction set of this processor. */
enum ml_isa ml_isa_detect(void);
const char *ml_isa_name(enum ml_isa isa);
/* Whether this program was built with it: instruction sets of other families are not there. */
bool ml_isa_built(enum ml_isa isa);
/* True when bf16 GEMMs run on bf16 hardware (else they are computed in f32). */
bool ml_kernels_have_bf16(const struct ml_kernels *k);

#endif
