#include "data/curation.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/progress.h"
#include "base/utf8.h"
#include "data/curate_impl.h"
#include "data/record_fields.h"

/* Records that are in memory together, and bytes of their texts. */
enum { BATCH = 512 };
#define BATCH_BYTES ((size_t)32 << 20)

struct batch {
    struct ml_arena arena;
    struct ml_curate_item *items; /* [BATCH] */
    struct ml_signature *signatures;
    size_t count;
};

/* One loop over a batch: which steps, and what went wrong. */
struct pass {
    struct ml_curate_run *run;
    struct batch *batch;
    struct ml_curate_worker *workers;
    int first, last;         /* steps whose `each` is called */
    int *status;             /* [BATCH] */
    struct ml_error *errors; /* [workers] */
};

/* ---- the steps over a batch ---- */

static void run_each(void *arg, int64_t task, int worker)
{
    struct pass *p = arg;
    struct ml_curate_item *item = &p->batch->items[task];
    struct ml_curate_worker *w = &p->workers[worker];
    w->scanned = NULL;
    for (int step = p->first; step <= p->last && item->dropped_at < 0; step++) {
        const struct ml_curate_kind *kind = ml_curate_step_at(p->run, step)->kind;
        if (!kind->each || (!item->is_text && !kind->any_kind))
            continue;
        p->status[task] = kind->each(p->run, w, step, item, &p->errors[worker]);
        if (p->status[task])
            return;
    }
}

static int run_join(struct pass *p, int step, struct ml_error *err)
{
    const struct ml_curate_kind *kind = ml_curate_step_at(p->run, step)->kind;
    int status = 0;
    for (size_t i = 0; status == 0 && i < p->batch->count; i++) {
        struct ml_curate_item *item = &p->batch->items[i];
        if (item->dropped_at < 0 && (item->is_text || kind->any_kind))
            status = kind->join(p->run, step, item, err);
    }
    return status;
}

static int first_failure(const struct pass *p, struct ml_error *err)
{
    for (size_t i = 0; i < p->batch->count; i++) {
        if (!p->status[i])
            continue;
        for (int w = 0; w < ml_pool_threads(p->run->options->pool); w++)
            if (p->errors[w].code && err && !err->code)
                *err = p->errors[w];
        return p->status[i];
    }
    return 0;
}

/* Steps up to the next one that compares records run together on all threads; then that one. */
static int run_steps(struct pass *p, struct ml_error *err)
{
    int count = p->run->recipe->step_count, status = 0;
    for (int step = 0; status == 0 && step < count;) {
        p->first = step;
        while (step < count - 1 && !ml_curate_step_at(p->run, step)->kind->join)
            step++;
        p->last = step;
        memset(p->status, 0, BATCH * sizeof *p->status);
        ml_pool_run(p->run->options->pool, (int64_t)p->batch->count, run_each, p);
        status = first_failure(p, err);
        if (status == 0 && ml_curate_step_at(p->run, step)->kind->join)
            status = run_join(p, step, err);
        step++;
    }
    return status;
}

/* ---- the report ---- */

struct ml_curate_reason *ml_curate_reason(struct ml_curate_report *report, int step,
                                          const char *why, bool changed)
{
    struct ml_curate_step_report *r = &report->steps[step];
    int at = 0;
    while (at < r->reason_count &&
           (r->reasons[at].changed != changed || strcmp(r->reasons[at].why, why) != 0))
        at++;
    if (at == ML_CURATE_MAX_REASONS) { /* the last place is for all the others */
        at--;
        snprintf(r->reasons[at].why, sizeof r->reasons[at].why, "other reasons");
    } else if (at == r->reason_count) {
        r->reason_count++;
        r->reasons[at].changed = changed;
        snprintf(r->reasons[at].why, sizeof r->reasons[at].why, "%s", why);
    }
    r->reasons[at].count++;
    return &r->reasons[at];
}

