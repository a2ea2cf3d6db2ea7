/* Learning-rate schedules: a factor in [0, 1] of the peak rate for each step. */
#ifndef ML_NN_SCHEDULE_H
#define ML_NN_SCHEDULE_H

#include <stdint.h>

enum ml_schedule_kind {
    ML_SCHEDULE_COSINE,   /* half a cosine from 1 to the floor (arXiv:1608.03983) */
    ML_SCHEDULE_CONSTANT, /* 1 */
    ML_SCHEDULE_LINEAR,   /* a straight line from 1 to the floor */
    ML_SCHEDULE_WSD,      /* warm-up, stable, then a straight line (MiniCPM, arXiv:2404.06395) */
    ML_SCHEDULE_COUNT
};

struct ml_schedule {
    enum ml_schedule_kind kind;
    int64_t steps;  /* of the whole run */
    int64_t warmup; /* step s < warmup gets (s + 1) / warmup */
    double floor;   /* the factor at the end, in [0, 1] */
    double decay;   /* WSD: share of the run that decays, in (0, 1]; 0 is taken as 0.2 */
};

/* step counts from 0; from `steps` on it is the floor (1 for constant). */
double ml_schedule_at(const struct ml_schedule *schedule, int64_t step);

#endif
