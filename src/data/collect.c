#include "data/collect.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/utf8.h"
#include "data/collect_files.h"
#include "data/collect_impl.h"
#include "data/jsonl.h"
#include "data/text_decode.h"
#include "data/text_pieces.h"

/* A batch ends, and others may write, after so many records, bytes or seconds. */
#define BATCH_RECORDS 1000
#define BATCH_BYTES   ((uint64_t)64 << 20)
#define BATCH_SECONDS 0.5

struct collector {
    struct ml_workspace *ws;
    const struct ml_collect_options *options;
    struct ml_collect_report *report;
    struct ml_collect_report kept; /* as of the last batch that was kept */
    struct ml_arena scratch;       /* of one record */
    const char *path;              /* of the file at hand */
    uint64_t done, total;          /* files */
    uint64_t batch_records, batch_bytes;
    double batch_began;
    bool open; /* a batch is */
};

/* ---- batches ---- */

static int tell(struct collector *c, struct ml_error *err)
{
    const struct ml_collect_options *o = c->options;
    if (o->progress && o->progress(o->arg, c->done, c->total, c->path) != 0)
        return ml_fail(err, ML_ERR_CANCELLED,
                       "stopped while collecting; what was collected stays, and collecting again "
                       "goes on from there");
    return 0;
}

static int begin_batch(struct collector *c, struct ml_error *err)
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

static int end_batch(struct collector *c, int status, struct ml_error *err)
{
    if (!c->open)
        return status;
    c->open = false;
    status = ml_workspace_end(c->ws, status, err);
    if (status == 0)
        c->kept = *c->report;
    return status;
}

static int maybe_next_batch(struct collector *c, struct ml_error *err)
{
    bool full = c->batch_records >= BATCH_RECORDS || c->batch_bytes >= BATCH_BYTES ||
                (c->batch_records % 64 == 0 && ml_time() - c->batch_began > BATCH_SECONDS);
    if (!full)
        return 0;
    int status = end_batch(c, 0, err);
    if (status == 0)
        status = tell(c, err);
    return status ? status : begin_batch(c, err);
}

/* ---- records ---- */

/* What all records of a file have in common. */
struct file_facts {
    enum ml_piece_kind pieces;
    bool json;
    bool markdown;
    char lineage[128];
    char reader[200];
};

/* The first heading of a Markdown file, else the file's name without its ending. */
static char *title_of(struct collector *c, const struct file_facts *facts, const char *text,
                      size_t n)
{
    if (facts->markdown && n > 2 && text[0] == '#' && text[1] == ' ') {
        const char *end = memchr(text, '\n', n);
        return ml_arena_strndup(&c->scratch, text + 2, (size_t)((end ? end : text + n) - text) - 2);
    }
    const char *slash = strrchr(c->path, '/'), *name = slash ? slash + 1 : c->path;
    const char *dot = strrchr(name, '.');
    size_t length = dot && dot > name ? (size_t)(dot - name) : strlen(name);
    bool valid = ml_utf8_valid(name, length);
    return ml_arena_strndup(&c->scratch, name, valid ? length : 0);
}

static int describe(struct collector *c, const struct file_facts *facts, const char *text,
                    const struct ml_piece *piece, struct ml_record *record, bool *good,
                    struct ml_error *err)
{
    *record = (struct ml_record){.kind = "text",
                                 .type = facts->json ? "application/json" : "text/plain",
                                 .licence = c->options->licence,
                                 .consent = c->options->consent,
                                 .lineage = facts->lineage,
                                 .start = piece->start,
                                 .length = piece->size,
                                 .bytes = piece->size};
    *good = true;
    if (facts->json) {
        struct ml_jsonl line;
        int status = ml_jsonl_parse(&line, &c->scratch, text + piece->start, piece->size, err);
        if (status)
            return status;
        *good = line.good;
        record->title = line.title;
        record->meta = line.meta;
        if (!line.good)
            ml_collect_skip(c->report, ML_SKIP_BAD_LINE, c->path, piece->line, line.problem);
    } else if (facts->pieces == ML_PIECE_WHOLE) {
        record->start = record->length = 0;
        record->title = title_of(c, facts, text, piece->size);
        if (!record->title)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory collecting %s", c->path);
    }
    ml_hash_text(text + piece->start, piece->size, record->hash);
    return 0;
}