/* "source: beginning of the text (value)" in one line. */
static void put_example(struct ml_curate_reason *reason, const struct ml_curate_item *item)
{
    if (reason->count > ML_CURATE_EXAMPLES)
        return;
    char *out = reason->examples[reason->count - 1], text[61];
    size_t n = item->size < sizeof text - 1 ? item->size : sizeof text - 1;
    const char *source = item->record.source;
    size_t length = strlen(source), skip = length > 90 ? length - 90 : 0;
    while (skip && ((unsigned char)source[skip] & 0xC0) == 0x80)
        skip++;
    memcpy(text, item->text, n);
    n = ml_utf8_ready(text, n);
    text[n] = '\0';
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x20)
            text[i] = ' ';
    char value[32] = "";
    if (item->value != 0)
        snprintf(value, sizeof value, " (%.4g)", item->value);
    snprintf(out, sizeof reason->examples[0], "%s%s: %s%s%s", skip ? "..." : "", source + skip,
             text, n < item->size ? "..." : "", value);
}

static void count_item(struct ml_curate_report *report, const struct ml_curate_item *item)
{
    for (int step = 0; step < report->step_count; step++) {
        struct ml_curate_step_report *r = &report->steps[step];
        r->in++;
        if (item->touched >> step & 1) {
            r->changed++;
            for (int k = 0; k < ML_PII_COUNT; k++)
                if (item->redacted[k] && strcmp(r->name, "redact") == 0)
                    ml_curate_reason(report, step, ml_pii_name((enum ml_pii)k), true)->count +=
                        item->redacted[k] - 1;
        }
        if (item->dropped_at == step) {
            r->dropped++;
            put_example(ml_curate_reason(report, step, item->why, false), item);
            return;
        }
    }
    int64_t records = item->pieces.count ? (int64_t)item->pieces.count : 1;
    report->kept += records;
    report->kept_bytes += (int64_t)(item->is_text ? item->size : item->record.bytes);
    report->split[item->split] += records;
}

/* ---- reading ---- */

static int copy_record(struct ml_arena *arena, struct ml_record *to, const struct ml_record *from,
                       struct ml_error *err)
{
    const char **texts[] = {&to->kind,    &to->type,    &to->source, &to->title,
                            &to->licence, &to->consent, &to->meta,   &to->lineage};
    *to = *from;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!(*texts[i] = ml_arena_strdup(arena, *texts[i])))
            return ml_fail(err, ML_ERR_MEMORY, "out of memory curating");
    return 0;
}

static int load(struct batch *b, struct ml_workspace *ws, const struct ml_record *record,
                struct ml_blob_view *view, struct ml_error *err)
{
    struct ml_curate_item *item = &b->items[b->count];
    struct ml_record_fields fields = {.text = ""};
    const char *bytes;
    size_t n;
    bool good = true;
    item->is_text = strcmp(record->kind, "text") == 0;
    item->dropped_at = -1;
    item->signature = &b->signatures[b->count];
    item->text = "";
    int status = copy_record(&b->arena, &item->record, record, err);
    if (status || !item->is_text) {
        b->count += status == 0;
        return status;
    }
    status = ml_records_read(ws, record, view, &bytes, &n, err);
    if (status == 0)
        status = ml_record_fields_load(&fields, &b->arena, record, bytes, n, &good, err);
    if (status)
        return status;
    if (!good || !ml_utf8_valid(fields.text, fields.size)) {
        ml_curate_drop(item, 0, "not readable as a record", 0);
    } else {
        item->text = ml_arena_strndup(&b->arena, fields.text, fields.size);
        item->size = fields.size;
        if (!item->text)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory curating");
    }
    b->count++;
    return 0;
}

