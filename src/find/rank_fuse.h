/* Several ranked lists to one by reciprocal rank (Cormack, Clarke & Buettcher 2009): an item scores
 * the sum of 1 / (60 + its rank) over the lists that have it. */
#ifndef ML_FIND_RANK_FUSE_H
#define ML_FIND_RANK_FUSE_H

#include "find/vector_set.h"

struct ml_fused {
    uint32_t row;
    double score;
    int rank[2];    /* in each list, from 1; 0: not in it */
    float value[2]; /* what the list said of it */
};
/* a, b: best first. out has room for na + nb; *count is how many there are, best first. */
void ml_rank_fuse(const struct ml_near *a, int na, const struct ml_near *b, int nb,
                  struct ml_fused *out, int *count);

#endif
