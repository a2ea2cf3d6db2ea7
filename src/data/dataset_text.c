#include "data/dataset_text.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/rng.h"
#include "data/jsonl.h"
#include "text/template.h"
#include "text/verse.h"

/* One record while it is read. */
struct source {
    int64_t id;
    const char *text;
    size_t size;
    const char *title;
    json_t *meta;    /* object, or NULL */
    char number[32]; /* the last number that was looked up, as text */
    const char *form;
    uint8_t hash[ML_HASH_BYTES];
};

struct kept {
    const char *text, *title;
    size_t size;
    const char *meta;
    int64_t id;
    uint64_t draw; /* first 64 bits of the text's hash */
};

struct reading {
    struct ml_dataset_text *out;
    const struct ml_dataset_text_options *options;
    struct ml_arena scratch; /* template; one record's parse */
    struct ml_template *template;
    struct kept *kept;
    int64_t count, capacity;
    uint64_t *seen; /* open addressing over 64-bit prefixes of hashes; 0 is empty */
    uint64_t seen_size, seen_count;
};

static int out_of_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory for the texts of a dataset");
}

/* ---- which texts were there before ---- */

static int grow_seen(struct reading *r, struct ml_error *err)
{
    uint64_t size = r->seen_size ? 2 * r->seen_size : 1024;
    uint64_t *table = ml_mem_calloc(size, sizeof *table);
    if (!table)
        return out_of_memory(err);
    for (uint64_t i = 0; i < r->seen_size; i++) {
        uint64_t at = r->seen[i] & (size - 1);
        while (r->seen[i] && table[at])
            at = (at + 1) & (size - 1);
        if (r->seen[i])
            table[at] = r->seen[i];
    }
    ml_mem_free(r->seen);
    r->seen = table;
    r->seen_size = size;
    return 0;
}

/* 64 bits of SHA-256 tell a billion texts apart but for one chance in some thirty. */
static int note_seen(struct reading *r, uint64_t key, bool *before, struct ml_error *err)
{
    int status = 2 * (r->seen_count + 1) > r->seen_size ? grow_seen(r, err) : 0;
    if (status != 0)
        return status;
    key = key ? key : 1;
    uint64_t at = key & (r->seen_size - 1);
    while (r->seen[at] && r->seen[at] != key)
        at = (at + 1) & (r->seen_size - 1);
    *before = r->seen[at] == key;
    if (!*before) {
        r->seen[at] = key;
        r->seen_count++;
    }
    return 0;
}

/* ---- fields ---- */

static const char *json_field(struct source *s, const char *name)
{
    const json_t *value = json_object_get(s->meta, name);
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_integer(value))
        snprintf(s->number, sizeof s->number, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(s->number, sizeof s->number, "%.15g", json_real_value(value));
    else
        return json_is_true(value) ? "true" : json_is_false(value) ? "false" : NULL;
    return s->number;
}

static bool look_up(void *arg, const char *name, const char **text, size_t *size)
{
    struct source *s = arg;
    if (strcmp(name, "text") == 0) {
        *text = s->text;
        *size = s->size;
        return true;
    }
    *text = strcmp(name, "title") == 0  ? s->title
            : strcmp(name, "form") == 0 ? s->form
                                        : json_field(s, name);
    *size = *text ? strlen(*text) : 0;
    return *size > 0;
}

static void find_form(struct source *s)
{
    const struct ml_verse_shape *shape = ml_verse_shape(ml_verse_classify(s->text, s->size));
    s->form = shape ? shape->traditional : NULL;
}

static bool has_required(struct reading *r, struct source *s)
{
    const char *text;
    size_t size;
    for (int i = 0; i < r->options->require_count; i++)
        if (!look_up(s, r->options->require[i], &text, &size))
            return false;
    return true;
}

/* ---- reading ---- */

static uint64_t first_bits(const uint8_t *hash)
{
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | hash[i];
    return bits;
}

static int keep(struct reading *r, const struct source *s, const char *meta, struct ml_error *err)
{
    if (r->count == r->capacity) {
        int64_t capacity = r->capacity ? 2 * r->capacity : 1024;
        struct kept *kept = ml_mem_realloc(r->kept, (size_t)capacity * sizeof *kept);
        if (!kept)
            return out_of_memory(err);
        r->kept = kept;
        r->capacity = capacity;
    }
    struct ml_arena *arena = &r->out->arena;
    struct kept k = {.text = ml_arena_strndup(arena, s->text, s->size),
                     .size = s->size,
                     .title = ml_arena_strdup(arena, s->title ? s->title : ""),
                     .meta = ml_arena_strdup(arena, meta ? meta : "{}"),
                     .id = s->id,
                     .draw = first_bits(s->hash)};
    if (!k.text || !k.title || !k.meta)
        return out_of_memory(err);
    r->kept[r->count++] = k;
    return 0;
}

