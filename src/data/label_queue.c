#include "data/label_queue.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "data/label_text.h"
#include "store/labels.h"
#include "store/queues.h"

/* ---- queues ---- */

int ml_label_queue_start(struct ml_workspace *ws, const char *queue, const char *dataset,
                         const char *task, const char *task_name, struct ml_error *err)
{
    struct ml_arena arena;
    struct ml_label_task parsed;
    struct ml_dataset opened;
    char name[ML_NAME_BYTES + 16];
    ml_arena_init(&arena, 0);
    int status = ml_label_task_parse(&parsed, &arena, task, strlen(task), task_name, err);
    ml_arena_clear(&arena);
    if (status == 0)
        status = ml_datasets_open(ws, dataset, &opened, err);
    if (status)
        return status;
    snprintf(name, sizeof name, "%s@%d", opened.name, opened.version);
    const struct ml_queue_entry entry = {.name = queue, .dataset = name, .task = task};
    return ml_queues_add(ws, &entry, err);
}

int ml_label_queue_open(struct ml_label_queue *out, struct ml_workspace *ws, const char *name,
                        struct ml_arena *arena, struct ml_error *err)
{
    struct ml_queue_entry entry;
    struct ml_label_queue queue;
    int status = ml_queues_get(ws, name, arena, &entry, err);
    if (status)
        return status;
    queue.name = entry.name;
    status = ml_datasets_open(ws, entry.dataset, &queue.dataset, err);
    if (status == 0)
        status = ml_label_task_parse(&queue.task, arena, entry.task, strlen(entry.task), name, err);
    if (status == 0)
        *out = queue;
    return status;
}

/* ---- sessions ---- */

struct entry {
    int64_t record;
    double confidence; /* of the least sure proposal, NaN: no proposal that says */
    uint64_t hash;     /* its beginning */
    int labels;        /* of people, skips not counted */
    bool proposed, mine, skipped;
    bool passed; /* skipped in this session */
};

struct ml_label_session {
    struct ml_workspace *ws;
    struct ml_arena arena; /* queue and annotator */
    struct ml_label_queue queue;
    const char *annotator;
    bool over_skipped;
    struct entry *entries; /* in the order in which they are given */
    size_t count, capacity;
    size_t at;             /* none before it is left */
    int64_t again;         /* a record that was taken back and comes first, 0: none */
    struct entry *current; /* what was given and waits for its answer, NULL: none */
    struct ml_label_item item;
    struct ml_arena item_arena;
    struct ml_blob_view view;
    json_t *proposal;
};

const struct ml_label_task *ml_label_session_task(const struct ml_label_session *s)
{
    return &s->queue.task;
}

static int put_entry(struct ml_label_session *s, const struct ml_record *r, struct ml_error *err)
{
    uint8_t hash[ML_HASH_BYTES] = {0};
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 256;
        struct entry *grown = ml_mem_realloc(s->entries, capacity * sizeof *grown);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory opening a queue");
        s->entries = grown;
        s->capacity = capacity;
    }
    struct entry *e = &s->entries[s->count++];
    *e = (struct entry){.record = r->id, .confidence = NAN};
    ml_hash_parse(hash, r->hash);
    for (int i = 0; i < 8; i++)
        e->hash = e->hash << 8 | hash[i];
    return 0;
}

static int by_record(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return (x->record > y->record) - (x->record < y->record);
}

/* Proposals come first, by confidence; those that state none after those that do. */
static int by_turn(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    bool sx = !isnan(x->confidence), sy = !isnan(y->confidence);
    if (x->proposed != y->proposed)
        return y->proposed - x->proposed;
    if (sx != sy)
        return sy - sx;
    if (sx && x->confidence != y->confidence)
        return x->confidence < y->confidence ? -1 : 1;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return by_record(a, b);
}

static int load_records(struct ml_label_session *s, struct ml_error *err)
{
    struct ml_record_cursor *cursor;
    struct ml_record record;
    const struct ml_record_filter members = {.dataset = s->queue.dataset.id};
    int got = 0, status = ml_records_open(&cursor, s->ws, &members, err);
    if (status)
        return status;
    while (status == 0 && (got = ml_records_next(cursor, &record, err)) > 0)
        status = put_entry(s, &record, err);
    ml_records_close(cursor);
    if (status || got < 0)
        return status ? status : got;
    if (s->count == 0)
        return 0;
    qsort(s->entries, s->count, sizeof *s->entries, by_record);
    size_t kept = 1; /* a list may hold a record twice; it is labelled once */
    for (size_t i = 1; i < s->count; i++)
        if (s->entries[i].record != s->entries[i - 1].record)
            s->entries[kept++] = s->entries[i];
    s->count = kept;
    return 0;
}

