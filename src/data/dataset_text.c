#include "data/dataset_text.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/rng.h"
#include "base/words.h"
#include "data/augment_text.h"
#include "data/record_fields.h"
#include "data/text_set.h"
#include "text/template.h"

#define MAX_NAMES 256 /* different fields that are remembered for messages */

/* A record that is used. */
struct kept {
    struct ml_record_fields fields;
    int64_t id;
    uint64_t draw; /* first 64 bits of the text's hash */
};

struct reading {
    struct ml_dataset_text *out;
    const struct ml_dataset_text_options *options;
    const struct ml_dataset *dataset;
    struct ml_workspace *workspace;
    struct ml_template *template;
    struct ml_arena fields; /* what lives until all is rendered */
    struct ml_arena one;    /* the record at hand, when only its text is needed afterwards */
    struct kept *kept;
    int64_t count, capacity;
    struct ml_text_set seen;
    int copies; /* of each training record */
    struct ml_synonyms *synonyms;
    struct ml_augment_work work;
    const char *names[MAX_NAMES]; /* of the fields that records have */
    int name_count;
};

static int out_of_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory for the texts of a dataset");
}

/* ---- which records ---- */

static int note_names(struct reading *r, const struct ml_record_fields *fields,
                      struct ml_error *err)
{
    for (int i = 0; i < fields->count; i++) {
        int at = 0;
        while (at < r->name_count && strcmp(r->names[at], fields->fields[i].name) != 0)
            at++;
        if (at < r->name_count || at == MAX_NAMES)
            continue;
        r->names[at] = ml_arena_strdup(&r->fields, fields->fields[i].name);
        if (!r->names[at])
            return out_of_memory(err);
        r->name_count++;
    }
    return 0;
}

static bool has_needed(const struct reading *r, struct ml_record_fields *fields)
{
    const char *text;
    size_t size;
    for (int i = 0; i < r->options->require_count; i++)
        if (!ml_record_fields_find(fields, r->options->require[i], &text, &size))
            return false;
    for (int i = 0; r->template && i < ml_template_field_count(r->template); i++)
        if (!ml_template_field_optional(r->template, i) &&
            !ml_record_fields_find(fields, ml_template_field(r->template, i), &text, &size))
            return false;
    return fields->size > 0;
}

static uint64_t draw_of(const struct ml_record_fields *fields)
{
    uint8_t hash[ML_HASH_BYTES];
    uint64_t bits = 0;
    ml_hash(fields->text, fields->size, hash);
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | hash[i];
    return bits;
}

/* Without a template the text is the document; with one, its fields stay until it is rendered. */
static int keep(struct reading *r, const struct ml_record_fields *fields, bool borrowed, int64_t id,
                uint64_t draw, struct ml_error *err)
{
    if (r->count == r->capacity) {
        int64_t capacity = r->capacity ? 2 * r->capacity : 1024;
        struct kept *grown = ml_mem_realloc(r->kept, (size_t)capacity * sizeof *grown);
        if (!grown)
            return out_of_memory(err);
        r->kept = grown;
        r->capacity = capacity;
    }
    struct kept k = {.fields = *fields, .id = id, .draw = draw};
    if (!r->template)
        k.fields.text = ml_arena_strndup(&r->out->arena, fields->text, fields->size);
    else if (borrowed) /* from a blob that is closed by then */
        k.fields.text = ml_arena_strndup(&r->fields, fields->text, fields->size);
    if (!k.fields.text)
        return out_of_memory(err);
    r->kept[r->count++] = k;
    return 0;
}

static int take_record(struct reading *r, const struct ml_record *record, const char *bytes,
                       size_t n, struct ml_error *err)
{
    struct ml_record_fields fields = {0};
    bool good = false, before = false;
    r->out->records++;
    ml_arena_reset(&r->one);
    int status = ml_record_fields_load(&fields, r->template ? &r->fields : &r->one, record, bytes,
                                       n, &good, err);
    if (status == 0)
        status = note_names(r, &fields, err);
    if (status)
        return status;
    if (!good || !has_needed(r, &fields)) {
        r->out->without_field++;
        return 0;
    }
    uint64_t draw = draw_of(&fields);
    if (r->options->dedup)
        status = ml_text_set_add(&r->seen, draw, &before, err);
    r->out->repeated += before;
    return status == 0 && !before ? keep(r, &fields, fields.text == bytes, record->id, draw, err)
                                  : status;
}

static int read_records(struct reading *r, struct ml_error *err)
{
    struct ml_record_cursor *cursor = NULL;
    struct ml_blob_view view = {0};
    const struct ml_record_filter filter = {.dataset = r->dataset->id, .kind = "text"};
    int status = ml_records_open(&cursor, r->workspace, &filter, err);
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
            status = ml_records_read(r->workspace, &record, &view, &bytes, &n, err);
        if (status == 0)
            status = take_record(r, &record, bytes, n, err);
    }
    ml_blob_view_clear(&view);
    ml_records_close(cursor);
    return status;
}

