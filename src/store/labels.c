#include "store/labels.h"

#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "store/store_impl.h"

#define COLUMNS                                                                                    \
    "l.id, l.record, l.queue, l.annotator, l.kind, l.value, l.model, l.confidence, l.seconds,"     \
    " l.created, l.replaced"
/* $1 annotator, $2 people only, $3 with skips, $4 with replaced. */
#define WHICH                                                                                      \
    " ($1 IS NULL OR l.annotator = $1) AND ($2 = 0 OR l.annotator <> '')"                          \
    " AND ($3 <> 0 OR l.kind <> '" ML_LABEL_SKIP "') AND ($4 <> 0 OR l.replaced = 0)"

/* By what is known, so that an index or one pass serves each. */
enum form { FORM_ALL, FORM_QUEUE, FORM_RECORD, FORM_DATASET, FORM_DATASET_QUEUE, FORM_COUNT };
#define FROM_ALL    " FROM label l WHERE" WHICH
#define FROM_QUEUE  FROM_ALL " AND l.queue = $5"
#define FROM_RECORD FROM_QUEUE " AND l.record = $6"
#define FROM_DATASET                                                                               \
    " FROM dataset_record d JOIN label l ON l.record = d.record WHERE" WHICH " AND d.dataset = $5"
#define FROM_DATASET_QUEUE FROM_DATASET " AND l.queue = $6"

static const char *const list_sql[FORM_COUNT] = {
    [FORM_ALL] = "SELECT " COLUMNS ", 0" FROM_ALL " ORDER BY l.record, l.id",
    [FORM_QUEUE] = "SELECT " COLUMNS ", 0" FROM_QUEUE " ORDER BY l.record, l.id",
    [FORM_RECORD] = "SELECT " COLUMNS ", 0" FROM_RECORD " ORDER BY l.id",
    [FORM_DATASET] = "SELECT " COLUMNS ", d.position" FROM_DATASET " ORDER BY d.position, l.id",
    [FORM_DATASET_QUEUE] =
        "SELECT " COLUMNS ", d.position" FROM_DATASET_QUEUE " ORDER BY d.position, l.id",
};
static const char *const count_sql[FORM_COUNT] = {
    [FORM_ALL] = "SELECT count(*)" FROM_ALL,
    [FORM_QUEUE] = "SELECT count(*)" FROM_QUEUE,
    [FORM_RECORD] = "SELECT count(*)" FROM_RECORD,
    [FORM_DATASET] = "SELECT count(*)" FROM_DATASET,
    [FORM_DATASET_QUEUE] = "SELECT count(*)" FROM_DATASET_QUEUE,
};

static int prepare(struct ml_stmt **out, struct ml_workspace *ws, const char *const sql[FORM_COUNT],
                   const struct ml_label_filter *f, struct ml_error *err)
{
    struct ml_stmt *stmt;
    enum form form = f->dataset  ? (f->queue ? FORM_DATASET_QUEUE : FORM_DATASET)
                     : !f->queue ? FORM_ALL
                     : f->record ? FORM_RECORD
                                 : FORM_QUEUE;
    int status = ml_db_prepare(&stmt, ws->db, sql[form], err);
    if (status)
        return status;
    ml_stmt_put_text(stmt, f->annotator);
    ml_stmt_put_int(stmt, f->people);
    ml_stmt_put_int(stmt, f->with_skips);
    ml_stmt_put_int(stmt, f->with_replaced);
    if (f->dataset)
        ml_stmt_put_int(stmt, f->dataset);
    if (f->queue)
        ml_stmt_put_text(stmt, f->queue);
    if (form == FORM_RECORD)
        ml_stmt_put_int(stmt, f->record);
    *out = stmt;
    return 0;
}

/* ---- listing ---- */

struct ml_label_cursor {
    struct ml_stmt *stmt;
    int64_t position;
};

