/* The steps of curating: one row a kind. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "data/c4_lines.h"
#include "data/curate_parse.h"
#include "data/normalise.h"
#include "data/record_fields.h"

/* ---- what steps share ---- */

const struct ml_curate_step *ml_curate_step_at(const struct ml_curate_run *run, int step)
{
    return &run->recipe->steps[step];
}

void ml_curate_drop(struct ml_curate_item *item, int step, const char *why, double value)
{
    item->dropped_at = step;
    item->value = value;
    snprintf(item->why, sizeof item->why, "%s", why);
}

int ml_curate_scan(struct ml_curate_worker *w, struct ml_curate_item *item, struct ml_error *err)
{
    if (w->scanned == item->text && w->scan.bytes == item->size)
        return 0;
    w->scanned = NULL;
    int status = ml_word_scan(&w->scan, item->text, item->size, err);
    if (status == 0)
        w->scanned = item->text;
    return status;
}

void ml_curate_take_spare(struct ml_curate_worker *w, struct ml_curate_item *item, int step)
{
    struct ml_buffer old = item->own;
    item->own = item->spare;
    item->spare = old;
    item->spare.size = 0;
    item->text = item->own.data;
    item->size = item->own.size;
    item->changed = true;
    item->is_signed = false;
    item->touched |= (uint64_t)1 << step;
    w->scanned = NULL; /* the same address may hold another text now */
}

static int begin_languages(struct ml_curate_run *run, const struct ml_curate_step *step,
                           struct ml_error *err)
{
    return run->languages ? 0 : ml_language_model_open(&run->languages, err);
}

static int identify(struct ml_curate_run *run, struct ml_curate_worker *w,
                    struct ml_curate_item *item, struct ml_error *err)
{
    if (item->language.code[0])
        return 0;
    return ml_language_identify(run->languages, &w->language, item->text, item->size,
                                &item->language, err);
}

static int sign(struct ml_curate_worker *w, struct ml_curate_item *item, struct ml_error *err)
{
    bool any = false;
    if (item->is_signed)
        return 0;
    int status = ml_curate_scan(w, item, err);
    if (status == 0)
        status = ml_minhash_sign(&w->minhash, &w->scan, item->signature, &any, err);
    item->is_signed = status == 0 && any;
    return status;
}

/* ---- normalise ---- */

static int parse_normalise(struct ml_curate_step *s, const struct ml_yaml *map, const char *file,
                           struct ml_error *err)
{
    int status = ml_curate_flag(map, "half_width", file, &s->half_width, err);
    return status ? status : ml_curate_flag(map, "keep_blanks", file, &s->keep_blanks, err);
}

static int each_normalise(struct ml_curate_run *run, struct ml_curate_worker *w, int step,
                          struct ml_curate_item *item, struct ml_error *err)
{
    const struct ml_curate_step *s = ml_curate_step_at(run, step);
    const struct ml_normalise how = {s->half_width, s->keep_blanks};
    bool changed = false;
    int status = ml_normalise_text(&item->spare, item->text, item->size, &how, &changed, err);
    if (status == 0 && changed)
        ml_curate_take_spare(w, item, step);
    if (status == 0 && item->size == 0)
        ml_curate_drop(item, step, "nothing left", 0);
    return status;
}

/* ---- language ---- */

static int parse_language(struct ml_curate_step *s, const struct ml_yaml *map, const char *file,
                          struct ml_error *err)
{
    static const struct ml_curate_range share = {0, 1};
    s->least = 0.65; /* FineWeb's */
    int status = ml_curate_words(s, map, "keep", file, err);
    return status ? status : ml_curate_number(map, "least", file, &share, &s->least, err);
}

static bool is_among(const struct ml_curate_step *s, const char *word)
{
    for (int i = 0; i < s->word_count; i++)
        if (strcmp(s->words[i], word) == 0)
            return true;
    return false;
}

static int each_language(struct ml_curate_run *run, struct ml_curate_worker *w, int step,
                         struct ml_curate_item *item, struct ml_error *err)
{
    const struct ml_curate_step *s = ml_curate_step_at(run, step);
    char why[64];
    int status = identify(run, w, item, err);
    if (status)
        return status;
    double p = (double)item->language.probability;
    if (!item->language.code[0])
        ml_curate_drop(item, step, "no language: no letters", 0);
    else if (p < s->least)
        ml_curate_drop(item, step, "language not certain", p);
    else if (s->word_count && !is_among(s, item->language.code)) {
        snprintf(why, sizeof why, "language %s", item->language.code);
        ml_curate_drop(item, step, why, p);
    }
    return 0;
}