/* Empties the items; the memory of changed texts is used again. */
static void reset(struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        struct ml_buffer own = b->items[i].own, spare = b->items[i].spare;
        ml_mem_free(b->items[i].title);
        ml_mem_free(b->items[i].meta);
        own.size = spare.size = 0;
        ml_sound_print_clear(&b->items[i].print);
        ml_sound_pieces_clear(&b->items[i].pieces);
        b->items[i] = (struct ml_curate_item){.own = own, .spare = spare};
    }
    b->count = 0;
    ml_arena_reset(&b->arena);
}

static int take_batch(struct pass *p, struct ml_curate_writer *writer, int64_t *done,
                      struct ml_error *err)
{
    struct ml_curate_run *run = p->run;
    const struct ml_curate_options *o = run->options;
    int status = run_steps(p, err);
    for (size_t i = 0; status == 0 && i < p->batch->count; i++)
        count_item(run->report, &p->batch->items[i]);
    if (status == 0 && writer)
        status = ml_curate_writer_put(writer, run, p->batch->items, p->batch->count, err);
    *done += (int64_t)p->batch->count;
    reset(p->batch);
    if (status == 0 && o->progress && o->progress(o->arg, *done, run->report->records))
        status = ml_fail(err, ML_ERR_CANCELLED, "stopped while curating; no dataset was changed");
    return status;
}

static int read_all(struct pass *p, const struct ml_dataset *input, struct ml_curate_writer *writer,
                    struct ml_error *err)
{
    struct ml_record_cursor *cursor = NULL;
    struct ml_blob_view view = {0};
    const struct ml_record_filter filter = {.dataset = input->id};
    struct ml_record record;
    int64_t done = 0;
    int got = 0, status = ml_records_open(&cursor, p->run->workspace, &filter, err);
    while (status == 0 && (got = ml_records_next(cursor, &record, err)) > 0) {
        status = load(p->batch, p->run->workspace, &record, &view, err);
        if (status == 0 && (p->batch->count == BATCH || p->batch->arena.used_bytes > BATCH_BYTES))
            status = take_batch(p, writer, &done, err);
    }
    if (status == 0)
        status = got;
    if (status == 0)
        status = take_batch(p, writer, &done, err);
    ml_blob_view_clear(&view);
    ml_records_close(cursor);
    return status;
}

/* ---- all of it ---- */

static int prepare(struct ml_curate_run *run, const struct ml_dataset *input, struct ml_error *err)
{
    struct ml_curate_report *r = run->report;
    int status = 0;
    snprintf(r->input, sizeof r->input, "%s@%d", input->name, input->version);
    r->records = input->records;
    r->bytes = input->bytes;
    r->step_count = run->recipe->step_count;
    for (int i = 0; status == 0 && i < r->step_count; i++) {
        const struct ml_curate_step *step = ml_curate_step_at(run, i);
        snprintf(r->steps[i].name, sizeof r->steps[i].name, "%s", step->kind->name);
        if (step->kind->begin)
            status = step->kind->begin(run, step, err);
    }
    if (status == 0)
        status = ml_curate_redact_key(run, err);
    return status;
}

static int make_pass(struct pass *p, struct ml_error *err)
{
    int threads = ml_pool_threads(p->run->options->pool);
    ml_arena_init(&p->batch->arena, 1 << 20);
    p->batch->items = ml_mem_calloc(BATCH, sizeof *p->batch->items);
    p->batch->signatures = ml_mem_calloc(BATCH, sizeof *p->batch->signatures);
    p->workers = ml_mem_calloc((size_t)threads, sizeof *p->workers);
    p->errors = ml_mem_calloc((size_t)threads, sizeof *p->errors);
    p->status = ml_mem_calloc(BATCH, sizeof *p->status);
    if (!p->batch->items || !p->batch->signatures || !p->workers || !p->errors || !p->status)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory curating");
    for (int i = 0; i < threads; i++)
        ml_minhash_init(&p->workers[i].minhash);
    return 0;
}

