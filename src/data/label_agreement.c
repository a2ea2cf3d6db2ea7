#include "data/label_agreement.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "data/agreement.h"
#include "data/label_text.h"
#include "data/tally.h"
#include "store/labels.h"

#define MAX_RATINGS ((size_t)1 << 28)

/* A person's label on a record, and its place among all. */
struct answer {
    int64_t record;
    int person;
    json_t *value;
};

/* What an answer says of one unit: a record, a label of it, or a character. */
struct rating {
    int64_t unit;
    int person, value;
};

struct gathering {
    struct ml_workspace *ws;
    const struct ml_label_queue *queue;
    struct ml_arena *arena;
    struct answer *answers; /* by record */
    size_t answer_count, answer_capacity;
    struct rating *ratings; /* sorted by unit */
    size_t rating_count, rating_capacity;
    struct ml_tally people, texts;
    int64_t units;
};

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory comparing annotators");
}

static int put_answer(struct gathering *g, const struct ml_label *label, struct ml_error *err)
{
    if (g->answer_count == g->answer_capacity) {
        size_t capacity = g->answer_capacity ? g->answer_capacity * 2 : 256;
        struct answer *grown = ml_mem_realloc(g->answers, capacity * sizeof *grown);
        if (!grown)
            return fail_memory(err);
        g->answers = grown;
        g->answer_capacity = capacity;
    }
    struct answer a = {.record = label->record};
    int status = ml_tally_number(&g->people, g->arena, label->annotator, &a.person, err);
    if (status == 0)
        status =
            ml_json_parse(&a.value, label->value, strlen(label->value), "a label's value", err);
    if (status == 0)
        g->answers[g->answer_count++] = a;
    return status;
}

/* Only what the task knows: labels that were imported for another task say nothing here. */
static int load_answers(struct gathering *g, struct ml_error *err)
{
    struct ml_label_cursor *cursor;
    struct ml_label label;
    const struct ml_label_filter filter = {.queue = g->queue->name, .people = true};
    const char *kind = ml_label_kind_name(g->queue->task.kind);
    int got = 0, status = ml_labels_open(&cursor, g->ws, &filter, err);
    if (status)
        return status;
    while (status == 0 && (got = ml_labels_next(cursor, &label, err)) > 0)
        if (strcmp(label.kind, kind) == 0)
            status = put_answer(g, &label, err);
    ml_labels_close(cursor);
    return status ? status : got;
}

/* Records with one answer go. */
static void keep_shared(struct gathering *g, struct ml_queue_agreement *out)
{
    size_t kept = 0;
    for (size_t start = 0, end; start < g->answer_count; start = end) {
        end = start;
        while (end < g->answer_count && g->answers[end].record == g->answers[start].record)
            end++;
        for (size_t i = start; i < end; i++)
            if (end - start < 2)
                json_decref(g->answers[i].value);
            else
                g->answers[kept++] = g->answers[i];
        out->records += end - start >= 2;
    }
    g->answer_count = kept;
    out->labels = (int64_t)kept;
}

/* ---- ratings ---- */

static int put_rating(struct gathering *g, int64_t unit, int person, int value,
                      struct ml_error *err)
{
    if (g->rating_count == MAX_RATINGS)
        return ml_fail(err, ML_ERR_LIMIT,
                       "more than %zu answers to compare; compare a smaller queue", MAX_RATINGS);
    if (g->rating_count == g->rating_capacity) {
        size_t capacity = g->rating_capacity ? g->rating_capacity * 2 : 1024;
        struct rating *grown = ml_mem_realloc(g->ratings, capacity * sizeof *grown);
        if (!grown)
            return fail_memory(err);
        g->ratings = grown;
        g->rating_capacity = capacity;
    }
    g->ratings[g->rating_count++] = (struct rating){unit, person, value};
    return 0;
}

static bool has_label(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *item = json_string_value(json_array_get(list, i));
        if (item && strcmp(item, name) == 0)
            return true;
    }
    return false;
}