/* ---- lines and quality ---- */

static int each_c4_lines(struct ml_curate_run *run, struct ml_curate_worker *w, int step,
                         struct ml_curate_item *item, struct ml_error *err)
{
    bool changed = false;
    int64_t dropped = 0;
    int status = ml_curate_scan(w, item, err);
    if (status == 0)
        status = ml_c4_lines(&item->spare, &w->scan, &changed, &dropped, err);
    if (status || !changed)
        return status;
    if (item->spare.size == 0)
        ml_curate_drop(item, step, "no line left", (double)dropped);
    else
        ml_curate_take_spare(w, item, step);
    return 0;
}

static const char *const set_names[] = {"gopher", "repetition", "c4", "fineweb"};

static int parse_limits(struct ml_curate_step *s, const struct ml_yaml *limits, const char *file,
                        struct ml_error *err)
{
    static const struct ml_curate_range any = {-1e18, 1e18};
    int status = 0;
    if (limits->kind != ML_YAML_MAP)
        return ml_curate_fail(limits, file, err,
                              "limits is a map of rules: {gopher.words: [20, "
                              "none]}");
    for (const struct ml_yaml *rule = limits->first; status == 0 && rule; rule = rule->next) {
        double bound[2] = {NAN, NAN};
        int n = 0;
        if (rule->kind != ML_YAML_LIST)
            return ml_curate_fail(rule, file, err, "a limit is [least, most]; none: no limit");
        for (const struct ml_yaml *b = rule->first; status == 0 && b; b = b->next, n++) {
            if (n == 2 || b->kind != ML_YAML_SCALAR)
                return ml_curate_fail(rule, file, err, "a limit is [least, most]; none: no limit");
            const struct ml_yaml one = {
                .kind = ML_YAML_MAP,
                .line = b->line,
                .first = &(struct ml_yaml){
                    .kind = ML_YAML_SCALAR, .line = b->line, .key = rule->key, .text = b->text}};
            if (strcmp(b->text, "none") == 0)
                bound[n] = n == 0 ? -HUGE_VAL : HUGE_VAL;
            else
                status = ml_curate_number(&one, rule->key, file, &any, &bound[n], err);
        }
        struct ml_error inner = {0};
        if (status == 0 && ml_quality_plan_set(&s->plan, rule->key, bound[0], bound[1], &inner))
            status = ml_curate_fail(rule, file, err, "%s", inner.message);
    }
    return status;
}

static int parse_quality(struct ml_curate_step *s, const struct ml_yaml *map, const char *file,
                         struct ml_error *err)
{
    const struct ml_yaml *sets = map ? ml_yaml_get(map, "sets") : NULL;
    const struct ml_yaml *limits = map ? ml_yaml_get(map, "limits") : NULL;
    int status = 0, which = 0;
    s->sets = sets ? 0 : ML_QUALITY_ALL;
    for (const struct ml_yaml *set = sets ? sets->first : NULL; status == 0 && set;
         set = set->next) {
        status = ml_curate_choice(set, file, set_names, 4, &which, err);
        s->sets |= 1u << which;
    }
    if (status == 0 && !s->sets)
        status = ml_curate_fail(sets, file, err, "sets is a list: [gopher, fineweb]");
    ml_quality_plan_init(&s->plan, s->sets);
    if (status == 0 && limits)
        status = parse_limits(s, limits, file, err);
    return status;
}

static int each_quality(struct ml_curate_run *run, struct ml_curate_worker *w, int step,
                        struct ml_curate_item *item, struct ml_error *err)
{
    const struct ml_quality_rule *broken = NULL;
    int status = ml_curate_scan(w, item, err);
    if (status == 0)
        status = identify(run, w, item, err);
    if (status == 0)
        status = ml_quality_judge(&w->quality, &ml_curate_step_at(run, step)->plan, &w->scan,
                                  item->language.code, &broken, err);
    if (status == 0 && broken)
        ml_curate_drop(item, step, broken->name, w->quality.metric[broken->metric]);
    return status;
}

/* ---- licence and consent ---- */