static void note_label(struct ml_label_session *s, const struct ml_label *label)
{
    const struct entry key = {.record = label->record};
    struct entry *e = s->count ? bsearch(&key, s->entries, s->count, sizeof key, by_record) : NULL;
    if (!e)
        return;
    bool skip = strcmp(label->kind, ML_LABEL_SKIP) == 0;
    if (!*label->annotator) {
        e->proposed = true;
        if (!(e->confidence <= label->confidence)) /* true also while none is known */
            e->confidence = isnan(label->confidence) ? e->confidence : label->confidence;
    } else {
        bool mine = strcmp(label->annotator, s->annotator) == 0;
        e->labels += !skip;
        e->mine = e->mine || (mine && !skip);
        e->skipped = e->skipped || (mine && skip);
    }
}

static int load_labels(struct ml_label_session *s, struct ml_error *err)
{
    struct ml_label_cursor *cursor;
    struct ml_label label;
    const struct ml_label_filter all = {.queue = s->queue.name, .with_skips = true};
    int got, status = ml_labels_open(&cursor, s->ws, &all, err);
    if (status)
        return status;
    while ((got = ml_labels_next(cursor, &label, err)) > 0)
        note_label(s, &label);
    ml_labels_close(cursor);
    return got;
}

/* ---- open and close ---- */

int ml_label_session_open(struct ml_label_session **out, struct ml_workspace *ws, const char *queue,
                          const char *annotator, bool skipped, struct ml_error *err)
{
    struct ml_label_session *s = ml_mem_calloc(1, sizeof *s);
    if (!s)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory opening a queue");
    s->ws = ws;
    s->over_skipped = skipped;
    ml_arena_init(&s->arena, 0);
    ml_arena_init(&s->item_arena, 0);
    s->annotator = ml_arena_strdup(&s->arena, annotator);
    int status = 0;
    if (!s->annotator)
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory opening a queue");
    else if (!*annotator || strlen(annotator) > 128 || !ml_utf8_valid(annotator, strlen(annotator)))
        status = ml_fail(err, ML_ERR_ARG, "an annotator has a name of 1 to 128 bytes of UTF-8");
    if (status == 0)
        status = ml_label_queue_open(&s->queue, ws, queue, &s->arena, err);
    if (status == 0)
        status = load_records(s, err);
    if (status == 0)
        status = load_labels(s, err);
    if (status) {
        ml_label_session_close(s);
        return status;
    }
    if (s->count)
        qsort(s->entries, s->count, sizeof *s->entries, by_turn);
    *out = s;
    return 0;
}

static void forget_item(struct ml_label_session *s)
{
    json_decref(s->proposal);
    s->proposal = NULL;
    s->current = NULL;
    ml_arena_reset(&s->item_arena);
}

void ml_label_session_close(struct ml_label_session *s)
{
    if (!s)
        return;
    forget_item(s);
    ml_blob_view_clear(&s->view);
    ml_mem_free(s->entries);
    ml_arena_clear(&s->item_arena);
    ml_arena_clear(&s->arena);
    ml_mem_free(s);
}

/* ---- the next ---- */

static bool is_left(const struct ml_label_session *s, const struct entry *e)
{
    if (e->mine || e->passed)
        return false;
    return s->over_skipped ? e->skipped : !e->skipped && e->labels < s->queue.task.overlap;
}

/* What is stored about the record now: others label, too. */
static int look_again(struct ml_label_session *s, struct entry *e, struct ml_error *err)
{
    struct ml_label_cursor *cursor;
    struct ml_label label;
    const struct ml_label_filter filter = {
        .queue = s->queue.name, .record = e->record, .people = true, .with_skips = true};
    int got, status = ml_labels_open(&cursor, s->ws, &filter, err);
    if (status)
        return status;
    e->labels = 0;
    e->mine = e->skipped = false;
    while ((got = ml_labels_next(cursor, &label, err)) > 0) {
        bool skip = strcmp(label.kind, ML_LABEL_SKIP) == 0;
        bool mine = strcmp(label.annotator, s->annotator) == 0;
        e->labels += !skip;
        e->mine = e->mine || (mine && !skip);
        e->skipped = e->skipped || (mine && skip);
    }
    ml_labels_close(cursor);
    return got;
}

/* The answer that is proposed: after taking back the annotator's own, else the surest model's. */
static int find_proposal(struct ml_label_session *s, bool own, struct ml_error *err)
{
    struct ml_label_cursor *cursor;
    struct ml_label label;
    const struct ml_label_filter filter = {.queue = s->queue.name,
                                           .record = s->item.record.id,
                                           .annotator = own ? s->annotator : "",
                                           .with_replaced = own};
    double best = -2;
    int got = 0, status = ml_labels_open(&cursor, s->ws, &filter, err);
    if (status)
        return status;
    while (status == 0 && (got = ml_labels_next(cursor, &label, err)) > 0) {
        double sure = isnan(label.confidence) ? -1 : label.confidence;
        if (!own && sure < best)
            continue;
        json_t *value = NULL, *checked = NULL;
        status = ml_json_parse(&value, label.value, strlen(label.value), "a proposal", err);
        /* A model may propose what the task does not know: then there is no proposal. */
        int fits = status ? status
                          : ml_label_value_check(&checked, &s->queue.task, value,
                                                 s->item.characters, NULL);
        if (fits == ML_ERR_MEMORY && status == 0)
            status = ml_fail(err, ML_ERR_MEMORY, "out of memory opening a record");
        if (fits == 0) {
            json_decref(s->proposal);
            s->proposal = checked;
            s->item.confidence = label.confidence;
            s->item.model = ml_arena_strdup(&s->item_arena, own ? "" : label.model);
            if (!s->item.model)
                status = ml_fail(err, ML_ERR_MEMORY, "out of memory opening a record");
            best = sure;
        }
        json_decref(value);
    }
    ml_labels_close(cursor);
    s->item.proposal = s->proposal;
    return status ? status : got;
}