/* A character's label is that of the first span over it, counted from 1; 0: none. */
static int rate_characters(struct gathering *g, const struct answer *a, int64_t base,
                           int64_t characters, struct ml_error *err)
{
    int status = 0;
    int64_t at = 0;
    for (size_t i = 0; status == 0 && i <= json_array_size(a->value); i++) {
        const json_t *span = json_array_get(a->value, i);
        const char *name = json_string_value(json_object_get(span, "label"));
        int64_t start = span ? json_integer_value(json_object_get(span, "start")) : characters;
        int64_t end = span ? json_integer_value(json_object_get(span, "end")) : characters;
        int label = name ? 1 + ml_label_task_find(&g->queue->task, name) : 0;
        for (; status == 0 && at < start && at < characters; at++)
            status = put_rating(g, base + at, a->person, 0, err);
        for (; status == 0 && at < end && at < characters; at++)
            status = put_rating(g, base + at, a->person, label, err);
    }
    return status;
}

/* Units of the record from g->units on. */
static int rate(struct gathering *g, const struct answer *a, int64_t characters,
                struct ml_error *err)
{
    const struct ml_label_task *task = &g->queue->task;
    const char *text = json_string_value(a->value);
    int value = 0, status = 0;
    switch (task->kind) {
    case ML_LABEL_CHOICE:
        return put_rating(g, g->units, a->person, text ? ml_label_task_find(task, text) : -1, err);
    case ML_LABEL_RATING:
        return put_rating(g, g->units, a->person, (int)json_integer_value(a->value) - task->low,
                          err);
    case ML_LABEL_MULTI:
        for (int i = 0; status == 0 && i < task->label_count; i++)
            status = put_rating(g, g->units + i, a->person,
                                has_label(a->value, task->labels[i].name), err);
        return status;
    case ML_LABEL_SPAN:
        return rate_characters(g, a, g->units, characters, err);
    case ML_LABEL_TEXT:
        status = ml_tally_number(&g->texts, g->arena, text ? text : "", &value, err);
        return status ? status : put_rating(g, g->units, a->person, value, err);
    default: /* boxes are compared in pairs only */
        return 0;
    }
}

static int by_unit(const void *a, const void *b)
{
    const struct rating *x = a, *y = b;
    if (x->unit != y->unit)
        return x->unit < y->unit ? -1 : 1;
    return x->person - y->person;
}

static int rate_all(struct gathering *g, struct ml_error *err)
{
    struct ml_blob_view view = {0};
    struct ml_arena arena;
    int status = 0;
    ml_arena_init(&arena, 0);
    for (size_t start = 0, end; status == 0 && start < g->answer_count; start = end) {
        struct ml_label_text text = {.characters = 1};
        if (g->queue->task.kind == ML_LABEL_SPAN)
            status = ml_label_text_load(&text, g->ws, g->answers[start].record, &arena, &view, err);
        for (end = start;
             end < g->answer_count && g->answers[end].record == g->answers[start].record; end++)
            if (status == 0)
                status = rate(g, &g->answers[end], text.characters, err);
        g->units +=
            g->queue->task.kind == ML_LABEL_MULTI ? g->queue->task.label_count : text.characters;
        ml_arena_reset(&arena);
    }
    ml_arena_clear(&arena);
    ml_blob_view_clear(&view);
    if (g->rating_count)
        qsort(g->ratings, g->rating_count, sizeof *g->ratings, by_unit);
    return status;
}

/* ---- alpha ---- */

/* Of all units, or (step > 0) of every step-th from `first` on. */
static int alpha_of(const struct gathering *g, int first, int step, double *out,
                    struct ml_error *err)
{
    struct ml_alpha alpha = {.alpha = NAN};
    size_t n = 0;
    struct ml_rating *list = ml_mem_alloc((g->rating_count + 1) * sizeof *list);
    if (!list)
        return fail_memory(err);
    for (size_t i = 0; i < g->rating_count; i++)
        if (step == 0 || g->ratings[i].unit % step == first)
            list[n++] = (struct ml_rating){g->ratings[i].unit, g->ratings[i].value};
    enum ml_agreement_scale scale =
        g->queue->task.kind == ML_LABEL_RATING ? ML_SCALE_ORDINAL : ML_SCALE_NOMINAL;
    int status = n ? ml_agreement_alpha(list, n, scale, &alpha, err) : 0;
    ml_mem_free(list);
    *out = alpha.alpha;
    return status;
}