static int parse_licence(struct ml_curate_step *s, const struct ml_yaml *map, const char *file,
                         struct ml_error *err)
{
    static const char *const answers[] = {"drop", "keep"};
    const struct ml_yaml *unknown = map ? ml_yaml_get(map, "unknown") : NULL;
    int keep = 0, status = ml_curate_words(s, map, "allow", file, err);
    if (status == 0 && unknown)
        status = ml_curate_choice(unknown, file, answers, 2, &keep, err);
    s->keep_unknown = keep == 1;
    return status;
}

static int each_licence(struct ml_curate_run *run, struct ml_curate_worker *w, int step,
                        struct ml_curate_item *item, struct ml_error *err)
{
    const struct ml_curate_step *s = ml_curate_step_at(run, step);
    const char *licence = item->record.licence;
    char why[64];
    if (!*licence && !s->keep_unknown) {
        ml_curate_drop(item, step, "licence not known", 0);
    } else if (*licence && s->word_count && !is_among(s, licence)) {
        snprintf(why, sizeof why, "licence %.50s", licence);
        ml_curate_drop(item, step, why, 0);
    }
    return 0;
}

static int each_consent(struct ml_curate_run *run, struct ml_curate_worker *w, int step,
                        struct ml_curate_item *item, struct ml_error *err)
{
    char why[64];
    if (strncmp(item->record.consent, "denied", 6) == 0) {
        snprintf(why, sizeof why, "%.60s", item->record.consent);
        ml_curate_drop(item, step, why, 0);
    }
    return 0;
}

/* ---- duplicates ---- */

static int join_exact(struct ml_curate_run *run, int step, struct ml_curate_item *item,
                      struct ml_error *err)
{
    uint8_t hash[ML_HASH_BYTES];
    uint64_t key = 0;
    bool before = false;
    if (item->is_text)
        ml_hash(item->text, item->size, hash);
    else
        ml_hash_parse(hash, item->record.hash);
    for (int i = 0; i < 8; i++)
        key = key << 8 | hash[i];
    int status = ml_text_set_add(&run->seen, key, &before, err);
    if (status == 0 && before)
        ml_curate_drop(item, step, "the same as an earlier one", 0);
    return status;
}

static int parse_near(struct ml_curate_step *s, const struct ml_yaml *map, const char *file,
                      struct ml_error *err)
{
    static const struct ml_curate_range range = {0.3, 1};
    s->threshold = 0.7;
    return ml_curate_number(map, "threshold", file, &range, &s->threshold, err);
}

static int each_near(struct ml_curate_run *run, struct ml_curate_worker *w, int step,
                     struct ml_curate_item *item, struct ml_error *err)
{
    return sign(w, item, err);
}

static int join_near(struct ml_curate_run *run, int step, struct ml_curate_item *item,
                     struct ml_error *err)
{
    double alike = 0;
    if (!item->is_signed)
        return 0;
    double threshold = ml_curate_step_at(run, step)->threshold;
    if (ml_near_index_find(&run->near, item->signature, threshold, &alike) < 0)
        return ml_near_index_add(&run->near, item->signature, item->record.id, err);
    ml_curate_drop(item, step, "nearly an earlier one", alike);
    return 0;
}

/* ---- redaction ---- */

static int parse_redact(struct ml_curate_step *s, const struct ml_yaml *map, const char *file,
                        struct ml_error *err)
{
    static const char *const modes[] = {"replace", "mask", "hash"};
    const struct ml_yaml *kinds = map ? ml_yaml_get(map, "kinds") : NULL;
    const struct ml_yaml *mode = map ? ml_yaml_get(map, "mode") : NULL;
    const char *names[ML_PII_COUNT];
    int status = 0, which = 0;
    for (int i = 0; i < ML_PII_COUNT; i++)
        names[i] = ml_pii_name((enum ml_pii)i);
    s->kinds = kinds ? 0 : ML_PII_ALL;
    for (const struct ml_yaml *kind = kinds ? kinds->first : NULL; status == 0 && kind;
         kind = kind->next) {
        status = ml_curate_choice(kind, file, names, ML_PII_COUNT, &which, err);
        s->kinds |= 1u << which;
    }
    if (status == 0 && !s->kinds)
        status = ml_curate_fail(kinds, file, err, "kinds is a list: [email, phone]");
    which = 0;
    if (status == 0 && mode)
        status = ml_curate_choice(mode, file, modes, 3, &which, err);
    s->mode = (enum ml_redact_mode)which;
    return status;
}

