#include "nn/schedule.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

double ml_schedule_at(const struct ml_schedule *s, int64_t step)
{
    if (step < 0)
        step = 0;
    if (step < s->warmup)
        return (double)(step + 1) / (double)s->warmup;
    if (s->kind == ML_SCHEDULE_CONSTANT)
        return 1.0;
    double decay = s->decay > 0 ? s->decay : 0.2;
    int64_t start = s->warmup;
    if (s->kind == ML_SCHEDULE_WSD) {
        int64_t stable = s->steps - (int64_t)llround(decay * (double)s->steps);
        start = stable > start ? stable : start;
    }
    if (step < start)
        return 1.0;
    if (step >= s->steps)
        return s->floor;
    double x = (double)(step - start) / (double)(s->steps - start); /* [0, 1) */
    double fall = s->kind == ML_SCHEDULE_COSINE ? 0.5 * (1.0 + cos(pi * x)) : 1.0 - x;
    return s->floor + (1.0 - s->floor) * fall;
}
