/* Readers under fuzzing: whatever comes out must be what data/reader.h promises. */
#ifndef ML_TESTS_FUZZ_SINK_H
#define ML_TESTS_FUZZ_SINK_H

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "data/readers.h"

static inline void fuzz_check_text(const char *text, size_t n)
{
    if (!ml_utf8_valid(text, n) || memchr(text, '\0', n) || memchr(text, '\r', n))
        abort();
}

static inline int fuzz_document(void *arg, const struct ml_document *d, struct ml_error *err)
{
    size_t *total = arg;
    *total += d->size;
    if (d->size == 0 || !d->kind || !d->type)
        abort();
    if (strcmp(d->kind, "text") == 0)
        fuzz_check_text(d->bytes, d->size);
    if (d->title && (!ml_utf8_valid(d->title, strlen(d->title)) || strchr(d->title, '\n')))
        abort();
    if (d->meta) {
        json_t *meta = NULL;
        struct ml_error inner = {0};
        if (ml_json_parse(&meta, d->meta, strlen(d->meta), "meta", &inner) != 0 ||
            !json_is_object(meta))
            abort();
        json_decref(meta);
    }
    return 0;
}

static inline int fuzz_member(void *arg, const struct ml_member *m, struct ml_error *err)
{
    size_t *total = arg;
    *total += m->size;
    if (!ml_utf8_valid(m->name, strlen(m->name)) || m->name[0] == '/' ||
        strncmp(m->name, "../", 3) == 0 || strstr(m->name, "/../"))
        abort();
    return 0;
}

static inline void fuzz_left_out(void *arg, const char *what, const char *why)
{
    if (!*why || !what)
        abort();
}

/* Reads the bytes as `uri`; a failure has a code and one line of UTF-8. */
static inline void fuzz_read(const struct ml_reader *reader, const char *uri, const uint8_t *data,
                             size_t size)
{
    size_t total = 0;
    struct ml_error err = {0};
    const struct ml_reader_input input = {.uri = uri, .bytes = (const char *)data, .size = size};
    const struct ml_reader_sink sink = {
        .document = fuzz_document, .member = fuzz_member, .left_out = fuzz_left_out, .arg = &total};
    const struct ml_reader_limits small = {.max_out_bytes = 1 << 22, .max_members = 100};
    struct ml_reader_limits limits = ml_reader_limits_or_default(&small);
    int status = reader->read(&input, &limits, &sink, &err);
    if (status != err.code || !ml_utf8_valid(err.message, strlen(err.message)))
        abort();
}

#endif