/* Redacts one string into out; *found counts. */
static int redact_text(struct ml_curate_run *run, struct ml_curate_worker *w,
                       struct ml_curate_item *item, const struct ml_curate_step *s,
                       const struct ml_buffer *from, struct ml_buffer *out, struct ml_error *err)
{
    int status = ml_redact_find(&w->spans, from->data, from->size, s->kinds, err);
    out->size = 0;
    if (status || w->spans.count == 0)
        return status;
    for (size_t i = 0; i < w->spans.count; i++)
        item->redacted[w->spans.spans[i].kind]++;
    return ml_redact_apply(out, from->data, from->size, &w->spans, s->mode, run->redact_key, err);
}

/* Strings, and numbers that turn out to be somebody's. */
static int redact_value(struct ml_curate_run *run, struct ml_curate_worker *w,
                        struct ml_curate_item *item, const struct ml_curate_step *s, json_t **value,
                        struct ml_error *err)
{
    char number[32];
    struct ml_buffer out = {0}, from = {.data = (char *)(uintptr_t)json_string_value(*value),
                                        .size = json_string_length(*value)};
    if (json_is_integer(*value)) {
        from.data = number;
        from.size =
            (size_t)snprintf(number, sizeof number, "%lld", (long long)json_integer_value(*value));
    } else if (!json_is_string(*value)) {
        *value = NULL;
        return 0;
    }
    int status = redact_text(run, w, item, s, &from, &out, err);
    *value = NULL;
    if (status == 0 && out.size && !(*value = json_stringn(out.data, out.size)))
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory redacting a record");
    ml_buffer_clear(&out);
    return status;
}

static int redact_meta(struct ml_curate_run *run, struct ml_curate_worker *w,
                       struct ml_curate_item *item, const struct ml_curate_step *s,
                       struct ml_error *err)
{
    const char *text = item->meta ? item->meta : item->record.meta, *key;
    json_t *meta = NULL, *value;
    bool changed = false;
    int status = strcmp(text, "{}") == 0
                     ? 0
                     : ml_json_parse(&meta, text, strlen(text), "a record's meta", err);
    json_object_foreach(meta, key, value)
    {
        json_t *instead = value;
        if (status == 0)
            status = redact_value(run, w, item, s, &instead, err);
        if (status == 0 && instead) {
            changed = true;
            if (json_object_set_new_nocheck(meta, key, instead) != 0)
                status = ml_fail(err, ML_ERR_MEMORY, "out of memory redacting a record");
        }
    }
    if (status == 0 && changed) {
        ml_mem_free(item->meta);
        item->meta = NULL;
        status = ml_json_text(&item->meta, meta, JSON_COMPACT, err);
        item->changed = true;
    }
    json_decref(meta);
    return status;
}

static int redact_title(struct ml_curate_run *run, struct ml_curate_worker *w,
                        struct ml_curate_item *item, const struct ml_curate_step *s,
                        struct ml_error *err)
{
    const char *title = item->title ? item->title : item->record.title;
    struct ml_buffer out = {0}, from = {.data = (char *)(uintptr_t)title, .size = strlen(title)};
    int status = redact_text(run, w, item, s, &from, &out, err);
    if (status == 0 && out.size) {
        ml_mem_free(item->title);
        item->title = out.data;
        item->changed = true;
        return 0;
    }
    ml_buffer_clear(&out);
    return status;
}

static int each_redact(struct ml_curate_run *run, struct ml_curate_worker *w, int step,
                       struct ml_curate_item *item, struct ml_error *err)
{
    const struct ml_curate_step *s = ml_curate_step_at(run, step);
    int status = 0;
    if (item->is_text) {
        const struct ml_buffer from = {.data = (char *)(uintptr_t)item->text, .size = item->size};
        status = redact_text(run, w, item, s, &from, &item->spare, err);
        if (status == 0 && item->spare.size)
            ml_curate_take_spare(w, item, step);
    }
    if (status == 0)
        status = redact_title(run, w, item, s, err);
    if (status == 0)
        status = redact_meta(run, w, item, s, err);
    for (int i = 0; i < ML_PII_COUNT; i++)
        if (item->redacted[i])
            item->touched |= (uint64_t)1 << step;
    return status;
}