int ml_labels_open(struct ml_label_cursor **out, struct ml_workspace *ws,
                   const struct ml_label_filter *filter, struct ml_error *err)
{
    static const struct ml_label_filter everything;
    struct ml_label_cursor *cursor = ml_mem_calloc(1, sizeof *cursor);
    if (!cursor)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory listing labels");
    int status = prepare(&cursor->stmt, ws, list_sql, filter ? filter : &everything, err);
    if (status)
        ml_mem_free(cursor);
    else
        *out = cursor;
    return status;
}

int ml_labels_next(struct ml_label_cursor *cursor, struct ml_label *label, struct ml_error *err)
{
    struct ml_stmt *stmt = cursor->stmt;
    int got = ml_stmt_step(stmt, err);
    if (got <= 0)
        return got;
    struct ml_label next = {
        .id = ml_stmt_int(stmt, 0),
        .record = ml_stmt_int(stmt, 1),
        .queue = ml_stmt_text(stmt, 2),
        .annotator = ml_stmt_text(stmt, 3),
        .kind = ml_stmt_text(stmt, 4),
        .value = ml_stmt_text(stmt, 5),
        .model = ml_stmt_text(stmt, 6),
        .confidence = ml_stmt_real(stmt, 7),
        .seconds = ml_stmt_real(stmt, 8),
        .created = ml_stmt_int(stmt, 9),
        .replaced = ml_stmt_int(stmt, 10),
    };
    cursor->position = ml_stmt_int(stmt, 11);
    int status = ml_stmt_check(stmt, err);
    if (status)
        return status;
    *label = next;
    return 1;
}

int64_t ml_labels_position(const struct ml_label_cursor *cursor)
{
    return cursor->position;
}

void ml_labels_close(struct ml_label_cursor *cursor)
{
    if (!cursor)
        return;
    ml_stmt_end(cursor->stmt);
    ml_mem_free(cursor);
}

int ml_labels_count(struct ml_workspace *ws, const struct ml_label_filter *filter, int64_t *count,
                    struct ml_error *err)
{
    static const struct ml_label_filter everything;
    struct ml_stmt *stmt;
    int status = prepare(&stmt, ws, count_sql, filter ? filter : &everything, err);
    return status ? status : ml_stmt_run_int(stmt, count, err);
}

/* ---- adding ---- */

static bool is_set(const char *text)
{
    return text && *text;
}

static int check(const struct ml_label *label, struct ml_error *err)
{
    json_t *value = NULL;
    if (!is_set(label->queue) || !is_set(label->kind) || !is_set(label->value) ||
        label->record <= 0)
        return ml_fail(err, ML_ERR_ARG, "a label needs a queue, a record, a kind and a value");
    if (!is_set(label->annotator) && !is_set(label->model))
        return ml_fail(err, ML_ERR_ARG, "a label needs an annotator or a model that gives it");
    if (label->confidence < 0 || label->confidence > 1)
        return ml_fail(err, ML_ERR_ARG, "a label's confidence is %g, but must be from 0 to 1",
                       label->confidence);
    int status = ml_json_parse(&value, label->value, strlen(label->value), "a label's value", err);
    json_decref(value);
    return status;
}

static int insert(struct ml_workspace *ws, const struct ml_label *label, int64_t *id,
                  struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(
        &stmt, ws->db,
        "INSERT INTO label(record, queue, annotator, kind, value, model, confidence, seconds,"
        " created) SELECT r.id, $1, $2, $3, $4, $5, $6, $7, $8 FROM record r WHERE r.id = $9"
        " RETURNING id",
        err);
    if (status)
        return status;
    ml_stmt_put_text(stmt, label->queue);
    ml_stmt_put_text(stmt, label->annotator ? label->annotator : "");
    ml_stmt_put_text(stmt, label->kind);
    ml_stmt_put_text(stmt, label->value);
    ml_stmt_put_text(stmt, label->model ? label->model : "");
    ml_stmt_put_real(stmt, label->confidence);
    ml_stmt_put_real(stmt, label->seconds);
    ml_stmt_put_int(stmt, label->created ? label->created : ml_unix_time());
    ml_stmt_put_int(stmt, label->record);
    status = ml_stmt_run_int(stmt, id, err);
    return status == ML_ERR_NOT_FOUND
               ? ml_fail(err, status, "there is no record %lld to label", (long long)label->record)
               : status;
}