/* ---- fields that no record has ---- */

static bool is_known(const struct reading *r, const char *field)
{
    bool known = strcmp(field, "text") == 0 || r->name_count == MAX_NAMES;
    for (int i = 0; !known && i < r->name_count; i++)
        known = strcmp(field, r->names[i]) == 0;
    return known;
}

/* A template does without an optional field; one that looks like a typing error is refused all the
 * same. */
static int check_name(const struct reading *r, const char *field, bool optional,
                      struct ml_error *err)
{
    const char *near = ml_word_nearest(field, r->names, r->name_count);
    if (is_known(r, field) || (optional && !near))
        return 0;
    char list[160] = "text";
    size_t at = 4;
    for (int i = 0; i < r->name_count && at + strlen(r->names[i]) + 3 < sizeof list; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, ", %s", r->names[i]);
    return ml_fail(err, ML_ERR_NOT_FOUND,
                   "dataset %.60s@%d: no record has the field \"%.60s\"%s%.60s%s; they have: %s",
                   r->dataset->name, r->dataset->version, field, near ? " (did you mean \"" : "",
                   near ? near : "", near ? "\"?)" : "", list);
}

static int check_names(const struct reading *r, struct ml_error *err)
{
    int status = 0;
    for (int i = 0; status == 0 && i < r->options->require_count; i++)
        status = check_name(r, r->options->require[i], false, err);
    for (int i = 0; status == 0 && r->template && i < ml_template_field_count(r->template); i++)
        status = check_name(r, ml_template_field(r->template, i),
                            ml_template_field_optional(r->template, i), err);
    return status;
}

/* ---- splitting and rendering ---- */

static void add_plain(struct ml_dataset_document *list, int64_t *count, const struct kept *k,
                      size_t from, size_t to)
{
    if (to > from)
        list[(*count)++] = (struct ml_dataset_document){
            .text = k->fields.text + from, .size = to - from, .record = k->id};
}

/* ---- variants ---- */

/* The text of copy number `copy` (from 1), in r->work.out. */
static int vary(struct reading *r, const struct kept *k, int copy, const char *text, size_t n,
                struct ml_error *err)
{
    struct ml_rng rng;
    const struct ml_augment_plan plan = {.share = r->options->augment, .synonyms = r->synonyms};
    ml_rng_init(&rng, r->options->seed, (k->draw ^ 0x6175676D656E7465u) + (uint64_t)copy);
    return ml_augment_text(&r->work, &plan, ML_AUGMENT_TRAIN, text, n, &rng, err);
}

/* The stretch of a training text, and its variants. */
static int add_training(struct reading *r, const struct kept *k, size_t from, size_t to,
                        struct ml_error *err)
{
    struct ml_dataset_text *out = r->out;
    int status = 0;
    add_plain(out->train, &out->train_count, k, from, to);
    for (int copy = 1; copy < r->copies && status == 0 && to > from; copy++) {
        status = vary(r, k, copy, k->fields.text + from, to - from, err);
        if (status || r->work.out.size == 0)
            continue;
        char *text = ml_arena_strndup(&out->arena, r->work.out.data, r->work.out.size);
        if (!text)
            return out_of_memory(err);
        out->train[out->train_count++] =
            (struct ml_dataset_document){.text = text, .size = r->work.out.size, .record = k->id};
    }
    return status;
}

/* Few long texts: the end of each is held out, cut between two characters. */
static int split_ends(struct reading *r, struct ml_error *err)
{
    struct ml_dataset_text *out = r->out;
    int status = 0;
    for (int64_t i = 0; i < r->count && status == 0; i++) {
        const struct kept *k = &r->kept[i];
        size_t size = k->fields.size, cut = (size_t)((double)size * (1 - r->options->validation));
        while (cut > 0 && cut < size && ((unsigned char)k->fields.text[cut] & 0xc0) == 0x80)
            cut--;
        status = add_training(r, k, 0, cut, err);
        add_plain(out->validation, &out->validation_count, k, cut, size);
    }
    return status;
}