/* ---- decontamination ---- */

static int parse_decontaminate(struct ml_curate_step *s, const struct ml_yaml *map,
                               const char *file, struct ml_error *err)
{
    static const struct ml_curate_range range = {5, 50};
    double run = 13; /* GPT-3 (arXiv:2005.14165, appendix C) */
    int status = ml_curate_words(s, map, "against", file, err);
    if (status == 0)
        status = ml_curate_number(map, "run", file, &range, &run, err);
    if (status == 0 && s->word_count == 0)
        status = ml_curate_fail(map ? map : &(struct ml_yaml){.line = s->line}, file, err,
                                "decontaminate needs the evaluation sets: {against: [NAME]}");
    s->run = (int)run;
    return status;
}

typedef bool run_fn(void *arg, uint64_t key);

/* Keys of all runs of `n` words (characters where they are words: twice as many); a shorter text
 * is one run. False from visit ends it. */
static void each_run(const struct ml_word_scan *scan, size_t n, run_fn *visit, void *arg)
{
    size_t ideographs = scan->counts[ML_CHAR_HAN] + scan->counts[ML_CHAR_KANA];
    uint64_t last[100] = {0};
    size_t words = 0;
    if (2 * ideographs > scan->word_count)
        n *= 2;
    for (size_t i = 0; i < scan->word_count; i++) {
        if (!(scan->words[i].flags & ML_WORD_SOLID))
            continue;
        last[words++ % n] = scan->words[i].hash;
        if (words < n)
            continue;
        uint64_t key = 0;
        for (size_t k = 0; k < n; k++)
            key = (key ^ last[(words + k) % n]) * 0x9E3779B97F4A7C15u + k;
        if (!visit(arg, key))
            return;
    }
    if (words > 0 && words < n) {
        uint64_t key = words;
        for (size_t k = 0; k < words; k++)
            key = (key ^ last[k]) * 0x9E3779B97F4A7C15u + k;
        visit(arg, key);
    }
}

struct learning {
    struct ml_text_set *set;
    int status;
    struct ml_error *err;
};

static bool learn_run(void *arg, uint64_t key)
{
    struct learning *l = arg;
    bool before;
    l->status = ml_text_set_add(l->set, key, &before, l->err);
    return l->status == 0;
}

static int learn_exam(struct ml_curate_run *run, const struct ml_curate_step *s, const char *name,
                      struct ml_error *err)
{
    struct ml_dataset exam;
    struct ml_record_cursor *cursor = NULL;
    struct ml_blob_view view = {0};
    struct ml_word_scan scan = {0};
    struct ml_arena arena;
    int got = 0, status = ml_datasets_open(run->workspace, name, &exam, err);
    if (status)
        return status;
    ml_arena_init(&arena, 0);
    const struct ml_record_filter filter = {.dataset = exam.id, .kind = "text"};
    struct ml_record record;
    status = ml_records_open(&cursor, run->workspace, &filter, err);
    while (status == 0 && (got = ml_records_next(cursor, &record, err)) > 0) {
        struct ml_record_fields fields;
        const char *bytes;
        size_t n;
        bool good = false;
        ml_arena_reset(&arena);
        status = ml_records_read(run->workspace, &record, &view, &bytes, &n, err);
        if (status == 0)
            status = ml_record_fields_load(&fields, &arena, &record, bytes, n, &good, err);
        if (status == 0 && good)
            status = ml_word_scan(&scan, fields.text, fields.size, err);
        if (status == 0 && good) {
            struct learning l = {&run->exam, 0, err};
            each_run(&scan, (size_t)s->run, learn_run, &l);
            status = l.status;
        }
    }
    ml_records_close(cursor);
    ml_blob_view_clear(&view);
    ml_word_scan_clear(&scan);
    ml_arena_clear(&arena);
    return status ? status : got;
}

static int begin_decontaminate(struct ml_curate_run *run, const struct ml_curate_step *s,
                               struct ml_error *err)
{
    int status = 0;
    for (int i = 0; status == 0 && i < s->word_count; i++)
        status = learn_exam(run, s, s->words[i], err);
    return status;
}

struct asking {
    const struct ml_text_set *set;
    bool found;
};

static bool ask_run(void *arg, uint64_t key)
{
    struct asking *a = arg;
    a->found = ml_text_set_has(a->set, key);
    return !a->found;
}

