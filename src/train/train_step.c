/* One optimiser step: batches, gradients, clip, update; and what happens when numbers break. */
#include <math.h>

#include "base/fail.h"
#include "base/progress.h"
#include "nn/grads.h"
#include "nn/schedule.h"
#include "train/train_impl.h"

#define BAD_IN_ROW    5 /* steps without a finite loss before the run goes back */
#define MAX_ROLLBACKS 3

/* Dropout's seed of one batch (the finaliser of splitmix64 over both numbers). */
static uint64_t batch_seed(uint64_t seed, uint64_t number)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + number + 1;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Runs the step's batches. *loss is the mean over all targets; the optimiser's gradients are to be
 * multiplied by *scale. Batches count by their targets, so that several small ones make the same
 * step as one large one. */
static int compute_gradients(struct trainer *t, double *loss, int64_t *targets, double *scale,
                             struct ml_error *err)
{
    int64_t parts = t->recipe.train.accumulation;
    double sum = 0;
    *targets = 0;
    for (int64_t part = 0; part < parts; part++) {
        int64_t number = t->state.step * parts + part;
        int64_t n = ml_batches_get(t->train, number, &t->forward.batch);
        int status = ml_run(t->forward.plan,
                            batch_seed((uint64_t)t->recipe.train.seed, (uint64_t)number), err);
        if (status < 0)
            return status;
        status = ml_plan_fetch(t->forward.plan, t->forward.loss, err);
        if (status < 0)
            return status;
        sum += (double)n * (double)*(float *)t->forward.loss->data;
        *targets += n;
        for (int i = 0; i < t->model.params.count; i++)
            t->grads[i] = ml_plan_numbers(t->forward.plan, t->forward.grads[i]);
        if (parts > 1)
            status = ml_grads_accumulate(&t->model.params, t->sums, t->grads, (float)n, part == 0,
                                         t->job->device, err);
        if (status < 0)
            return status;
    }
    if (parts > 1)
        for (int i = 0; i < t->model.params.count; i++)
            t->grads[i] = t->sums[i];
    *loss = sum / (double)*targets;
    *scale = parts > 1 ? 1.0 / (double)*targets : 1.0;
    return 0;
}

static double rate_factor(const struct trainer *t)
{
    struct ml_schedule schedule = {
        .kind = (enum ml_schedule_kind)t->recipe.train.schedule,
        .steps = t->recipe.train.steps,
        .warmup = t->recipe.train.warmup,
        .floor = t->recipe.train.min_lr,
        .decay = t->recipe.train.decay,
    };
    return ml_schedule_at(&schedule, t->state.step) * t->state.lr_scale;
}

/* A step whose loss or gradient is not finite changes nothing. Too many in a row: back to the last
 * checkpoint with half the rate; too often: give up. */
static int skip_step(struct trainer *t, double loss, double norm, struct ml_error *err)
{
    struct train_state *s = &t->state;
    s->step++;
    s->skipped++;
    s->pending = true;
    if (++s->bad_in_row < BAD_IN_ROW)
        return 0;
    if (s->rollbacks == MAX_ROLLBACKS)
        return ml_fail(err, ML_ERR_NUMERIC,
                       "the loss stays broken around step %lld (loss %g, gradient norm %g) even at "
                       "%g of the learning rate: lower train.lr or look at the data",
                       (long long)s->step, loss, norm, s->lr_scale);
    int64_t rollbacks = s->rollbacks + 1, skipped = s->skipped, broken = s->step;
    double scale = s->lr_scale / 2;
    bool found;
    int status = checkpoint_load(t, &found, err);
    if (status == 0 && !found)
        status =
            ml_fail(err, ML_ERR_NOT_FOUND, "%s holds no checkpoint to go back to", t->checkpoints);
    if (status < 0)
        return status;
    s->rollbacks = rollbacks;
    s->skipped = skipped;
    s->lr_scale = scale;
    s->bad_in_row = 0;
    ml_metrics_close(&t->metrics);
    ml_log(t->job->log, ML_LOG_WARN,
           "the loss broke at step %lld: back to step %lld with %g of the learning rate",
           (long long)broken, (long long)s->step, scale);
    return ml_metrics_open(&t->metrics, t->job->folder, s->step, err);
}

static int log_step(struct trainer *t, double loss, double speed, struct ml_error *err)
{
    struct train_state *s = &t->state;
    int64_t every = t->recipe.train.steps / 500 + 1;
    s->train_loss = loss;
    s->log_loss += loss;
    s->log_count++;
    if (s->step % every != 0 && s->step != t->recipe.train.steps)
        return 0;
    struct ml_metrics_row row = {
        .step = s->step,
        .loss = s->log_loss / (double)s->log_count,
        .validation_loss = NAN,
        .learning_rate = t->learning_rate,
        .gradient_norm = t->gradient_norm,
        .tokens_per_second = speed,
        .epoch = ml_batches_epoch(t->train, s->step * t->recipe.train.accumulation),
    };
    s->log_loss = 0;
    s->log_count = 0;
    return ml_metrics_add(&t->metrics, &row, err);
}

int trainer_step(struct trainer *t, struct ml_error *err)
{
    double began = ml_time(), loss, scale;
    int64_t targets;
    int status = compute_gradients(t, &loss, &targets, &scale, err);
    if (status < 0)
        return status;
    double norm;
    status =
        ml_grads_norm(&norm, &t->model.params, (const float *const *)t->grads, t->job->device, err);
    if (status < 0)
        return status;
    norm *= scale;
    if (!isfinite(loss) || !isfinite(norm))
        return skip_step(t, loss, norm, err);
    double clip = t->recipe.train.clip;
    if (clip > 0 && norm > clip)
        scale *= clip / (norm + 1e-6); /* as torch.nn.utils.clip_grad_norm_ */
    double factor = rate_factor(t);
    struct ml_optim_rates rates = {.lr = (float)(factor * t->recipe.train.lr),
                                   .matrix_lr = (float)(factor * t->recipe.train.matrix_lr),
                                   .grad_scale = (float)scale};
    status = ml_optim_step(t->optim, (const float *const *)t->grads, &rates, err);
    if (status < 0)
        return status;
    if (t->ema)
        status = ml_ema_update(t->ema, err);
    if (status < 0)
        return status;
    double took = ml_time() - began;
    t->step_seconds = t->step_seconds > 0 ? 0.9 * t->step_seconds + 0.1 * took : took;
    t->gradient_norm = norm;
    t->learning_rate = factor * t->recipe.train.lr;
    t->state.step++;
    t->state.pending = true;
    t->state.bad_in_row = 0;
    t->state.tokens += targets;
    t->state.seconds += took;
    return log_step(t, loss, (double)targets / t->step_seconds, err);
}