static void end_pass(struct pass *p)
{
    for (int i = 0; p->workers && i < ml_pool_threads(p->run->options->pool); i++) {
        ml_word_scan_clear(&p->workers[i].scan);
        ml_classifier_work_clear(&p->workers[i].language);
        ml_quality_clear(&p->workers[i].quality);
        ml_minhash_clear(&p->workers[i].minhash);
        ml_pii_spans_clear(&p->workers[i].spans);
    }
    if (p->batch->items) {
        reset(p->batch);
        for (size_t i = 0; i < BATCH; i++) {
            ml_buffer_clear(&p->batch->items[i].own);
            ml_buffer_clear(&p->batch->items[i].spare);
        }
    }
    ml_mem_free(p->batch->items);
    ml_mem_free(p->batch->signatures);
    ml_mem_free(p->workers);
    ml_mem_free(p->errors);
    ml_mem_free(p->status);
    ml_arena_clear(&p->batch->arena);
}

static void end_run(struct ml_curate_run *run)
{
    ml_classifier_free(run->languages);
    ml_text_set_clear(&run->seen);
    ml_text_set_clear(&run->exam);
    ml_near_index_clear(&run->near);
    ml_near_index_clear(&run->splits);
    ml_hash_index_clear(&run->pictures);
    ml_print_index_clear(&run->sounds);
    for (int i = 0; i < 3; i++)
        ml_print_index_clear(&run->split_sounds[i]);
    for (int i = 0; i < 3; i++)
        ml_hash_index_clear(&run->split_pictures[i]);
    ml_mem_free(run->keys);
}

static int write_all(struct pass *p, const struct ml_dataset *input, const char *output,
                     struct ml_error *err)
{
    struct ml_curate_writer writer = {0};
    int status = ml_curate_writer_begin(&writer, p->run, input, output, err);
    if (status == 0)
        status = read_all(p, input, &writer, err);
    if (status == 0)
        status = ml_curate_writer_finish(&writer, p->run, output, err);
    ml_curate_writer_clear(&writer);
    return status;
}

static int check_names(const char *input, const char *output, bool dry_run, struct ml_error *err)
{
    if (!input || !*input)
        return ml_fail(err, ML_ERR_ARG, "which dataset? name it as input in the recipe");
    if (!dry_run && (!output || !*output))
        return ml_fail(err, ML_ERR_ARG, "which dataset is made? name it as output in the recipe");
    size_t n = strcspn(input, "@");
    if (output && strlen(output) == n && memcmp(input, output, n) == 0)
        return ml_fail(err, ML_ERR_ARG,
                       "input and output are both \"%.100s\"; the output needs a name of its own",
                       output);
    return 0;
}

int ml_curate(struct ml_workspace *ws, const struct ml_curate_recipe *recipe,
              const struct ml_curate_options *options, struct ml_curate_report *report,
              struct ml_error *err)
{
    static const struct ml_curate_options defaults;
    const struct ml_curate_options *o = options ? options : &defaults;
    const char *output = o->output ? o->output : recipe->output;
    const char *from = o->input ? o->input : recipe->input;
    struct ml_curate_run run = {.workspace = ws,
                                .options = o,
                                .recipe = recipe,
                                .report = report,
                                .reading = PTHREAD_MUTEX_INITIALIZER};
    struct batch batch = {0};
    struct pass pass = {.run = &run, .batch = &batch};
    struct ml_dataset input;
    double began = ml_time();
    *report = (struct ml_curate_report){0};
    int status = check_names(from, output, o->dry_run, err);
    if (status == 0)
        status = ml_datasets_open(ws, from, &input, err);
    if (status)
        return status;
    status = make_pass(&pass, err);
    if (status == 0)
        status = prepare(&run, &input, err);
    if (status == 0)
        status =
            o->dry_run ? read_all(&pass, &input, NULL, err) : write_all(&pass, &input, output, err);
    end_pass(&pass);
    end_run(&run);
    report->seconds = ml_time() - began;
    return status;
}
