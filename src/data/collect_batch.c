/* Batches: how much is kept at once while collecting (data/collect_impl.h). */
#include "base/fail.h"
#include "base/progress.h"
#include "data/collect_impl.h"

/* A batch ends, and others may write, after so many records, bytes or seconds. */
#define BATCH_RECORDS 1000
#define BATCH_BYTES   ((uint64_t)64 << 20)
#define BATCH_SECONDS 0.5

int ml_collect_tell(struct ml_collector *c, struct ml_error *err)
{
    const struct ml_collect_options *o = c->options;
    if (o->progress && o->progress(o->arg, c->done, c->total, c->path) != 0)
        return ml_fail(err, ML_ERR_CANCELLED,
                       "stopped while collecting; what was collected stays, and collecting again "
                       "goes on from there");
    return 0;
}

int ml_collect_begin_batch(struct ml_collector *c, struct ml_error *err)
{
    if (c->open)
        return 0;
    int status = ml_workspace_begin(c->ws, err);
    if (status)
        return status;
    c->open = true;
    c->batch_records = c->batch_bytes = 0;
    c->batch_began = ml_time();
    return 0;
}

static int end_batch(struct ml_collector *c, int status, struct ml_error *err)
{
    if (!c->open)
        return status;
    c->open = false;
    status = ml_workspace_end(c->ws, status, err);
    if (status == 0)
        c->kept = *c->report;
    return status;
}

int ml_collect_next_batch(struct ml_collector *c, struct ml_error *err)
{
    bool full = c->batch_records >= BATCH_RECORDS || c->batch_bytes >= BATCH_BYTES ||
                (c->batch_records % 64 == 0 && ml_time() - c->batch_began > BATCH_SECONDS);
    if (!full)
        return 0;
    int status = end_batch(c, 0, err);
    if (status == 0)
        status = ml_collect_tell(c, err);
    return status ? status : ml_collect_begin_batch(c, err);
}

void ml_collector_open(struct ml_collector *c, struct ml_workspace *ws,
                       const struct ml_collect_options *options, struct ml_collect_report *report)
{
    *c = (struct ml_collector){
        .ws = ws, .options = options, .report = report, .kept = *report, .path = ""};
    ml_arena_init(&c->scratch, 0);
}

int ml_collector_close(struct ml_collector *c, int status, struct ml_error *err)
{
    status = end_batch(c, status, err);
    if (status) /* what a batch did that was not kept does not count */
        *c->report = c->kept;
    ml_arena_clear(&c->scratch);
    return status;
}