static int add_piece(struct collector *c, struct ml_source_pass *pass,
                     const struct file_facts *facts, const char *text, const struct ml_piece *piece,
                     bool *good, struct ml_error *err)
{
    struct ml_record record;
    enum ml_record_outcome outcome = ML_RECORD_ADDED;
    ml_arena_reset(&c->scratch);
    int status = describe(c, facts, text, piece, &record, good, err);
    if (status || !*good)
        return status;
    status = ml_records_add_part(c->ws, pass, &record, NULL, &outcome, err);
    if (status)
        return status;
    c->report->added += outcome == ML_RECORD_ADDED;
    c->report->present += outcome == ML_RECORD_PRESENT;
    c->report->repeated += outcome == ML_RECORD_REPEATED;
    c->batch_records++;
    return 0;
}

static int add_pieces(struct collector *c, struct ml_source_pass *pass,
                      const struct file_facts *facts, const char *text, size_t n,
                      struct ml_error *err)
{
    struct ml_pieces pieces;
    struct ml_piece piece;
    int64_t replaced = 0;
    int status = 0;
    bool all_good = true;
    ml_pieces_init(&pieces, facts->pieces, text, n);
    while (status == 0 && ml_pieces_next(&pieces, &piece)) {
        bool good = true;
        status = add_piece(c, pass, facts, text, &piece, &good, err);
        all_good = all_good && good;
        if (status == 0)
            status = maybe_next_batch(c, err);
    }
    if (!all_good) /* next time it is read again, so that the bad lines are named again */
        pass->reader = "";
    if (status == 0)
        status = ml_sources_finish(c->ws, pass, &replaced, err);
    c->report->replaced += (uint64_t)replaced;
    return status;
}

/* ---- files ---- */

static void find_facts(struct file_facts *facts, const struct collector *c, enum ml_file_kind kind,
                       const struct ml_decoded *decoded)
{
    const char *dot = strrchr(c->path, '.');
    bool converted = decoded->encoding != ML_ENCODING_UTF8;
    *facts = (struct file_facts){.pieces = ML_PIECE_WHOLE, .json = kind == ML_FILE_JSONL};
    if (facts->json)
        facts->pieces = ML_PIECE_LINE;
    else if (ml_is_fortune_file(decoded->text, decoded->size))
        facts->pieces = ML_PIECE_FORTUNE;
    facts->markdown = kind == ML_FILE_TEXT && dot && (dot[1] == 'm' || dot[1] == 'M');
    snprintf(facts->lineage, sizeof facts->lineage, "[{\"op\":\"collect\"%s%s%s}]",
             converted ? ",\"from\":\"" : "",
             converted ? ml_text_encoding_name(decoded->encoding) : "", converted ? "\"" : "");
    /* A stated licence or consent is part of it: stating another one goes over the records again.
     */
    snprintf(facts->reader, sizeof facts->reader, "%s 1 %.90s %.90s",
             facts->json                         ? "jsonl"
             : facts->pieces == ML_PIECE_FORTUNE ? "fortune"
                                                 : "whole",
             c->options->licence ? c->options->licence : "",
             c->options->consent ? c->options->consent : "");
}

static int add_text(struct collector *c, enum ml_file_kind kind, const struct ml_decoded *decoded,
                    struct ml_error *err)
{
    struct ml_source_pass pass;
    struct file_facts facts;
    char blob[ML_HASH_HEX];
    find_facts(&facts, c, kind, decoded);
    ml_arena_reset(&c->scratch);
    char *source = ml_collect_source(&c->scratch, c->path);
    int status = source ? begin_batch(c, err)
                        : ml_fail(err, ML_ERR_MEMORY, "out of memory collecting %s", c->path);
    if (status == 0)
        status = ml_blobs_put(c->ws, decoded->text, decoded->size, blob, err);
    if (status == 0)
        status = ml_sources_begin(c->ws, source, blob, facts.reader, &pass, err);
    if (status)
        return status;
    c->batch_bytes += decoded->size;
    c->report->bytes += decoded->size;
    if (pass.unchanged && pass.records > 0) {
        c->report->present += (uint64_t)pass.records;
        return maybe_next_batch(c, err);
    }
    pass.records = 0;
    return add_pieces(c, &pass, &facts, decoded->text, decoded->size, err);
}

static int add_bytes(struct collector *c, enum ml_file_kind kind, const struct ml_buffer *bytes,
                     struct ml_error *err)
{
    static const enum ml_collect_reason reasons[] = {[ML_TEXT_EMPTY] = ML_SKIP_EMPTY,
                                                     [ML_TEXT_BINARY] = ML_SKIP_BINARY,
                                                     [ML_TEXT_BAD_ENCODING] = ML_SKIP_ENCODING};
    struct ml_decoded decoded = {0};
    const struct ml_text_decoding how = {.utf8_only = kind == ML_FILE_UNKNOWN,
                                         .keep_cr = kind == ML_FILE_JSONL};
    int status = ml_text_decode(&decoded, bytes->data, bytes->size, &how, err);
    if (status)
        return status;
    if (decoded.verdict == ML_TEXT_OK)
        status = add_text(c, kind, &decoded, err);
    else
        ml_collect_skip(c->report, reasons[decoded.verdict], c->path, 0, NULL);
    ml_decoded_clear(&decoded);
    return status;
}

