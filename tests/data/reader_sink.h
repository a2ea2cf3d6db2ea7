/* A sink that writes down what a reader gives: one line a document, member or part left out. */
#ifndef ML_TESTS_READER_SINK_H
#define ML_TESTS_READER_SINK_H

#include "scratch.h"

#include "data/readers.h"

struct sunk {
    struct ml_buffer documents; /* "[title] text {meta}\n" each */
    struct ml_buffer members;   /* "name=bytes\n" */
    struct ml_buffer left_out;  /* "what: why\n" */
    int document_count, member_count, left_out_count;
};

static inline int sunk_document(void *arg, const struct ml_document *d, struct ml_error *err)
{
    struct sunk *s = arg;
    s->document_count++;
    if (strcmp(d->kind, "text") != 0)
        return ml_buffer_printf(&s->documents, err, "%s %s %zu %s\n", d->kind, d->type, d->size,
                                d->meta ? d->meta : "");
    assert_null(memchr(d->bytes, '\0', d->size));
    assert_null(memchr(d->bytes, '\r', d->size));
    return ml_buffer_printf(&s->documents, err, "[%s] %.*s %s\n", d->title ? d->title : "",
                            (int)d->size, d->bytes, d->meta ? d->meta : "");
}

static inline int sunk_member(void *arg, const struct ml_member *m, struct ml_error *err)
{
    struct sunk *s = arg;
    s->member_count++;
    return ml_buffer_printf(&s->members, err, "%s=%.*s\n", m->name,
                            (int)(m->size < 200 ? m->size : 200), m->size ? m->bytes : "");
}

static inline void sunk_left_out(void *arg, const char *what, const char *why)
{
    struct sunk *s = arg;
    s->left_out_count++;
    ml_buffer_printf(&s->left_out, NULL, "%s: %s\n", what, why);
}

static inline void sunk_clear(struct sunk *s)
{
    ml_buffer_clear(&s->documents);
    ml_buffer_clear(&s->members);
    ml_buffer_clear(&s->left_out);
    *s = (struct sunk){0};
}

/* Reads bytes as the file `uri`; *s is emptied first. */
static inline int sunk_read(struct sunk *s, const char *uri, const void *bytes, size_t n,
                            const struct ml_reader_limits *limits, struct ml_error *err)
{
    const struct ml_reader_input input = {.uri = uri, .bytes = bytes, .size = n};
    const struct ml_reader_sink sink = {
        .document = sunk_document, .member = sunk_member, .left_out = sunk_left_out, .arg = s};
    const struct ml_reader *reader = ml_reader_find(&input);
    struct ml_reader_limits filled =
        ml_reader_limits_or_default(limits ? limits : &(struct ml_reader_limits){0});
    sunk_clear(s);
    assert_non_null(reader);
    return reader->read(&input, &filled, &sink, err);
}

static inline const char *sunk_text(const struct ml_buffer *buffer)
{
    return buffer->size ? buffer->data : "";
}

#endif
