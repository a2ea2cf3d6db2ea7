/* What curating keeps: derived records in batches, then datasets of them. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/files.h"
#include "base/json.h"
#include "data/curate_impl.h"
#include "data/media_decode.h"
#include "data/sound_wave.h"
#include "store/curations.h"

/* ---- the key of redaction's marks ---- */

/* 32 random bytes of the workspace, made at the first use and never shown. */
int ml_curate_redact_key(struct ml_curate_run *run, struct ml_error *err)
{
    struct ml_arena arena;
    char *bytes = NULL;
    size_t n = 0;
    bool wanted = false;
    for (int i = 0; i < run->recipe->step_count; i++)
        wanted =
            wanted || (run->recipe->steps[i].kinds && run->recipe->steps[i].mode == ML_REDACT_HASH);
    if (!wanted)
        return 0;
    ml_arena_init(&arena, 4096);
    char *path = ml_workspace_path(run->workspace, &arena, "redact.key");
    int status = path ? 0 : ml_fail(err, ML_ERR_MEMORY, "out of memory curating");
    if (status == 0 && ml_path_exists(path)) {
        status = ml_file_read(&arena, path, 1024, &bytes, &n, err);
        if (status == 0 && n != sizeof run->redact_key)
            status = ml_fail(err, ML_ERR_FORMAT,
                             "%s: not a key of 32 bytes; delete it to make another (marks change)",
                             path);
        if (status == 0)
            memcpy(run->redact_key, bytes, n);
    } else if (status == 0) {
        randombytes_buf(run->redact_key, sizeof run->redact_key);
        if (!run->options->dry_run)
            status = ml_file_write_private(path, run->redact_key, sizeof run->redact_key, err);
    }
    ml_arena_clear(&arena);
    return status;
}

/* ---- lineage ---- */

/* Of a sound that was split: seconds. */
struct span {
    double start, end;
};

/* The record's own operations, where it came from, and the steps that it went through here. */
static char *lineage_of(const struct ml_curate_run *run, const struct ml_curate_item *item,
                        const struct span *part, struct ml_error *err)
{
    json_t *list = NULL;
    char *text = NULL;
    const char *old = item->record.lineage;
    int status = ml_json_parse(&list, old, strlen(old), "a record's lineage", err);
    if (status == 0 && !json_is_array(list))
        status = ml_fail(err, ML_ERR_FORMAT, "record %lld: its lineage is not a list",
                         (long long)item->record.id);
    bool full =
        status == 0 &&
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "op", "curate", "source",
                                              item->record.source, "from", item->record.hash)) != 0;
    for (int i = 0; status == 0 && !full && i < run->recipe->step_count; i++) {
        json_t *step = json_pack("{s:s}", "op", run->recipe->steps[i].kind->name);
        if (item->touched >> i & 1)
            json_object_set_new(step, "changed", json_true());
        if (strcmp(run->recipe->steps[i].kind->name, "language") == 0)
            json_object_set_new(step, "language", json_string(item->language.code));
        if (strcmp(run->recipe->steps[i].kind->name, "split") == 0)
            json_object_set_new(step, "split",
                                json_string(item->split == 0   ? "train"
                                            : item->split == 1 ? "validation"
                                                               : "test"));
        if (part && strcmp(run->recipe->steps[i].kind->name, "sound_split") == 0) {
            json_object_set_new(step, "start", json_real(part->start));
            json_object_set_new(step, "end", json_real(part->end));
        }
        full = json_array_append_new(list, step) != 0;
    }
    if (full)
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory curating");
    if (status == 0)
        status = ml_json_text(&text, list, JSON_COMPACT, err);
    json_decref(list);
    return status == 0 ? text : NULL;
}

/* ---- batches ---- */

static int keep_id(struct ml_curate_writer *w, int split, int64_t id, struct ml_error *err)
{
    if (w->count[split] == w->capacity[split]) {
        size_t capacity = w->capacity[split] ? 2 * w->capacity[split] : 1024;
        int64_t *grown = ml_mem_realloc(w->ids[split], capacity * sizeof *grown);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory curating");
        w->ids[split] = grown;
        w->capacity[split] = capacity;
    }
    w->ids[split][w->count[split]++] = id;
    return 0;
}

/* Changed texts of the batch, one after the other with a line end between, as one blob. */
static int put_texts(struct ml_curate_writer *w, struct ml_curate_item *items, size_t count,
                     char blob[ML_HASH_HEX], struct ml_error *err)
{
    int status = 0;
    w->texts.size = 0;
    for (size_t i = 0; status == 0 && i < count; i++) {
        struct ml_curate_item *item = &items[i];
        if (item->dropped_at >= 0 || !item->changed || !item->is_text)
            continue;
        item->record.start = w->texts.size;
        item->record.length = item->record.bytes = item->size;
        status = ml_buffer_put(&w->texts, item->text, item->size, err);
        if (status == 0)
            status = ml_buffer_put(&w->texts, "\n", 1, err);
    }
    if (status == 0 && w->texts.size)
        status = ml_blobs_put(w->workspace, w->texts.data, w->texts.size, blob, err);
    return status;
}