static int parse_meta(struct source *s, const char *meta, struct ml_error *err)
{
    if (!meta || !*meta || strcmp(meta, "{}") == 0)
        return 0;
    return ml_json_parse(&s->meta, meta, strlen(meta), "the fields of a record", err);
}

static int take_record(struct reading *r, const struct ml_record *record, const char *bytes,
                       size_t n, struct ml_error *err)
{
    struct source s = {.id = record->id, .text = bytes, .size = n, .title = record->title};
    const char *meta = record->meta;
    bool before = false;
    int status = 0;
    r->out->records++;
    if (strcmp(record->type, "application/json") == 0) {
        struct ml_jsonl line = {0};
        ml_arena_reset(&r->scratch);
        status = ml_jsonl_parse(&line, &r->scratch, bytes, n, err);
        if (status != 0 || !line.good)
            return status;
        s.text = line.text;
        s.size = line.size;
        s.title = line.title;
        meta = line.meta;
    }
    ml_hash(s.text, s.size, s.hash);
    find_form(&s);
    if (r->options->require_count)
        status = parse_meta(&s, meta, err);
    bool wanted = status == 0 && s.size > 0 && has_required(r, &s);
    json_decref(s.meta);
    if (status == 0 && !wanted)
        r->out->without_field++;
    if (wanted && r->options->dedup)
        status = note_seen(r, first_bits(s.hash), &before, err);
    if (before)
        r->out->repeated++;
    return status == 0 && wanted && !before ? keep(r, &s, meta, err) : status;
}

static int read_records(struct reading *r, struct ml_workspace *workspace,
                        const struct ml_dataset *dataset, struct ml_error *err)
{
    struct ml_record_cursor *cursor = NULL;
    struct ml_blob_view view = {0};
    struct ml_record_filter filter = {.dataset = dataset->id, .kind = "text"};
    int status = ml_records_open(&cursor, workspace, &filter, err);
    while (status == 0) {
        struct ml_record record;
        const char *bytes;
        size_t n;
        int more = ml_records_next(cursor, &record, err);
        if (more <= 0) {
            status = more;
            break;
        }
        if (r->options->cancel && *r->options->cancel)
            status = ml_fail(err, ML_ERR_CANCELLED, "stopped while reading the dataset");
        if (status == 0)
            status = ml_records_read(workspace, &record, &view, &bytes, &n, err);
        if (status == 0)
            status = take_record(r, &record, bytes, n, err);
    }
    ml_blob_view_clear(&view);
    ml_records_close(cursor);
    return status;
}

/* ---- splitting and rendering ---- */

static int add_plain(struct reading *r, struct ml_dataset_document *list, int64_t *count,
                     const struct kept *k, size_t from, size_t to)
{
    (void)r;
    if (to > from)
        list[(*count)++] = (struct ml_dataset_document){
            .text = k->text + from, .size = to - from, .record = k->id};
    return 0;
}

/* Few long texts: the end of each is held out, cut between two characters. */
static void split_ends(struct reading *r)
{
    struct ml_dataset_text *out = r->out;
    for (int64_t i = 0; i < r->count; i++) {
        const struct kept *k = &r->kept[i];
        size_t cut = (size_t)((double)k->size * (1 - r->options->validation));
        while (cut > 0 && cut < k->size && ((unsigned char)k->text[cut] & 0xc0) == 0x80)
            cut--;
        add_plain(r, out->train, &out->train_count, k, 0, cut);
        add_plain(r, out->validation, &out->validation_count, k, cut, k->size);
    }
}

static int render(struct reading *r, const struct kept *k, int copy, struct ml_filled *filled,
                  struct ml_dataset_document *out, struct ml_error *err)
{
    struct source s = {.id = k->id, .text = k->text, .size = k->size, .title = k->title};
    struct ml_rng rng;
    struct ml_template_drop drop = {copy < 0 ? 0 : r->options->drop, &rng};
    ml_rng_init(&rng, r->options->seed, k->draw + (uint64_t)(copy < 0 ? 0 : copy));
    find_form(&s);
    int status = parse_meta(&s, k->meta, err);
    if (status == 0)
        status = ml_template_fill(r->template, look_up, &s, &drop, filled, err);
    json_decref(s.meta);
    if (status != 0)
        return status;
    struct ml_arena *arena = &r->out->arena;
    char *text = ml_arena_strndup(arena, filled->text.data, filled->text.size);
    void *literals = ml_arena_alloc(arena, filled->literals.size + 1);
    if (!text || !literals)
        return out_of_memory(err);
    if (filled->literals.size)
        memcpy(literals, filled->literals.data, filled->literals.size);
    *out = (struct ml_dataset_document){text, filled->text.size, literals, filled->literals.size,
                                        k->id};
    return 0;
}