static int load_item(struct ml_label_session *s, struct entry *e, bool own, struct ml_error *err)
{
    struct ml_label_text loaded;
    forget_item(s);
    s->item = (struct ml_label_item){.model = "", .confidence = NAN};
    int status = ml_label_text_load(&loaded, s->ws, e->record, &s->item_arena, &s->view, err);
    if (status == 0) {
        s->item.record = loaded.record;
        s->item.text = loaded.text;
        s->item.text_size = loaded.size;
        s->item.characters = loaded.characters;
    }
    if (status == 0)
        status = find_proposal(s, own, err);
    if (status == 0 && own && !s->proposal)
        status = find_proposal(s, false, err);
    if (status == 0)
        s->current = e;
    return status;
}

static struct entry *find_entry(struct ml_label_session *s, int64_t record)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->entries[i].record == record)
            return &s->entries[i];
    return NULL;
}

/* Moves to the next record that is left; NULL: none is. */
static int advance(struct ml_label_session *s, struct entry **out, bool *own, struct ml_error *err)
{
    struct entry *again = s->again ? find_entry(s, s->again) : NULL;
    s->again = 0;
    *own = again != NULL;
    *out = again;
    while (!*out && s->at < s->count) {
        struct entry *e = &s->entries[s->at];
        int status = is_left(s, e) ? look_again(s, e, err) : 0;
        if (status)
            return status;
        if (is_left(s, e))
            *out = e;
        else
            s->at++;
    }
    return 0;
}

int ml_label_session_next(struct ml_label_session *s, struct ml_label_item *item,
                          struct ml_error *err)
{
    struct entry *e = s->current;
    bool own = false;
    int status = 0;
    if (!e) {
        status = advance(s, &e, &own, err);
        if (status == 0 && e)
            status = load_item(s, e, own, err);
        if (status)
            return status;
    }
    if (!e)
        return 0;
    *item = s->item;
    return 1;
}

/* ---- answers ---- */

static int keep(struct ml_label_session *s, const char *kind, const char *value, double seconds,
                struct ml_error *err)
{
    const struct ml_label label = {.record = s->current->record,
                                   .queue = s->queue.name,
                                   .annotator = s->annotator,
                                   .kind = kind,
                                   .value = value,
                                   .model = s->item.model,
                                   .confidence = NAN,
                                   .seconds = seconds};
    int status = ml_labels_add(s->ws, &label, NULL, err);
    if (status == 0)
        status = look_again(s, s->current, err);
    return status;
}

static int fail_no_record(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_STATE, "there is no record at hand to label");
}

int ml_label_session_answer(struct ml_label_session *s, const json_t *value, double seconds,
                            struct ml_error *err)
{
    json_t *checked = NULL;
    char *text = NULL;
    if (!s->current)
        return fail_no_record(err);
    int status = ml_label_value_check(&checked, &s->queue.task, value, s->item.characters, err);
    if (status == 0)
        status = ml_json_text(&text, checked, JSON_COMPACT | JSON_REAL_PRECISION(15), err);
    if (status == 0)
        status = keep(s, ml_label_kind_name(s->queue.task.kind), text, seconds, err);
    ml_mem_free(text);
    json_decref(checked);
    if (status == 0)
        forget_item(s);
    return status;
}

int ml_label_session_skip(struct ml_label_session *s, struct ml_error *err)
{
    if (!s->current)
        return fail_no_record(err);
    int status = keep(s, ML_LABEL_SKIP, "null", NAN, err);
    if (status == 0) {
        s->current->passed = true;
        forget_item(s);
    }
    return status;
}

int ml_label_session_undo(struct ml_label_session *s, struct ml_error *err)
{
    int64_t record = 0;
    int status = ml_labels_undo(s->ws, s->queue.name, s->annotator, &record, err);
    struct entry *e = status == 0 ? find_entry(s, record) : NULL;
    if (e) {
        e->passed = false;
        status = look_again(s, e, err);
        s->again = record;
        if ((size_t)(e - s->entries) < s->at)
            s->at = (size_t)(e - s->entries);
    }
    if (status == 0)
        forget_item(s);
    return status;
}

void ml_label_session_counts(const struct ml_label_session *s, struct ml_label_counts *out)
{
    struct ml_label_counts c = {.records = (int64_t)s->count};
    for (size_t i = 0; i < s->count; i++) {
        const struct entry *e = &s->entries[i];
        c.done += e->labels >= s->queue.task.overlap;
        c.mine += e->mine;
        c.skipped += e->skipped && !e->mine;
        c.left += is_left(s, e);
    }
    *out = c;
}