static int put_record(struct ml_curate_writer *w, const struct ml_curate_run *run,
                      const struct ml_curate_item *item, struct ml_record *record,
                      const struct span *part, struct ml_error *err)
{
    int64_t id = 0;
    enum ml_record_outcome outcome;
    char *lineage = lineage_of(run, item, part, err);
    if (!lineage)
        return err && err->code ? err->code : ML_ERR_MEMORY;
    record->lineage = lineage;
    record->time = 0;
    int status = ml_records_add_derived(w->workspace, &w->pass, record, &id, &outcome, err);
    ml_mem_free(lineage);
    /* Two records that became the same text are one. */
    if (status == 0 && outcome != ML_RECORD_REPEATED)
        status = keep_id(w, item->split, id, err);
    return status;
}

static int put_kept(struct ml_curate_writer *w, const struct ml_curate_run *run,
                    struct ml_curate_item *item, const char *blob, struct ml_error *err)
{
    struct ml_record record = item->record;
    if (item->changed && item->is_text) {
        strcpy(record.blob, blob);
        ml_hash_text(item->text, item->size, record.hash);
        record.type = "text/plain";
    }
    if (item->title)
        record.title = item->title;
    if (item->meta)
        record.meta = item->meta;
    return put_record(w, run, item, &record, NULL, err);
}

/* ---- sound that was split ---- */

/* A transcript of the whole is none of a piece, so its fields do not go with it. */
static int put_piece(struct ml_curate_writer *w, const struct ml_curate_run *run,
                     const struct ml_curate_item *item, const struct ml_sound_span *sound,
                     struct ml_record *record, struct ml_error *err)
{
    const struct ml_sound_piece *piece = &item->pieces.items[w->piece];
    const struct span part = {(double)piece->start / sound->rate, (double)piece->end / sound->rate};
    char meta[200];
    record->length = record->bytes =
        ML_WAVE_HEAD + 2 * (piece->end - piece->start) * (uint64_t)sound->channels;
    ml_hash_text(w->texts.data + record->start, record->length, record->hash);
    snprintf(meta, sizeof meta,
             "{\"start\":%.3f,\"end\":%.3f,\"seconds\":%.3f,\"rate\":%d,\"channels\":%d}",
             part.start, part.end, part.end - part.start, sound->rate, sound->channels);
    record->meta = meta;
    int status = put_record(w, run, item, record, &part, err);
    record->start += record->length;
    return status;
}

/* All pieces of a sound in one blob, a WAV file each. */
static int put_pieces(struct ml_curate_writer *w, const struct ml_curate_run *run,
                      const struct ml_curate_item *item, struct ml_error *err)
{
    struct ml_record record = item->record;
    struct ml_blob_view view = {0};
    struct ml_decoded_sound sound = {0};
    const char *bytes;
    size_t n;
    int status = ml_records_read(w->workspace, &record, &view, &bytes, &n, err);
    if (status == 0)
        status = ml_media_sound(&sound, bytes, n, err);
    ml_blob_view_clear(&view);
    w->texts.size = 0;
    for (size_t i = 0; status == 0 && i < item->pieces.count; i++)
        status = ml_wave_put(&w->texts, &sound.span, &item->pieces.items[i], err);
    if (status == 0)
        status = ml_blobs_put(w->workspace, w->texts.data, w->texts.size, record.blob, err);
    record.type = "audio/wav";
    record.start = 0;
    for (w->piece = 0; status == 0 && w->piece < item->pieces.count; w->piece++)
        status = put_piece(w, run, item, &sound.span, &record, err);
    ml_decoded_sound_clear(&sound);
    return status;
}

static int put_batch(struct ml_curate_writer *w, const struct ml_curate_run *run,
                     struct ml_curate_item *items, size_t count, struct ml_error *err)
{
    char blob[ML_HASH_HEX] = "";
    int status = put_texts(w, items, count, blob, err);
    for (size_t i = 0; status == 0 && i < count; i++) {
        const struct ml_curate_item *item = &items[i];
        if (item->dropped_at < 0 && item->pieces.count > 0)
            status = put_pieces(w, run, item, err);
        else if (item->dropped_at < 0)
            status = put_kept(w, run, &items[i], blob, err);
        else
            status = ml_curations_drop(w->workspace, w->curation, item->record.id,
                                       run->recipe->steps[item->dropped_at].kind->name, item->why,
                                       item->value, err);
    }
    return status;
}

