#include "data/dataset_facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "data/text_set.h"
#include "text/language.h"

/* What is less sure is "und", as in the FineWeb collection (Penedo et al. 2024). */
#define LANGUAGE_SURE 0.65F

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory describing a dataset");
}

static int count_name(struct ml_dataset_facts *f, struct ml_tally *tally, const char *name,
                      const struct ml_record *r, struct ml_error *err)
{
    return ml_tally_add(tally, &f->arena, name, 1, (int64_t)r->bytes, err);
}

/* ---- where from ---- */

/* "https://example.org" of a URL; of a path the folder's own name: a card is for others, and where
 * the folder lies on this machine is not for them. */
static int count_source(struct ml_dataset_facts *f, const struct ml_record *r, struct ml_error *err)
{
    char name[256];
    const char *source = r->source, *scheme = strstr(source, "://");
    if (scheme && scheme != source && strncmp(source, "file:", 5) != 0) {
        size_t host = strcspn(scheme + 3, "/?#");
        const char *at = memchr(scheme + 3, '@', host); /* user and password */
        const char *from = at ? at + 1 : scheme + 3;
        snprintf(name, sizeof name, "%.*s://%.*s", (int)(scheme - source), source,
                 (int)(scheme + 3 + host - from), from);
    } else {
        const char *end = strrchr(source, '/'), *start = end;
        if (!end) {
            snprintf(name, sizeof name, "%.250s", source);
        } else {
            while (start > source && start[-1] != '/')
                start--;
            snprintf(name, sizeof name, "%.*s/", end - start > 250 ? 250 : (int)(end - start),
                     start);
        }
    }
    size_t shown = ml_utf8_ready(name, strlen(name));
    name[shown] = '\0';
    return count_name(f, &f->sources, name, r, err);
}

/* What a pass over the records needs beside what it fills in. */
struct counter {
    struct ml_dataset_facts *f;
    struct ml_text_set seen;
    struct ml_classifier *languages;
    struct ml_classifier_work work;
    /* Of the row at hand, borrowed from it. */
    json_t *lineage;
    const char *language, *split;
};

/* The steps that made the record; what curating found out stands with its step. */
static int count_operations(struct counter *c, const struct ml_record *r, struct ml_error *err)
{
    size_t i;
    json_t *step;
    int status =
        ml_json_parse(&c->lineage, r->lineage, strlen(r->lineage), "a record's lineage", err);
    json_array_foreach(c->lineage, i, step)
    {
        const char *op = json_string_value(json_object_get(step, "op"));
        const char *language = json_string_value(json_object_get(step, "language"));
        const char *split = json_string_value(json_object_get(step, "split"));
        bool changed = json_is_true(json_object_get(step, "changed"));
        c->language = language ? language : c->language;
        c->split = split ? split : c->split;
        if (status == 0 && op)
            status = ml_tally_add(&c->f->operations, &c->f->arena, op, 1, changed, err);
    }
    return status;
}

/* ---- texts ---- */

static int put_length(struct ml_dataset_facts *f, size_t length, struct ml_error *err)
{
    if (f->length_count == f->length_capacity) {
        size_t capacity = f->length_capacity ? f->length_capacity * 2 : 256;
        uint32_t *grown = ml_mem_realloc(f->lengths, capacity * sizeof *grown);
        if (!grown)
            return fail_memory(err);
        f->lengths = grown;
        f->length_capacity = capacity;
    }
    f->lengths[f->length_count++] = length > UINT32_MAX ? UINT32_MAX : (uint32_t)length;
    return 0;
}

static int count_language(struct counter *c, const struct ml_export_row *row, struct ml_error *err)
{
    struct ml_language found = {.code = ""};
    const char *code = json_string_value(json_object_get(row->meta, "language"));
    if (!code || !*code)
        code = json_string_value(json_object_get(row->meta, "lang"));
    if (!code || !*code)
        code = c->language;
    if (!code && row->text) {
        int status = c->languages ? 0 : ml_language_model_open(&c->languages, err);
        if (status == 0)
            status = ml_language_identify(c->languages, &c->work, row->text, row->text_size, &found,
                                          err);
        if (status)
            return status;
        c->f->found_languages++;
        code = found.probability >= LANGUAGE_SURE ? found.code : "und";
    }
    return code ? count_name(c->f, &c->f->languages, code, &row->record, err) : 0;
}

