/* Text that needs no reader: whole files, sayings, lines of JSON (data/collect_impl.h). */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "data/collect_impl.h"
#include "data/jsonl.h"
#include "data/text_decode.h"
#include "data/text_pieces.h"

/* What all records of a text have in common. */
struct text_facts {
    const struct ml_collect_item *item;
    const char *text;
    size_t size;
    enum ml_piece_kind pieces;
    bool json;
    char lineage[128];
};

static int describe(struct ml_collector *c, const struct text_facts *facts,
                    const struct ml_piece *piece, struct ml_record *record, bool *good,
                    struct ml_error *err)
{
    const struct ml_collect_item *item = facts->item;
    const char *bytes = facts->text + piece->start;
    *record = (struct ml_record){.kind = "text",
                                 .type = facts->json ? "application/json" : "text/plain",
                                 .licence = item->licence,
                                 .consent = item->consent,
                                 .meta = item->meta,
                                 .lineage = facts->lineage,
                                 .start = piece->start,
                                 .length = piece->size,
                                 .bytes = piece->size};
    *good = true;
    if (facts->json) {
        struct ml_jsonl line;
        int status = ml_jsonl_parse(&line, &c->scratch, bytes, piece->size, err);
        if (status)
            return status;
        *good = line.good;
        record->title = line.title;
        record->meta = line.meta;
        if (!line.good)
            ml_collect_skip(c->report, ML_SKIP_BAD_LINE, item->uri, piece->line, line.problem);
    } else if (facts->pieces == ML_PIECE_WHOLE) {
        record->start = record->length = 0;
        record->title = ml_collect_title(c, item->uri);
        if (!record->title)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory collecting %s", item->uri);
    }
    ml_hash_text(bytes, piece->size, record->hash);
    return 0;
}

static int add_pieces(struct ml_collector *c, struct ml_source_pass *pass,
                      const struct text_facts *facts, struct ml_error *err)
{
    struct ml_pieces pieces;
    struct ml_piece piece;
    struct ml_record record;
    int status = 0;
    bool all_good = true;
    ml_pieces_init(&pieces, facts->pieces, facts->text, facts->size);
    while (status == 0 && ml_pieces_next(&pieces, &piece)) {
        bool good = true;
        ml_arena_reset(&c->scratch);
        status = describe(c, facts, &piece, &record, &good, err);
        if (status == 0 && good)
            status = ml_collect_add_record(c, pass, &record, err);
        all_good = all_good && good;
        if (status == 0)
            status = ml_collect_next_batch(c, err);
    }
    if (!all_good) /* next time it is read again, so that the bad lines are named again */
        pass->reader = "";
    return status ? status : ml_collect_end_pass(c, pass, err);
}

static int add_text(struct ml_collector *c, const struct ml_collect_item *item,
                    enum ml_file_kind kind, const struct ml_decoded *decoded, struct ml_error *err)
{
    struct ml_source_pass pass;
    char reader[200];
    bool converted = decoded->encoding != ML_ENCODING_UTF8;
    struct text_facts facts = {.item = item,
                               .text = decoded->text,
                               .size = decoded->size,
                               .pieces = ML_PIECE_WHOLE,
                               .json = kind == ML_FILE_JSONL};
    if (facts.json)
        facts.pieces = ML_PIECE_LINE;
    else if (ml_is_fortune_file(decoded->text, decoded->size))
        facts.pieces = ML_PIECE_FORTUNE;
    snprintf(facts.lineage, sizeof facts.lineage, "[{\"op\":\"collect\"%s%s%s}]",
             converted ? ",\"from\":\"" : "",
             converted ? ml_text_encoding_name(decoded->encoding) : "", converted ? "\"" : "");
    ml_collect_reader_text(reader, sizeof reader,
                           facts.json                         ? "jsonl 1"
                           : facts.pieces == ML_PIECE_FORTUNE ? "fortune 1"
                                                              : "whole 1",
                           item);
    int status = ml_collect_begin_pass(c, item, decoded->text, decoded->size, reader, &pass, err);
    if (status)
        return status;
    if (pass.unchanged && pass.records > 0) {
        c->report->present += (uint64_t)pass.records;
        return ml_collect_next_batch(c, err);
    }
    pass.records = 0;
    return add_pieces(c, &pass, &facts, err);
}

/* A name that says what it is goes before a stated type: servers call everything text/plain. */
static enum ml_file_kind kind_of(const struct ml_collect_item *item)
{
    enum ml_file_kind kind = ml_file_kind(item->uri);
    const char *type = item->type ? item->type : "";
    if (kind == ML_FILE_TEXT || kind == ML_FILE_JSONL)
        return kind;
    if (strcasecmp(type, "application/x-ndjson") == 0 || strcasecmp(type, "application/jsonl") == 0)
        return ML_FILE_JSONL;
    return strncasecmp(type, "text/plain", 10) == 0 ? ML_FILE_TEXT : kind;
}

int ml_collect_text(struct ml_collector *c, const struct ml_collect_item *item,
                    struct ml_error *err)
{
    static const enum ml_collect_reason reasons[] = {[ML_TEXT_EMPTY] = ML_SKIP_EMPTY,
                                                     [ML_TEXT_BINARY] = ML_SKIP_BINARY,
                                                     [ML_TEXT_BAD_ENCODING] = ML_SKIP_ENCODING};
    enum ml_file_kind kind = kind_of(item);
    struct ml_decoded decoded = {0};
    const struct ml_text_decoding how = {.utf8_only = kind == ML_FILE_UNKNOWN,
                                         .keep_cr = kind == ML_FILE_JSONL};
    if (kind == ML_FILE_FOREIGN) {
        ml_collect_skip(c->report, ML_SKIP_FORMAT, item->uri, 0, NULL);
        return 0;
    }
    int status = ml_text_decode(&decoded, item->bytes, item->size, &how, err);
    if (status)
        return status;
    if (decoded.verdict == ML_TEXT_OK)
        status = add_text(c, item, kind, &decoded, err);
    else
        ml_collect_skip(c->report, reasons[decoded.verdict], item->uri, 0, NULL);
    ml_decoded_clear(&decoded);
    return status;
}