int ml_curate_writer_put(struct ml_curate_writer *w, const struct ml_curate_run *run,
                         struct ml_curate_item *items, size_t count, struct ml_error *err)
{
    int status = ml_workspace_begin(w->workspace, err);
    if (status)
        return status;
    return ml_workspace_end(w->workspace, put_batch(w, run, items, count, err), err);
}

/* ---- beginning and end ---- */

int ml_curate_writer_begin(struct ml_curate_writer *w, const struct ml_curate_run *run,
                           const struct ml_dataset *input, const char *output, struct ml_error *err)
{
    char uri[ML_NAME_BYTES + 16], hash[ML_HASH_HEX], reader[ML_HASH_HEX + 16];
    const struct ml_curation row = {
        .name = output, .recipe = run->recipe->text, .input = input->id};
    w->workspace = run->workspace;
    ml_hash_text(run->recipe->text, run->recipe->size, hash);
    snprintf(uri, sizeof uri, "curate:%s", output);
    snprintf(reader, sizeof reader, "curate 1 %.16s", hash);
    int status = ml_workspace_begin(w->workspace, err);
    if (status)
        return status;
    status = ml_sources_begin(w->workspace, uri, input->hash, reader, &w->pass, err);
    w->pass.records = 0;
    if (status == 0)
        status = ml_curations_add(w->workspace, &row, &w->curation, err);
    return ml_workspace_end(w->workspace, status, err);
}

static int make_dataset(struct ml_curate_writer *w, const char *output, int split,
                        struct ml_dataset *out, struct ml_error *err)
{
    static const char *const endings[] = {"", "-validation", "-test"};
    char name[ML_NAME_BYTES + 16];
    if (w->count[split] == 0)
        return 0;
    snprintf(name, sizeof name, "%s%s", output, endings[split]);
    const struct ml_dataset_spec spec = {
        .name = name, .ids = w->ids[split], .id_count = w->count[split]};
    return ml_datasets_create(w->workspace, &spec, out, NULL, err);
}

static char *report_text(const struct ml_curate_report *r, struct ml_error *err)
{
    char *text = NULL;
    json_t *steps = json_array(), *root;
    for (int i = 0; i < r->step_count; i++) {
        json_t *reasons = json_object();
        for (int k = 0; k < r->steps[i].reason_count; k++)
            json_object_set_new(reasons, r->steps[i].reasons[k].why,
                                json_integer(r->steps[i].reasons[k].count));
        json_array_append_new(
            steps, json_pack("{s:s, s:I, s:I, s:I, s:o}", "step", r->steps[i].name, "in",
                             (json_int_t)r->steps[i].in, "dropped", (json_int_t)r->steps[i].dropped,
                             "changed", (json_int_t)r->steps[i].changed, "reasons", reasons));
    }
    root = json_pack("{s:s, s:I, s:I, s:o}", "input", r->input, "records", (json_int_t)r->records,
                     "kept", (json_int_t)r->kept, "steps", steps);
    if (!root)
        ml_fail(err, ML_ERR_MEMORY, "out of memory for the report of a curation");
    else if (ml_json_text(&text, root, JSON_COMPACT, err) != 0)
        text = NULL;
    json_decref(root);
    return text;
}

int ml_curate_writer_finish(struct ml_curate_writer *w, const struct ml_curate_run *run,
                            const char *output, struct ml_error *err)
{
    struct ml_curate_report *r = run->report;
    if (w->count[0] == 0)
        return ml_fail(err, ML_ERR_NOT_FOUND,
                       "no record is left of %s; `maliang curate --dry-run` shows which step "
                       "dropped them and why",
                       r->input);
    char *text = report_text(r, err);
    if (!text)
        return ML_ERR_MEMORY;
    int status = ml_workspace_begin(w->workspace, err);
    if (status == 0) {
        status = ml_sources_finish(w->workspace, &w->pass, NULL, err);
        if (status == 0)
            status = make_dataset(w, output, 0, &r->output, err);
        if (status == 0)
            status = make_dataset(w, output, 1, &r->validation, err);
        if (status == 0)
            status = make_dataset(w, output, 2, &r->test, err);
        if (status == 0)
            status = ml_curations_finish(w->workspace, w->curation, r->output.id, text, err);
        status = ml_workspace_end(w->workspace, status, err);
    }
    ml_mem_free(text);
    return status;
}

void ml_curate_writer_clear(struct ml_curate_writer *w)
{
    for (int i = 0; i < 3; i++)
        ml_mem_free(w->ids[i]);
    ml_buffer_clear(&w->texts);
}