static int each_decontaminate(struct ml_curate_run *run, struct ml_curate_worker *w, int step,
                              struct ml_curate_item *item, struct ml_error *err)
{
    struct asking a = {&run->exam, false};
    int status = ml_curate_scan(w, item, err);
    if (status)
        return status;
    each_run(&w->scan, (size_t)ml_curate_step_at(run, step)->run, ask_run, &a);
    if (a.found)
        ml_curate_drop(item, step, "part of an evaluation set", 0);
    return 0;
}

/* ---- splits ---- */

static int parse_split(struct ml_curate_step *s, const struct ml_yaml *map, const char *file,
                       struct ml_error *err)
{
    static const struct ml_curate_range share = {0, 0.5}, near = {0.3, 1};
    const struct ml_yaml *by = map ? ml_yaml_get(map, "by") : NULL;
    s->validation = 0.05;
    s->threshold = 0.6;
    s->by = by && by->kind == ML_YAML_SCALAR ? by->text : "";
    int status = ml_curate_number(map, "validation", file, &share, &s->validation, err);
    if (status == 0)
        status = ml_curate_number(map, "test", file, &share, &s->test, err);
    if (status == 0)
        status = ml_curate_number(map, "threshold", file, &near, &s->threshold, err);
    return status;
}

static int each_split(struct ml_curate_run *run, struct ml_curate_worker *w, int step,
                      struct ml_curate_item *item, struct ml_error *err)
{
    const struct ml_curate_step *s = ml_curate_step_at(run, step);
    int status = item->is_text ? sign(w, item, err) : ml_curate_look(run, item, err);
    if (status == 0 && item->is_text && strcmp(s->by, "language") == 0)
        status = identify(run, w, item, err);
    return status;
}

/* The value that splits are balanced by: language, licence, kind, or a field of the record. */
static void split_name(const struct ml_curate_step *s, const struct ml_curate_item *item,
                       char name[40])
{
    const char *value = "";
    json_t *meta = NULL;
    if (strcmp(s->by, "language") == 0)
        value = item->language.code;
    else if (strcmp(s->by, "licence") == 0)
        value = item->record.licence;
    else if (strcmp(s->by, "kind") == 0)
        value = item->record.kind;
    else if (*s->by && ml_json_parse(&meta, item->record.meta, strlen(item->record.meta),
                                     "a record's meta", NULL) == 0) {
        const char *text = json_string_value(json_object_get(meta, s->by));
        value = text ? text : "";
    }
    snprintf(name, 40, "%.39s", value);
    json_decref(meta);
}

static struct ml_curate_split_key *split_key(struct ml_curate_run *run, const char *name,
                                             struct ml_error *err)
{
    for (int i = 0; i < run->key_count; i++)
        if (strcmp(run->keys[i].name, name) == 0)
            return &run->keys[i];
    if (run->key_count % 64 == 0) {
        size_t more = (size_t)(run->key_count + 64) * sizeof *run->keys;
        struct ml_curate_split_key *grown =
            run->key_count < 65536 ? ml_mem_realloc(run->keys, more) : NULL;
        if (!grown) {
            ml_fail(err, ML_ERR_LIMIT, "split: more than %d different values to balance by",
                    run->key_count);
            return NULL;
        }
        run->keys = grown;
    }
    struct ml_curate_split_key *key = &run->keys[run->key_count++];
    *key = (struct ml_curate_split_key){0};
    snprintf(key->name, sizeof key->name, "%s", name);
    return key;
}

/* The split that lacks most of what its share of this value would be. */
static int most_wanted(const struct ml_curate_split_key *key, const struct ml_curate_step *s)
{
    const double shares[3] = {1 - s->validation - s->test, s->validation, s->test};
    int64_t total = key->counts[0] + key->counts[1] + key->counts[2] + 1;
    int best = 0;
    double lack = shares[0] * (double)total - (double)key->counts[0];
    for (int i = 1; i < 3; i++) {
        double other = shares[i] * (double)total - (double)key->counts[i];
        if (other > lack) {
            lack = other;
            best = i;
        }
    }
    return best;
}

struct relatives {
    unsigned splits; /* bits */
};

static bool note_relative(void *arg, int64_t id, double similarity)
{
    struct relatives *r = arg;
    r->splits |= 1u << id;
    return true;
}

/* A record that resembles an earlier one goes where that one is; one that resembles records of two
 * splits can be in neither. */
