/* The loop. */
#include "train/trainer.h"

#include <math.h>

#include "base/fail.h"
#include "train/train_impl.h"

/* Measures; keeps the weights when they are the best so far. */
static int measure(struct trainer *t, struct ml_error *err)
{
    struct train_state *s = &t->state;
    int64_t batches = t->recipe.train.eval_batches ? t->recipe.train.eval_batches : 64;
    double loss;
    int status = trainer_evaluate(t, batches, &loss, err);
    if (status < 0)
        return status;
    s->validation_loss = loss;
    if (loss < s->best_loss || (s->best_step < 0 && isfinite(loss))) {
        s->best_loss = loss;
        s->best_step = s->step;
        s->stale = 0;
        status = checkpoint_save_best(t, err);
    } else {
        s->stale++;
        s->stopped = t->recipe.train.patience > 0 && s->stale >= t->recipe.train.patience;
    }
    struct ml_metrics_row row = {.step = s->step,
                                 .loss = NAN,
                                 .validation_loss = loss,
                                 .learning_rate = NAN,
                                 .gradient_norm = NAN,
                                 .tokens_per_second = NAN,
                                 .epoch = NAN};
    if (status == 0)
        status = ml_metrics_add(&t->metrics, &row, err);
    if (status == 0)
        status = ml_metrics_draw(&t->metrics, t->recipe.name, 10, err);
    return status;
}

static bool due(int64_t step, int64_t every)
{
    return every > 0 && step % every == 0;
}

static bool cancelled(const struct trainer *t)
{
    return t->job->cancel && *t->job->cancel;
}

/* What comes after a step, in the order that a resumed run repeats: measure, save, show. */
static int after_step(struct trainer *t, struct ml_error *err)
{
    const struct ml_recipe *r = &t->recipe;
    int64_t step = t->state.step;
    bool last = step >= r->train.steps;
    int status = 0;
    if (t->validation && (last || due(step, r->train.eval_every)))
        status = measure(t, err);
    if (status < 0)
        return status;
    t->state.pending = false;
    last = last || t->state.stopped;
    if ((last || due(step, r->train.checkpoint_every)))
        status = checkpoint_save(t, err);
    if (status == 0 && t->job->sample && due(step, r->sample.every))
        status = trainer_sample(t, err);
    trainer_report(t, "train", (double)step, (double)r->train.steps);
    return status;
}

static int stop(struct trainer *t, struct ml_error *err)
{
    int status = t->saved_step == t->state.step ? 0 : checkpoint_save(t, err);
    if (status < 0)
        return status;
    return ml_fail(err, ML_ERR_CANCELLED,
                   "stopped at step %lld of %lld; the same command goes on from here",
                   (long long)t->state.step, (long long)t->recipe.train.steps);
}

static int loop(struct trainer *t, struct ml_error *err)
{
    int status = 0;
    while (status == 0) {
        if (t->state.pending) { /* a step was done; it may come from a checkpoint */
            status = after_step(t, err);
            if (status == ML_ERR_CANCELLED && err)
                *err = (struct ml_error){0}; /* stop() says it better */
        }
        if (status == ML_ERR_CANCELLED || (status == 0 && cancelled(t)))
            return stop(t, err);
        if (status < 0 || t->state.stopped || t->state.step >= t->recipe.train.steps)
            break;
        status = trainer_step(t, err);
    }
    return status;
}

int ml_train_run(const struct ml_train_job *job, struct ml_train_result *out, struct ml_error *err)
{
    struct trainer t;
    struct ml_train_result result = {0};
    int status = trainer_open(&t, job, err);
    if (status == 0)
        status = loop(&t, err);
    if (status == 0)
        status = trainer_finish(&t, &result, err);
    trainer_close(&t);
    if (status == 0)
        *out = result;
    return status;
}
