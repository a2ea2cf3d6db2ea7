/* Fusion: which nodes of a plan are computed together. All rules stand in fuse.c; the ops only obey
 * the flag, so that a graph means the same with and without them. */
#ifndef ML_TENSOR_FUSE_H
#define ML_TENSOR_FUSE_H

#include "tensor/graph.h"

/* Marks `steps`, which are what a plan runs, in order. An accelerator has its own forms of the ops
 * and knows no marks: only where everything runs on the processor (`here`) are there any. */
void ml_fuse(struct ml_tensor *const *steps, int count, bool here);

/* op_loss.c: rows of all words' logits have room for good products. */
bool ml_loss_fits_whole(const struct ml_tensor *cross_entropy);

#endif