static int count_text(struct ml_dataset_facts *f, const struct ml_export_row *row,
                      struct ml_error *err)
{
    if (row->bytes) {
        f->captions += row->text != NULL;
        return 0;
    }
    size_t length = ml_utf8_count(row->text, row->text_size);
    f->texts++;
    f->characters += (int64_t)length;
    return put_length(f, length, err);
}

/* ---- labels ---- */

static struct ml_queue_facts *find_queue(struct ml_dataset_facts *f, const char *name,
                                         const char *kind)
{
    for (size_t i = 0; i < f->queue_count; i++)
        if (strcmp(f->queues[i].name, name) == 0)
            return &f->queues[i];
    if (f->queue_count == f->queue_capacity) {
        size_t capacity = f->queue_capacity ? f->queue_capacity * 2 : 4;
        struct ml_queue_facts *grown = ml_mem_realloc(f->queues, capacity * sizeof *grown);
        if (!grown)
            return NULL;
        f->queues = grown;
        f->queue_capacity = capacity;
    }
    struct ml_queue_facts *q = &f->queues[f->queue_count];
    *q = (struct ml_queue_facts){.name = ml_arena_strdup(&f->arena, name),
                                 .kind = ml_arena_strdup(&f->arena, kind),
                                 .last_position = -1};
    if (!q->name || !q->kind)
        return NULL;
    f->queue_count++;
    return q;
}

static int count_answers(struct ml_dataset_facts *f, struct ml_queue_facts *q, const json_t *value,
                         struct ml_error *err)
{
    char number[32];
    int status = 0;
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        status = ml_tally_add(&q->answers, &f->arena, number, 1, 0, err);
    } else if (json_is_string(value) && strcmp(q->kind, "choice") == 0) {
        status = ml_tally_add(&q->answers, &f->arena, json_string_value(value), 1, 0, err);
    }
    for (size_t i = 0; status == 0 && i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);
        const char *key =
            json_string_value(json_is_object(item) ? json_object_get(item, "label") : item);
        if (key)
            status = ml_tally_add(&q->answers, &f->arena, key, 1, 0, err);
    }
    return status;
}

static int count_label(struct ml_dataset_facts *f, const struct ml_export_row *row,
                       const json_t *label, struct ml_error *err)
{
    const char *who = json_string_value(json_object_get(label, "annotator"));
    struct ml_queue_facts *q = find_queue(f, json_string_value(json_object_get(label, "queue")),
                                          json_string_value(json_object_get(label, "kind")));
    if (!q)
        return fail_memory(err);
    if (!*who) {
        q->proposals++;
        return 0;
    }
    q->labels++;
    q->records += q->last_position != row->position;
    q->last_position = row->position;
    int status = ml_tally_add(&q->people, &f->arena, who, 1, 0, err);
    return status ? status : count_answers(f, q, json_object_get(label, "value"), err);
}

/* ---- all of it ---- */

/* What the record states, as it states it. */
static int count_fields(struct counter *c, const struct ml_export_row *row, struct ml_error *err)
{
    struct ml_dataset_facts *f = c->f;
    const struct ml_record *r = &row->record;
    const char *split = json_string_value(json_object_get(row->meta, "split"));
    const struct {
        struct ml_tally *tally;
        const char *name;
    } fields[] = {{&f->kinds, r->kind},
                  {&f->types, r->type},
                  {&f->licences, r->licence},
                  {&f->consents, r->consent},
                  {&f->splits, split      ? split
                               : c->split ? c->split
                                          : ""}};
    int status = 0;
    for (size_t i = 0; status == 0 && i < sizeof fields / sizeof fields[0]; i++)
        status = count_name(f, fields[i].tally, fields[i].name, r, err);
    f->replaced += r->replaced != 0;
    f->untitled += !*r->title;
    if (row->position == 0 || r->time < f->first_time)
        f->first_time = r->time;
    if (row->position == 0 || r->time > f->last_time)
        f->last_time = r->time;
    return status;
}

static int count_repeats(struct counter *c, const struct ml_record *r, struct ml_error *err)
{
    uint8_t hash[ML_HASH_BYTES];
    uint64_t key = 0;
    bool before = false;
    if (ml_hash_parse(hash, r->hash))
        memcpy(&key, hash, sizeof key);
    int status = ml_text_set_add(&c->seen, key, &before, err);
    c->f->repeated += before;
    return status;
}