static int alpha_by_label(struct gathering *g, struct ml_queue_agreement *out, struct ml_error *err)
{
    const struct ml_label_task *task = &g->queue->task;
    int status = 0;
    out->by_label = ml_arena_calloc(g->arena, (size_t)task->label_count + 1, sizeof *out->by_label);
    if (!out->by_label)
        return fail_memory(err);
    for (int i = 0; status == 0 && i < task->label_count; i++) {
        struct ml_agreement_label *label = &out->by_label[out->by_label_count++];
        label->name = ml_arena_strdup(g->arena, task->labels[i].name);
        status =
            label->name ? alpha_of(g, i, task->label_count, &label->alpha, err) : fail_memory(err);
    }
    return status;
}

/* ---- pairs ---- */

static int categories_of(const struct gathering *g)
{
    const struct ml_label_task *task = &g->queue->task;
    switch (task->kind) {
    case ML_LABEL_CHOICE:
        return task->label_count;
    case ML_LABEL_RATING:
        return task->high - task->low + 1;
    case ML_LABEL_MULTI:
        return 2;
    case ML_LABEL_SPAN:
        return task->label_count + 1;
    default:
        return 0;
    }
}

/* Ratings of one unit lie together; a and b are filled with those units that both rated. */
static size_t align(const struct gathering *g, int person_a, int person_b, int *a, int *b)
{
    size_t n = 0;
    for (size_t start = 0, end; start < g->rating_count; start = end) {
        int value_a = -1, value_b = -1;
        for (end = start; end < g->rating_count && g->ratings[end].unit == g->ratings[start].unit;
             end++) {
            value_a = g->ratings[end].person == person_a ? g->ratings[end].value : value_a;
            value_b = g->ratings[end].person == person_b ? g->ratings[end].value : value_b;
        }
        if (value_a >= 0 && value_b >= 0) {
            a[n] = value_a;
            b[n++] = value_b;
        }
    }
    return n;
}

static int compare_ratings(const struct gathering *g, int person_a, int person_b,
                           struct ml_agreement_pair *pair, struct ml_error *err)
{
    struct ml_kappa kappa = {.kappa = NAN, .observed = NAN};
    int *values = ml_mem_alloc((2 * g->rating_count + 1) * sizeof *values), status = 0;
    if (!values)
        return fail_memory(err);
    int *a = values, *b = values + g->rating_count;
    size_t n = align(g, person_a, person_b, a, b), equal = 0;
    for (size_t i = 0; i < n; i++)
        equal += a[i] == b[i];
    if (n && categories_of(g))
        status = ml_agreement_kappa(a, b, n, categories_of(g),
                                    g->queue->task.kind == ML_LABEL_RATING ? ML_KAPPA_QUADRATIC
                                                                           : ML_KAPPA_PLAIN,
                                    &kappa, err);
    ml_mem_free(values);
    pair->kappa = kappa.kappa;
    pair->equal = n ? (double)equal / (double)n : NAN;
    return status;
}

