/* Labelling the rest: a text classifier learns from what people answered in a queue (of kind
 * choice) and proposes answers for the records that nobody has answered, with how sure it is. The
 * queue then gives the least sure first. */
#ifndef ML_DATA_LABEL_LEARN_H
#define ML_DATA_LABEL_LEARN_H

#include <stdbool.h>
#include <stdint.h>

#include "maliang/error.h"
#include "store/workspace.h"

enum { ML_LABEL_LEAST = 10 }; /* answers, to learn from */

struct ml_label_learnt {
    int64_t answers;  /* records that people answered, the answer of most of them counts */
    int64_t proposed; /* records that got a proposal */
    double accuracy;  /* of answers that were held out (five parts, each once); NaN: too few */
    double by_chance; /* share of the most frequent answer */
};
/* The classifier is kept as WORKSPACE/models/label-QUEUE.mlc; its proposals take the place of those
 * that it made before. ML_ERR_STATE: fewer than ML_LABEL_LEAST answers, or all are the same. */
int ml_label_queue_learn(struct ml_workspace *workspace, const char *queue,
                         const volatile int *cancel, struct ml_label_learnt *out,
                         struct ml_error *err);

#endif
