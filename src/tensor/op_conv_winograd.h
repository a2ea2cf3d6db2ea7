/* Kernels of 3x3 with a stride of 1 in Winograd's form F(2x2, 3x3): Lavin & Gray, "Fast Algorithms
 * for Convolutional Neural Networks", arXiv:1509.09308. */
#ifndef ML_TENSOR_OP_CONV_WINOGRAD_H
#define ML_TENSOR_OP_CONV_WINOGRAD_H

#include "tensor/op_conv_pull.h"

#define ML_WINOGRAD_FORM 16 /* numbers that stand for the 4 x 4 which a cell of 2 x 2 meets */
#define ML_WINOGRAD_BAND 8  /* source channels that are copied at a time */

/* Whether a convolution (or a gradient) with these axes can be had in this form and gains. */
bool ml_winograd_fits(const struct ml_conv_axis axis[2], int64_t from, int64_t to);

/* The layout of what the cells of a piece meet: even and odd rows apart, an even pitch. */
void ml_winograd_band(const struct ml_pull *p, struct ml_conv_band *band,
                      const struct ml_conv_axis axis[2]);

/* Source channels at a time, of at most `most`. */
int64_t ml_winograd_part(const struct ml_pull *p, int64_t most);

/* Cells that are computed for size[] cells of one image: whole rows with their gaps. */
int64_t ml_winograd_walk(const struct ml_conv_band *b, const int64_t size[2]);

/* A panel of weights: [16][source channel][column]. */
void ml_winograd_weights(const struct ml_pull_work *at, char *panel, int64_t channel,
                         int64_t columns, int64_t c, int64_t channels);

/* One piece of a task, from source to result. */
void ml_winograd_piece(struct ml_pull_work *at);

#endif