static double number_at(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static double overlap_of(const json_t *a, const json_t *b)
{
    double ax = number_at(a, "x"), ay = number_at(a, "y"), aw = number_at(a, "width"),
           ah = number_at(a, "height");
    double bx = number_at(b, "x"), by = number_at(b, "y"), bw = number_at(b, "width"),
           bh = number_at(b, "height");
    double w = fmin(ax + aw, bx + bw) - fmax(ax, bx), h = fmin(ay + ah, by + bh) - fmax(ay, by);
    double both = w > 0 && h > 0 ? w * h : 0;
    return both / (aw * ah + bw * bh - both);
}

static bool is_match(const json_t *a, const json_t *b, bool boxes)
{
    return json_equal(json_object_get(a, "label"), json_object_get(b, "label")) &&
           (boxes ? overlap_of(a, b) >= 0.5 : json_equal(a, b));
}

/* Parts of both answers that match, each once. */
static size_t matches(const json_t *a, const json_t *b, bool boxes)
{
    bool taken[ML_LABEL_MAX_PARTS] = {false};
    size_t found = 0, n = json_array_size(b);
    for (size_t i = 0; i < json_array_size(a); i++)
        for (size_t k = 0; k < n && k < ML_LABEL_MAX_PARTS; k++)
            if (!taken[k] && is_match(json_array_get(a, i), json_array_get(b, k), boxes)) {
                taken[k] = true;
                found++;
                break;
            }
    return found;
}

/* F1 over all parts of the records that both labelled; 1 where neither found any. */
static void compare_parts(const struct gathering *g, int person_a, int person_b,
                          struct ml_agreement_pair *pair)
{
    bool boxes = g->queue->task.kind == ML_LABEL_BOX;
    size_t same = 0, parts = 0;
    for (size_t start = 0, end; start < g->answer_count; start = end) {
        const json_t *a = NULL, *b = NULL;
        for (end = start;
             end < g->answer_count && g->answers[end].record == g->answers[start].record; end++) {
            a = g->answers[end].person == person_a ? g->answers[end].value : a;
            b = g->answers[end].person == person_b ? g->answers[end].value : b;
        }
        if (!a || !b)
            continue;
        a = boxes ? json_object_get(a, "boxes") : a;
        b = boxes ? json_object_get(b, "boxes") : b;
        same += matches(a, b, boxes);
        parts += json_array_size(a) + json_array_size(b);
    }
    pair->equal = parts ? 2 * (double)same / (double)parts : 1;
}

static int64_t shared_records(const struct gathering *g, int person_a, int person_b)
{
    int64_t count = 0;
    for (size_t start = 0, end; start < g->answer_count; start = end) {
        int have = 0;
        for (end = start;
             end < g->answer_count && g->answers[end].record == g->answers[start].record; end++)
            have += g->answers[end].person == person_a || g->answers[end].person == person_b;
        count += have == 2;
    }
    return count;
}

static int compare_pairs(struct gathering *g, struct ml_queue_agreement *out, struct ml_error *err)
{
    enum ml_label_kind kind = g->queue->task.kind;
    size_t people = g->people.count;
    int status = 0;
    out->pairs = ml_arena_calloc(g->arena, people * people / 2 + 1, sizeof *out->pairs);
    if (!out->pairs)
        return fail_memory(err);
    for (size_t a = 0; status == 0 && a < people; a++)
        for (size_t b = a + 1; status == 0 && b < people; b++) {
            struct ml_agreement_pair pair = {.a = g->people.rows[a].name,
                                             .b = g->people.rows[b].name,
                                             .records = shared_records(g, (int)a, (int)b),
                                             .kappa = NAN};
            if (pair.records == 0)
                continue;
            if (kind != ML_LABEL_BOX)
                status = compare_ratings(g, (int)a, (int)b, &pair, err);
            if (kind == ML_LABEL_BOX || kind == ML_LABEL_SPAN)
                compare_parts(g, (int)a, (int)b, &pair);
            out->pairs[out->pair_count++] = pair;
        }
    return status;
}

/* ---- all of it ---- */

int ml_label_agreement(struct ml_queue_agreement *out, struct ml_workspace *ws,
                       const struct ml_label_queue *queue, struct ml_arena *arena,
                       struct ml_error *err)
{
    struct gathering g = {.ws = ws, .queue = queue, .arena = arena};
    struct ml_queue_agreement result = {
        .alpha = NAN, .scale = queue->task.kind == ML_LABEL_RATING ? "ordinal" : "nominal"};
    int status = load_answers(&g, err);
    if (status == 0) {
        keep_shared(&g, &result);
        if (result.records == 0)
            status = ml_fail(err, ML_ERR_NOT_FOUND,
                             "in the queue %s nothing was labelled by two people yet, so there is "
                             "no agreement to measure",
                             queue->name);
    }
    if (status == 0)
        status = rate_all(&g, err);
    if (status == 0 && queue->task.kind != ML_LABEL_BOX)
        status = alpha_of(&g, 0, 0, &result.alpha, err);
    if (status == 0 && queue->task.kind == ML_LABEL_MULTI)
        status = alpha_by_label(&g, &result, err);
    if (status == 0)
        status = compare_pairs(&g, &result, err);
    for (size_t i = 0; i < g.answer_count; i++)
        json_decref(g.answers[i].value);
    ml_mem_free(g.answers);
    ml_mem_free(g.ratings);
    ml_tally_clear(&g.people);
    ml_tally_clear(&g.texts);
    if (status == 0)
        *out = result;
    return status;
}
