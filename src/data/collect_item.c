/* One item, and what all ways of reading it have in common (data/collect_impl.h). */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "data/collect_impl.h"
#include "data/readers.h"

void ml_collect_reader_text(char *out, size_t room, const char *name,
                            const struct ml_collect_item *item)
{
    snprintf(out, room, "%.90s %.90s %.90s", name, item->licence ? item->licence : "",
             item->consent ? item->consent : "");
}

char *ml_collect_title(struct ml_collector *c, const char *uri)
{
    size_t n;
    const char *ending = ml_reader_ending(uri, &n), *name = n ? ending - 1 : ending;
    const char *end = name;
    while (name > uri && name[-1] != '/')
        name--;
    bool valid = ml_utf8_valid(name, (size_t)(end - name));
    return ml_arena_strndup(&c->scratch, name, valid ? (size_t)(end - name) : 0);
}

int ml_collect_begin_pass(struct ml_collector *c, const struct ml_collect_item *item,
                          const char *bytes, size_t n, const char *reader,
                          struct ml_source_pass *pass, struct ml_error *err)
{
    char blob[ML_HASH_HEX];
    int status = ml_collect_begin_batch(c, err);
    if (status == 0)
        status = ml_blobs_put(c->ws, bytes, n, blob, err);
    if (status == 0)
        status = ml_sources_begin(c->ws, item->uri, blob, reader, pass, err);
    if (status)
        return status;
    c->batch_bytes += n;
    c->report->bytes += n;
    return 0;
}

int ml_collect_add_record(struct ml_collector *c, struct ml_source_pass *pass,
                          const struct ml_record *record, struct ml_error *err)
{
    enum ml_record_outcome outcome = ML_RECORD_ADDED;
    int status = ml_records_add_part(c->ws, pass, record, NULL, &outcome, err);
    if (status)
        return status;
    c->report->added += outcome == ML_RECORD_ADDED;
    c->report->present += outcome == ML_RECORD_PRESENT;
    c->report->repeated += outcome == ML_RECORD_REPEATED;
    c->batch_records++;
    return 0;
}

int ml_collect_end_pass(struct ml_collector *c, struct ml_source_pass *pass, struct ml_error *err)
{
    int64_t replaced = 0;
    int status = ml_sources_finish(c->ws, pass, &replaced, err);
    c->report->replaced += (uint64_t)replaced;
    return status;
}

bool ml_collect_is_denied(const struct ml_collector *c, const char *consent)
{
    return consent && strncmp(consent, "denied", 6) == 0 && !c->options->allow_denied;
}

int ml_collect_item(struct ml_collector *c, const struct ml_collect_item *item,
                    struct ml_error *err)
{
    struct ml_collect_item full = *item;
    const struct ml_reader_input input = {.uri = item->uri,
                                          .type = item->type,
                                          .bytes = item->bytes,
                                          .size = item->size,
                                          .charset = item->charset};
    if (!full.licence)
        full.licence = c->options->licence;
    if (!full.consent)
        full.consent = c->options->consent;
    if (full.size == 0) {
        ml_collect_skip(c->report, ML_SKIP_EMPTY, full.uri, 0, NULL);
        return 0;
    }
    const struct ml_reader *reader = ml_reader_find(&input);
    return reader ? ml_collect_documents(c, &full, reader, err) : ml_collect_text(c, &full, err);
}
