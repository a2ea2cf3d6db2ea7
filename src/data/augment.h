/* What all augmentation has in common: it is for the records that are trained on. */
#ifndef ML_DATA_AUGMENT_H
#define ML_DATA_AUGMENT_H

#include "base/fail.h"

enum ml_augment_split { ML_AUGMENT_TRAIN, ML_AUGMENT_VALIDATION, ML_AUGMENT_TEST };

/* 0 for the split to train on, else ML_ERR_STATE: what measures a model stays as it is. */
static inline int ml_augment_check(enum ml_augment_split split, struct ml_error *err)
{
    if (split == ML_AUGMENT_TRAIN)
        return 0;
    return ml_fail(err, ML_ERR_STATE,
                   "only what is trained on is augmented; what measures a model stays as it is");
}

#endif