static int add_file(struct collector *c, const struct ml_found_file *file, struct ml_error *err)
{
    struct ml_buffer bytes = {0};
    enum ml_collect_reason skip = ML_SKIP_COUNT;
    char why[100] = "";
    int status = 0;
    uint64_t limit = c->options->max_file_bytes ? c->options->max_file_bytes : ML_COLLECT_MAX_FILE;
    enum ml_file_kind kind = ml_file_kind(file->path);
    c->path = file->path;
    if (kind == ML_FILE_FOREIGN)
        skip = ML_SKIP_FORMAT;
    else
        status = ml_collect_read(&bytes, file->path, limit, &skip, why, err);
    if (status == 0 && skip != ML_SKIP_COUNT)
        ml_collect_skip(c->report, skip, file->path, 0, *why ? why : NULL);
    else if (status == 0)
        status = add_bytes(c, kind, &bytes, err);
    ml_buffer_clear(&bytes);
    return status;
}

/* ---- all of it ---- */

static int note_unreadable(void *arg, const char *path, int number, struct ml_error *err)
{
    char reason[100];
    ml_collect_skip(arg, ML_SKIP_UNREADABLE, path, 0, strerror_r(number, reason, sizeof reason));
    return 0;
}

int ml_collect(struct ml_workspace *ws, const char *const *paths, size_t count,
               const struct ml_collect_options *options, struct ml_collect_report *report,
               struct ml_error *err)
{
    static const struct ml_collect_options defaults;
    struct collector c = {.ws = ws, .options = options ? options : &defaults, .report = report};
    struct ml_found_file *files = NULL;
    struct ml_arena arena;
    size_t found = 0;
    *report = (struct ml_collect_report){0};
    ml_arena_init(&arena, 0);
    ml_arena_init(&c.scratch, 0);
    int status =
        ml_collect_find(&arena, paths, count, note_unreadable, report, &files, &found, err);
    report->files = c.total = found;
    c.kept = *report;
    for (size_t i = 0; status == 0 && i < found; i++) {
        c.done = i;
        c.path = files[i].path;
        status = tell(&c, err);
        if (status == 0)
            status = add_file(&c, &files[i], err);
    }
    c.done = found;
    status = end_batch(&c, status, err);
    if (status) /* what a batch did that was not kept does not count */
        *report = c.kept;
    else if (report->added + report->present + report->repeated == 0)
        status = ml_collect_nothing(report, paths, count, err);
    else
        status = tell(&c, err);
    ml_arena_clear(&c.scratch);
    ml_arena_clear(&arena);
    return status;
}

char *ml_collect_source(struct ml_arena *arena, const char *path)
{
    size_t n = strlen(path), at = 0;
    if (ml_utf8_valid(path, n))
        return ml_arena_strdup(arena, path);
    char *out = ml_arena_alloc(arena, 3 * n + 1);
    for (size_t i = 0; out && i < n;) {
        uint32_t c;
        size_t length = ml_utf8_decode(path + i, n - i, &c);
        if (length)
            memcpy(out + at, path + i, length);
        else
            snprintf(out + at, 4, "%%%02X", (unsigned)(unsigned char)path[i]);
        at += length ? length : 3;
        i += length ? length : 1;
    }
    if (out)
        out[at] = '\0';
    return out;
}

int ml_collect_dataset(struct ml_workspace *ws, const char *name, const char *const *paths,
                       size_t count, struct ml_dataset *out, bool *made, struct ml_error *err)
{
    struct ml_arena arena;
    char absolute[PATH_MAX];
    int status = 0;
    ml_arena_init(&arena, 0);
    struct ml_record_filter *filters = ml_arena_calloc(&arena, count + 1, sizeof *filters);
    for (size_t i = 0; filters && status == 0 && i < count; i++) {
        if (!realpath(paths[i], absolute))
            status =
                ml_fail(err, ML_ERR_NOT_FOUND, "%s: there is no such file or folder", paths[i]);
        else if (!(filters[i].under = ml_collect_source(&arena, absolute)))
            filters = NULL;
    }
    if (!filters && status == 0)
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory making dataset %s", name);
    const struct ml_dataset_spec spec = {
        .name = name, .filters = filters, .filter_count = count, .extend = true};
    if (status == 0)
        status = ml_datasets_create(ws, &spec, out, made, err);
    ml_arena_clear(&arena);
    return status;
}
