/* How conv2d and conv2d_dx cut their work (op_conv_pull.c), for it and for Winograd's form of it
 * (op_conv_winograd.c). */
#ifndef ML_TENSOR_OP_CONV_PULL_H
#define ML_TENSOR_OP_CONV_PULL_H

#include "tensor/op_conv_band.h"

struct ml_pull {
    struct ml_run *context; /* NULL while memory is counted */
    const struct ml_kernels *k;
    const struct ml_gemm_kernel *u;
    const struct ml_tensor *t, *source, *w, *bias;
    const struct ml_conv_attr *attr;
    struct ml_conv_sizes z;
    bool backward;     /* conv2d_dx */
    bool winograd;     /* a grid's place is a cell of 2 x 2 places of the result */
    int64_t from, to;  /* channels of one group of the source and of the result */
    int64_t phases[2]; /* of the result: 1 forward, the strides backward */
    int64_t grid[2];   /* of one phase */
    int64_t result[2]; /* height and width of the result */
    int64_t taps;      /* most of any phase */
    int64_t part;      /* source channels at a time */
    /* a task */
    int64_t images, size[2];            /* places: images x rows x columns */
    int64_t wide;                       /* panels of nr channels of the result */
    int64_t pieces[2], batches, strips; /* how many make the grid, the batch, the channels */
    int64_t run, chunks;                /* pieces a task, and tasks for all pieces */
    bool resident; /* a task keeps all its weights packed, for all its pieces */
    size_t band_bytes, panel_bytes, sum_bytes, spare_bytes, offset_bytes;
    size_t turned_bytes; /* Winograd: source places in its form */
};

/* One task on one phase. */
struct ml_pull_work {
    const struct ml_pull *p;
    int64_t group, image, images;
    int64_t first[2], size[2]; /* places of the grid */
    int64_t channel, panels;   /* of the result, within the group */
    int64_t phase[2];
    struct ml_conv_axis axis[2]; /* of this phase's places */
    int64_t places;              /* that the tile walks over in one image */
    struct ml_conv_band layout;
    char *band, *panel, *spare;
    int32_t *at;
    float *sums;   /* [panel][image][places][nr]; Winograd: [panel][16][image][places][nr] */
    float *turned; /* Winograd: [16][source channel][image][places] */
};

/* The source's channels from c on, of image m of the task. */
const char *ml_pull_source(const struct ml_pull_work *at, int64_t m, int64_t c);

/* Weights [.., ..] of the result's channels [channel, + columns) and source channels [c, +
 * channels) with all taps of the phase, as f32 rows of nr columns: [source channel][tap][column].
 */
void ml_pull_turn_weights(const struct ml_pull_work *at, const struct ml_gemm_kernel *f32, char *to,
                          int64_t channel, int64_t columns, int64_t c, int64_t channels);

/* The weights of panel j for source channels from c on, packed now (`pack`) or before. */
char *ml_pull_weights(const struct ml_pull_work *at, int64_t j, int64_t c, bool pack);

/* Sums [rows][pitch][nr] of places first[], + size[] of the result's phase, one panel and image,
 * turned into rows of planes; bias, conversion. */
void ml_pull_store(const struct ml_pull_work *at, const int64_t first[2], const int64_t size[2],
                   int64_t pitch, const float *sums, int64_t image, int64_t channel);

#endif