/* A record that lacks a field the template cannot do without is left out, not an error. */
static int add_rendered(struct reading *r, const struct kept *k, int copy, struct ml_filled *filled,
                        struct ml_error *err)
{
    struct ml_dataset_text *out = r->out;
    struct ml_error missing = {0};
    bool held = copy < 0;
    struct ml_dataset_document *to =
        held ? &out->validation[out->validation_count] : &out->train[out->train_count];
    int status = render(r, k, copy, filled, to, &missing);
    if (status == ML_ERR_NOT_FOUND) {
        out->without_field += copy <= 0;
        return 0;
    }
    if (status != 0)
        return ml_fail(err, status, "%s", missing.message);
    *(held ? &out->validation_count : &out->train_count) += 1;
    return 0;
}

static int split_records(struct reading *r, struct ml_error *err)
{
    struct ml_dataset_text *out = r->out;
    struct ml_filled filled = {0};
    int copies = r->options->copies > 1 ? r->options->copies : 1, status = 0;
    double share = r->options->validation;
    int64_t lowest = 0; /* held out whatever its draw, so that there is something to measure */
    for (int64_t i = 1; i < r->count; i++)
        if (r->kept[i].draw < r->kept[lowest].draw)
            lowest = i;
    for (int64_t i = 0; i < r->count && status == 0; i++) {
        const struct kept *k = &r->kept[i];
        bool held = share > 0 && r->count > 1 &&
                    (i == lowest || (double)k->draw < share * 18446744073709551616.0);
        if (!r->template)
            add_plain(r, held ? out->validation : out->train,
                      held ? &out->validation_count : &out->train_count, k, 0, k->size);
        for (int copy = 0; r->template && status == 0 && copy < (held ? 1 : copies); copy++)
            status = add_rendered(r, k, held ? -1 : copy, &filled, err);
    }
    ml_filled_clear(&filled);
    return status;
}

static int split(struct reading *r, struct ml_error *err)
{
    struct ml_dataset_text *out = r->out;
    bool ends = !r->template && r->count < ML_DATASET_TEXT_FEW && r->options->validation > 0;
    int copies = r->template && r->options->copies > 1 ? r->options->copies : 1;
    size_t size = sizeof(struct ml_dataset_document);
    out->train = ml_arena_calloc(&out->arena, (size_t)(r->count * copies) + 1, size);
    out->validation = ml_arena_calloc(&out->arena, (size_t)r->count + 1, size);
    if (!out->train || !out->validation)
        return out_of_memory(err);
    if (ends)
        split_ends(r);
    return ends ? 0 : split_records(r, err);
}

static int nothing_left(const struct reading *r, const struct ml_dataset *dataset,
                        struct ml_error *err)
{
    const struct ml_dataset_text *out = r->out;
    return ml_fail(err, ML_ERR_NOT_FOUND,
                   "dataset %s@%d has nothing to train on: of %lld records, %lld lack a field that "
                   "the recipe needs and %lld repeat another",
                   dataset->name, dataset->version, (long long)out->records,
                   (long long)out->without_field, (long long)out->repeated);
}

int ml_dataset_text_open(struct ml_dataset_text *out, struct ml_workspace *workspace,
                         const struct ml_dataset *dataset,
                         const struct ml_dataset_text_options *options, struct ml_error *err)
{
    struct ml_dataset_text text = {0};
    struct ml_arena templates; /* lives as long as the reading, unlike scratch */
    struct reading r = {.out = &text, .options = options};
    const char *template = options->template ? options->template : "";
    int status = 0;
    ml_arena_init(&text.arena, 1 << 20);
    ml_arena_init(&r.scratch, 0);
    ml_arena_init(&templates, 0);
    if (*template)
        status = ml_template_parse(&r.template, &templates, template, strlen(template), err);
    if (status == 0)
        status = read_records(&r, workspace, dataset, err);
    if (status == 0)
        status = split(&r, err);
    if (status == 0 && text.train_count == 0)
        status = nothing_left(&r, dataset, err);
    ml_mem_free(r.kept);
    ml_mem_free(r.seen);
    ml_arena_clear(&r.scratch);
    ml_arena_clear(&templates);
    if (status != 0)
        ml_dataset_text_close(&text);
    else
        *out = text;
    return status;
}

void ml_dataset_text_close(struct ml_dataset_text *text)
{
    if (!text)
        return;
    ml_arena_clear(&text->arena);
    memset(text, 0, sizeof *text);
}
