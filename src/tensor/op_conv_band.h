/* A piece of the source, copied so that every tap of a convolution finds the numbers of
 * neighbouring places next to each other, padding included. Nothing is stored per tap: a tap is an
 * offset into the band.
 *
 * The piece is what a rectangle of the grid (rows x columns places of some images) meets. Layout:
 *
 *     [image][block of kr channels][row phase][column phase][row][pitch][kr]
 *
 * A stride of s makes s phases, so that places stay neighbours. The pitch is as short as it can be:
 * the zeros right of a row are the zeros left of the next. */
#ifndef ML_TENSOR_OP_CONV_BAND_H
#define ML_TENSOR_OP_CONV_BAND_H

#include "tensor/op_conv.h"

struct ml_conv_band {
    const struct ml_kernels *k;
    const struct ml_gemm_kernel *u;
    bool plain;
    int64_t kr;                  /* channels side by side */
    struct ml_conv_axis axis[2]; /* of the whole grid */
    int64_t size[2];             /* places: rows, columns */
    int64_t low[2], reach[2];    /* the first tap's place in the source; from there to the last's */
    int64_t split[2];            /* phases in use */
    int64_t rows, pitch;         /* of a plane of one phase */
    int64_t plane, block, image; /* numbers from one to the next */
    bool ready;                  /* the source itself can be walked over: nothing is copied */
};

/* The layout for rectangles of size[] of the axes' grid, `channels` of the source (of `dtype`) at a
 * time. plain: each channel by itself (kr is 1), for a product over places. A plain band in bf16
 * takes a source of bf16. */
void ml_conv_band_init(struct ml_conv_band *b, const struct ml_kernels *k,
                       const struct ml_gemm_kernel *u, bool plain, enum ml_dtype dtype,
                       const struct ml_conv_axis axis[2], const int64_t size[2], int64_t channels);

/* Rows of at least `pitch` places. */
void ml_conv_band_widen(struct ml_conv_band *b, int64_t pitch, int64_t channels);

/* Bytes for `images` images, and what a tile may read or write beyond. */
size_t ml_conv_band_bytes(const struct ml_conv_band *b, int64_t images);

/* Steps of the register tile: one for each block of kr channels and tap, in this order. */
int64_t ml_conv_band_steps(const struct ml_conv_band *b, int64_t channels);

/* Where each step's numbers for the rectangle's first place lie: at[steps]. */
void ml_conv_band_offsets(const struct ml_conv_band *b, int64_t channels, int32_t *at);

/* Where the band of that rectangle begins in the source itself, if it is `ready`. */
const char *ml_conv_band_in_source(const struct ml_conv_band *b, const void *source,
                                   const int64_t first[2]);

/* Else: fills `to` with the rectangle at grid place first[] of one image, `channels` planes from
 * `source` on. */
void ml_conv_band_fill(const struct ml_conv_band *b, void *to, const void *source,
                       enum ml_dtype dtype, int64_t channels, const int64_t first[2]);

#endif
