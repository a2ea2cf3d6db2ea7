#include <math.h>

#include "base/fail.h"
#include "train/train_impl.h"

int trainer_evaluate(struct trainer *t, int64_t batches, double *loss, struct ml_error *err)
{
    int64_t all = ml_batches_count(t->validation);
    int64_t n = batches > 0 && batches < all ? batches : all, targets = 0;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (t->job->cancel && *t->job->cancel)
            return ml_fail(err, ML_ERR_CANCELLED, "stopped while measuring");
        /* Spread evenly, the same ones each time. */
        int64_t count = ml_batches_get(t->validation, i * all / n, &t->measure.batch);
        int status = ml_run(t->measure.plan, 0, err);
        if (status < 0)
            return status;
        sum += (double)count * (double)*(float *)t->measure.loss->data;
        targets += count;
        if (n > 4)
            trainer_report(t, "evaluate", (double)(i + 1), (double)n);
    }
    *loss = sum / (double)targets;
    return 0;
}