/* A person is known by name, a proposal by its model. */
static int replace_older(struct ml_workspace *ws, const struct ml_label *label, int64_t id,
                         struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, ws->db,
                               "UPDATE label SET replaced = $1 WHERE queue = $2 AND record = $3"
                               " AND annotator = $4 AND ($4 <> '' OR model = $5) AND replaced = 0"
                               " AND id <> $1",
                               err);
    if (status)
        return status;
    ml_stmt_put_int(stmt, id);
    ml_stmt_put_text(stmt, label->queue);
    ml_stmt_put_int(stmt, label->record);
    ml_stmt_put_text(stmt, label->annotator ? label->annotator : "");
    ml_stmt_put_text(stmt, label->model ? label->model : "");
    return ml_stmt_run(stmt, err);
}

int ml_labels_add(struct ml_workspace *ws, const struct ml_label *label, int64_t *id,
                  struct ml_error *err)
{
    int64_t added = 0;
    int status = check(label, err);
    if (status == 0)
        status = ml_workspace_begin(ws, err);
    if (status)
        return status;
    status = insert(ws, label, &added, err);
    if (status == 0)
        status = replace_older(ws, label, added, err);
    status = ml_workspace_end(ws, status, err);
    if (status == 0 && id)
        *id = added;
    return status;
}

/* ---- taking back ---- */

static int find_newest(struct ml_workspace *ws, const char *queue, const char *annotator,
                       int64_t *id, int64_t *record, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, ws->db,
                               "SELECT id, record FROM label WHERE queue = $1 AND annotator = $2"
                               " AND replaced = 0 AND annotator <> '' ORDER BY id DESC LIMIT 1",
                               err);
    if (status)
        return status;
    ml_stmt_put_text(stmt, queue);
    ml_stmt_put_text(stmt, annotator);
    int got = ml_stmt_step(stmt, err);
    if (got > 0) {
        *id = ml_stmt_int(stmt, 0);
        *record = ml_stmt_int(stmt, 1);
        status = ml_stmt_check(stmt, err);
    } else if (got == 0) {
        status = ml_fail(err, ML_ERR_NOT_FOUND, "%s has no label in the queue %s to take back",
                         annotator, queue);
    } else {
        status = got;
    }
    ml_stmt_end(stmt);
    return status;
}

static int set_replaced(struct ml_workspace *ws, const char *sql, int64_t id, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, ws->db, sql, err);
    if (status)
        return status;
    ml_stmt_put_int(stmt, id);
    return ml_stmt_run(stmt, err);
}

int ml_labels_undo(struct ml_workspace *ws, const char *queue, const char *annotator,
                   int64_t *record, struct ml_error *err)
{
    int64_t id = 0, about = 0;
    int status = ml_workspace_begin(ws, err);
    if (status)
        return status;
    status = find_newest(ws, queue, annotator, &id, &about, err);
    if (status == 0)
        status = set_replaced(ws, "UPDATE label SET replaced = 0 WHERE replaced = $1", id, err);
    if (status == 0)
        status = set_replaced(ws, "UPDATE label SET replaced = id WHERE id = $1", id, err);
    status = ml_workspace_end(ws, status, err);
    if (status == 0)
        *record = about;
    return status;
}

/* ---- how far it is ---- */

/* One row of integers. */
static int ask(struct ml_stmt *stmt, int64_t *const *out, int columns, struct ml_error *err)
{
    int status = ml_stmt_step(stmt, err);
    if (status > 0) {
        for (int i = 0; i < columns; i++)
            *out[i] = ml_stmt_int(stmt, i);
        status = ml_stmt_check(stmt, err);
    }
    ml_stmt_end(stmt);
    return status;
}