static int join_split(struct ml_curate_run *run, int step, struct ml_curate_item *item,
                      struct ml_error *err)
{
    const struct ml_curate_step *s = ml_curate_step_at(run, step);
    struct relatives r = {0};
    char name[40];
    split_name(s, item, name);
    struct ml_curate_split_key *key = split_key(run, name, err);
    if (!key)
        return err ? err->code : ML_ERR_LIMIT;
    if (item->is_signed)
        ml_near_index_each(&run->splits, item->signature, s->threshold, note_relative, &r);
    unsigned alike = 0;
    int status = ml_curate_media_splits(run, item, &alike, err);
    if (status)
        return status;
    r.splits |= alike;
    if (r.splits & (r.splits - 1)) {
        ml_curate_drop(item, step, "resembles records of two splits", 0);
        return 0;
    }
    item->split = r.splits == 1 ? 0 : r.splits == 2 ? 1 : r.splits == 4 ? 2 : most_wanted(key, s);
    key->counts[item->split]++;
    return item->is_signed ? ml_near_index_add(&run->splits, item->signature, item->split, err)
                           : ml_curate_media_joins(run, item, err);
}

/* ---- the table ---- */

static const char *const normalise_options[] = {"half_width", "keep_blanks", NULL};
static const char *const language_options[] = {"keep", "least", NULL};
static const char *const quality_options[] = {"sets", "limits", NULL};
static const char *const licence_options[] = {"allow", "unknown", NULL};
static const char *const near_options[] = {"threshold", NULL};
static const char *const redact_options[] = {"kinds", "mode", NULL};
static const char *const decontaminate_options[] = {"against", "run", NULL};
static const char *const split_options[] = {"validation", "test", "by", "threshold", NULL};

static const struct ml_curate_kind kinds[] = {
    {"normalise", normalise_options, parse_normalise, NULL, each_normalise, NULL, false},
    {"language", language_options, parse_language, begin_languages, each_language, NULL, false},
    {"c4_lines", NULL, NULL, NULL, each_c4_lines, NULL, false},
    {"quality", quality_options, parse_quality, begin_languages, each_quality, NULL, false},
    {"licence", licence_options, parse_licence, NULL, each_licence, NULL, true},
    {"consent", NULL, NULL, NULL, each_consent, NULL, true},
    {"exact_duplicates", NULL, NULL, NULL, NULL, join_exact, true},
    {"near_duplicates", near_options, parse_near, NULL, each_near, join_near, false},
    {"redact", redact_options, parse_redact, NULL, each_redact, NULL, true},
    {"decontaminate", decontaminate_options, parse_decontaminate, begin_decontaminate,
     each_decontaminate, NULL, false},
    {"picture_quality", ml_curate_picture_options, ml_curate_parse_picture, ml_curate_begin_media,
     ml_curate_each_picture, NULL, true},
    {"picture_duplicates", ml_curate_alike_options, ml_curate_parse_alike, ml_curate_begin_media,
     ml_curate_each_alike, ml_curate_join_alike, true},
    {"sound_quality", ml_curate_sound_options, ml_curate_parse_sound, ml_curate_begin_media,
     ml_curate_each_sound, NULL, true},
    {"sound_split", ml_curate_cut_options, ml_curate_parse_cut, ml_curate_begin_media,
     ml_curate_each_cut, NULL, true},
    {"sound_duplicates", NULL, NULL, ml_curate_begin_media, ml_curate_each_print,
     ml_curate_join_print, true},
    {"film_quality", ml_curate_film_options, ml_curate_parse_film, ml_curate_begin_media,
     ml_curate_each_film, NULL, true},
    {"split", split_options, parse_split, begin_languages, each_split, join_split, true},
};
enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

const struct ml_curate_kind *ml_curate_kinds(int *count)
{
    *count = KIND_COUNT;
    return kinds;
}

const char *const *ml_curate_step_names(int *count)
{
    static const char *const names[KIND_COUNT] = {
        "normalise",     "language",      "c4_lines",         "quality",
        "licence",       "consent",       "exact_duplicates", "near_duplicates",
        "redact",        "decontaminate", "picture_quality",  "picture_duplicates",
        "sound_quality", "sound_split",   "sound_duplicates", "film_quality",
        "split"};
    *count = KIND_COUNT;
    return names;
}