/* copy -1: to be held out, with all that it has and as it is. */
static int render(struct reading *r, struct kept *k, int copy, struct ml_filled *filled,
                  struct ml_dataset_document *out, struct ml_error *err)
{
    struct ml_rng rng;
    const struct ml_template_drop drop = {copy < 0 ? 0 : r->options->drop, &rng};
    struct ml_record_fields fields = k->fields;
    int status = 0;
    ml_rng_init(&rng, r->options->seed, k->draw + (uint64_t)(copy < 0 ? 0 : copy));
    if (copy > 0 && r->options->augment > 0) {
        status = vary(r, k, copy, fields.text, fields.size, err);
        fields.text = r->work.out.size ? r->work.out.data : "";
        fields.size = r->work.out.size;
    }
    if (status == 0)
        status = ml_template_fill(r->template, ml_record_fields_find, &fields, &drop, filled, err);
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

static int add_rendered(struct reading *r, struct kept *k, bool held, struct ml_filled *filled,
                        struct ml_error *err)
{
    struct ml_dataset_text *out = r->out;
    int status = 0;
    if (held) {
        status = render(r, k, -1, filled, &out->validation[out->validation_count], err);
        out->validation_count += status == 0;
        return status;
    }
    for (int copy = 0; copy < r->copies && status == 0; copy++) {
        status = render(r, k, copy, filled, &out->train[out->train_count], err);
        out->train_count += status == 0;
    }
    return status;
}

/* The lowest draw is held out and the highest is not, whatever the share: there is something to
 * measure, and something to learn from. */
static int split_records(struct reading *r, struct ml_error *err)
{
    struct ml_dataset_text *out = r->out;
    struct ml_filled filled = {0};
    double share = r->options->validation;
    uint64_t lowest = UINT64_MAX, highest = 0;
    int status = 0;
    for (int64_t i = 0; i < r->count; i++) {
        lowest = r->kept[i].draw < lowest ? r->kept[i].draw : lowest;
        highest = r->kept[i].draw > highest ? r->kept[i].draw : highest;
    }
    for (int64_t i = 0; i < r->count && status == 0; i++) {
        struct kept *k = &r->kept[i];
        bool held = share > 0 && k->draw != highest &&
                    (k->draw == lowest || (double)k->draw < share * 0x1p64);
        if (r->template)
            status = add_rendered(r, k, held, &filled, err);
        else if (held)
            add_plain(out->validation, &out->validation_count, k, 0, k->fields.size);
        else
            status = add_training(r, k, 0, k->fields.size, err);
    }
    ml_filled_clear(&filled);
    return status;
}

static int split(struct reading *r, struct ml_error *err)
{
    struct ml_dataset_text *out = r->out;
    bool ends = !r->template && r->count < ML_DATASET_TEXT_FEW && r->options->validation > 0;
    bool augment = r->options->augment > 0;
    r->copies = r->options->copies > 1 ? r->options->copies : 1;
    if (augment && r->copies == 1)
        r->copies = ml_augment_copies(r->count);
    if (!augment && !r->template)
        r->copies = 1;
    size_t size = sizeof(struct ml_dataset_document);
    out->train = ml_arena_calloc(&out->arena, (size_t)(r->count * r->copies) + 1, size);
    out->validation = ml_arena_calloc(&out->arena, (size_t)r->count + 1, size);
    if (!out->train || !out->validation)
        return out_of_memory(err);
    return ends ? split_ends(r, err) : split_records(r, err);
}

static int nothing_left(const struct reading *r, struct ml_error *err)
{
    const struct ml_dataset_text *out = r->out;
    return ml_fail(err, ML_ERR_NOT_FOUND,
                   "dataset %.60s@%d has nothing to train on: of %lld records with text, %lld lack "
                   "a field that the recipe needs and %lld repeat another",
                   r->dataset->name, r->dataset->version, (long long)out->records,
                   (long long)out->without_field, (long long)out->repeated);
}

static int open_all(struct reading *r, struct ml_error *err)
{
    const char *template = r->options->template ? r->options->template : "";
    int status = 0;
    if (*template)
        status = ml_template_parse(&r->template, &r->fields, template, strlen(template), err);
    if (status == 0 && r->options->augment > 0 && r->options->synonyms && *r->options->synonyms)
        status = ml_synonyms_load(&r->synonyms, r->options->synonyms, err);
    if (status == 0)
        status = read_records(r, err);
    if (status == 0 && r->out->records > 0)
        status = check_names(r, err);
    if (status == 0)
        status = split(r, err);
    if (status == 0 && r->out->train_count == 0)
        status = nothing_left(r, err);
    return status;
}

int ml_dataset_text_open(struct ml_dataset_text *out, struct ml_workspace *workspace,
                         const struct ml_dataset *dataset,
                         const struct ml_dataset_text_options *options, struct ml_error *err)
{
    static const struct ml_dataset_text_options defaults;
    struct ml_dataset_text text = {0};
    struct reading r = {.out = &text,
                        .options = options ? options : &defaults,
                        .dataset = dataset,
                        .workspace = workspace};
    ml_arena_init(&text.arena, 1 << 20);
    ml_arena_init(&r.fields, 1 << 20);
    ml_arena_init(&r.one, 0);
    int status = open_all(&r, err);
    ml_mem_free(r.kept);
    ml_text_set_clear(&r.seen);
    ml_synonyms_free(r.synonyms);
    ml_augment_work_clear(&r.work);
    ml_arena_clear(&r.fields);
    ml_arena_clear(&r.one);
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