int ml_labels_progress(struct ml_workspace *ws, const char *queue, int64_t dataset, int overlap,
                       struct ml_label_progress *out, struct ml_error *err)
{
    struct ml_label_progress p = {0};
    struct ml_stmt *stmt;
    int status =
        ml_db_prepare(&stmt, ws->db, "SELECT count(*) FROM dataset_record WHERE dataset = $1", err);
    if (status)
        return status;
    ml_stmt_put_int(stmt, dataset);
    status = ml_stmt_run_int(stmt, &p.records, err);
    if (status == 0)
        status = ml_db_prepare(
            &stmt, ws->db,
            "SELECT coalesce(sum(CASE WHEN labels > 0 THEN 1 ELSE 0 END), 0),"
            " coalesce(sum(CASE WHEN labels >= $1 THEN 1 ELSE 0 END), 0),"
            " coalesce(sum(labels), 0), coalesce(sum(skips), 0), coalesce(sum(proposals), 0)"
            " FROM (SELECT sum(CASE WHEN l.annotator <> '' AND l.kind <> '" ML_LABEL_SKIP
            "' THEN 1 ELSE 0 END) AS labels,"
            " sum(CASE WHEN l.annotator <> '' AND l.kind = '" ML_LABEL_SKIP
            "' THEN 1 ELSE 0 END) AS skips,"
            " sum(CASE WHEN l.annotator = '' THEN 1 ELSE 0 END) AS proposals"
            " FROM dataset_record d JOIN label l ON l.record = d.record"
            " WHERE d.dataset = $2 AND l.queue = $3 AND l.replaced = 0 GROUP BY d.position) t",
            err);
    if (status)
        return status;
    ml_stmt_put_int(stmt, overlap);
    ml_stmt_put_int(stmt, dataset);
    ml_stmt_put_text(stmt, queue);
    int64_t *const columns[] = {&p.begun, &p.done, &p.labels, &p.skips, &p.proposals};
    status = ask(stmt, columns, 5, err);
    if (status == 0)
        *out = p;
    return status;
}

int ml_labels_annotators(struct ml_workspace *ws, const char *queue, struct ml_arena *arena,
                         struct ml_annotator **out, size_t *count, struct ml_error *err)
{
    struct ml_annotator *list = NULL;
    size_t n = 0, capacity = 0;
    struct ml_stmt *stmt;
    int got,
        status = ml_db_prepare(&stmt, ws->db,
                               "SELECT annotator,"
                               " sum(CASE WHEN kind <> '" ML_LABEL_SKIP "' THEN 1 ELSE 0 END),"
                               " sum(CASE WHEN kind = '" ML_LABEL_SKIP "' THEN 1 ELSE 0 END),"
                               " coalesce(sum(seconds), 0)"
                               " FROM label WHERE queue = $1 AND annotator <> '' AND replaced = 0"
                               " GROUP BY annotator ORDER BY annotator",
                               err);
    if (status)
        return status;
    ml_stmt_put_text(stmt, queue);
    while ((got = ml_stmt_step(stmt, err)) > 0) {
        if (n == capacity) {
            capacity = capacity ? capacity * 2 : 16;
            struct ml_annotator *grown = ml_arena_calloc(arena, capacity, sizeof *grown);
            if (grown && n)
                memcpy(grown, list, n * sizeof *grown);
            list = grown;
        }
        if (list)
            list[n] = (struct ml_annotator){.name = ml_arena_strdup(arena, ml_stmt_text(stmt, 0)),
                                            .labels = ml_stmt_int(stmt, 1),
                                            .skips = ml_stmt_int(stmt, 2),
                                            .seconds = ml_stmt_real(stmt, 3)};
        if (!list || !list[n].name)
            got = ml_fail(err, ML_ERR_MEMORY, "out of memory listing annotators");
        else if (ml_stmt_check(stmt, err) != 0)
            got = ml_stmt_check(stmt, err);
        else
            n++;
        if (got < 0)
            break;
    }
    ml_stmt_end(stmt);
    if (got < 0)
        return got;
    *out = list;
    *count = n;
    return 0;
}