static int count_row(struct counter *c, const struct ml_export_row *row, struct ml_error *err)
{
    c->language = c->split = NULL;
    int status = count_operations(c, &row->record, err);
    if (status == 0)
        status = count_fields(c, row, err);
    if (status == 0)
        status = count_source(c->f, &row->record, err);
    if (status == 0)
        status = count_repeats(c, &row->record, err);
    if (status == 0)
        status = count_language(c, row, err);
    if (status == 0)
        status = count_text(c->f, row, err);
    for (size_t i = 0; status == 0 && i < json_array_size(row->labels); i++)
        status = count_label(c->f, row, json_array_get(row->labels, i), err);
    json_decref(c->lineage);
    c->lineage = NULL;
    return status;
}

/* The run that made the dataset, if one did. */
static int find_curation(struct ml_dataset_facts *f, struct ml_workspace *ws, struct ml_error *err)
{
    struct ml_dataset *list;
    size_t count;
    int status = ml_curations_of(ws, f->dataset.id, &f->arena, &f->curation, NULL);
    if (status == ML_ERR_NOT_FOUND)
        return 0;
    if (status)
        return ml_fail(err, status, "how dataset %s was curated cannot be read", f->dataset.name);
    status = ml_curations_dropped(ws, f->curation.id, &f->dropped, err);
    if (status == 0)
        status = ml_datasets_list(ws, &f->arena, &list, &count, err);
    for (size_t i = 0; status == 0 && i < count; i++)
        if (list[i].id == f->curation.input)
            snprintf(f->curated_from, sizeof f->curated_from, "%s@%d", list[i].name,
                     list[i].version);
    return status;
}

static int by_length(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void finish(struct ml_dataset_facts *f)
{
    struct ml_tally *sorted[] = {&f->kinds,    &f->types,  &f->languages, &f->licences,
                                 &f->consents, &f->splits, &f->sources};
    for (size_t i = 0; i < sizeof sorted / sizeof sorted[0]; i++)
        ml_tally_sort(sorted[i]);
    for (size_t i = 0; i < f->queue_count; i++) {
        f->queues[i].annotators = (int64_t)f->queues[i].people.count;
        ml_tally_sort(&f->queues[i].answers);
    }
    if (f->length_count == 0)
        return;
    qsort(f->lengths, f->length_count, sizeof *f->lengths, by_length);
    f->shortest = f->lengths[0];
    f->median = f->lengths[f->length_count / 2];
    f->longest = f->lengths[f->length_count - 1];
}

int ml_dataset_facts_open(struct ml_dataset_facts *out, struct ml_workspace *ws,
                          const struct ml_dataset *dataset, const struct ml_export_options *options,
                          struct ml_error *err)
{
    struct ml_dataset_facts f = {.dataset = *dataset};
    struct counter counter = {.f = &f};
    struct ml_export_rows *rows = NULL;
    struct ml_export_row row;
    int got = 0, status = ml_export_rows_open(&rows, ws, dataset, options, err);
    if (status)
        return status;
    ml_arena_init(&f.arena, 0);
    while (status == 0 && (got = ml_export_rows_next(rows, &row, err)) > 0)
        status = count_row(&counter, &row, err);
    if (status == 0 && got < 0)
        status = got;
    ml_export_rows_close(rows);
    ml_text_set_clear(&counter.seen);
    ml_classifier_free(counter.languages);
    ml_classifier_work_clear(&counter.work);
    if (status == 0)
        status = find_curation(&f, ws, err);
    if (status) {
        ml_dataset_facts_close(&f);
        return status;
    }
    finish(&f);
    *out = f;
    return 0;
}

void ml_dataset_facts_close(struct ml_dataset_facts *f)
{
    if (!f)
        return;
    struct ml_tally *all[] = {&f->kinds,    &f->types,  &f->languages, &f->licences,
                              &f->consents, &f->splits, &f->sources,   &f->operations};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        ml_tally_clear(all[i]);
    for (size_t i = 0; i < f->queue_count; i++) {
        ml_tally_clear(&f->queues[i].people);
        ml_tally_clear(&f->queues[i].answers);
    }
    ml_mem_free(f->queues);
    ml_mem_free(f->lengths);
    ml_arena_clear(&f->arena);
    *f = (struct ml_dataset_facts){0};
}
