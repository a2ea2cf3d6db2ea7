/* A subtitle file as one document: what is said, line by line, without the times. */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "data/readers.h"
#include "data/subtitle.h"
#include "data/text_decode.h"

#define TIMES_KEPT 200 /* of so many cues the times are kept too; more would swell the database */

static json_t *seconds(int64_t ms)
{
    return json_real((double)ms / 1000);
}

static int write_meta(const struct ml_subtitle *s, char **out, struct ml_error *err)
{
    int64_t end = 0;
    for (size_t i = 0; i < s->count; i++)
        end = s->cues[i].end > end ? s->cues[i].end : end;
    ml_json_setup();
    json_t *meta = json_object(), *times = s->count <= TIMES_KEPT ? json_array() : NULL;
    bool full = json_object_set_new(meta, "duration", seconds(end)) != 0 ||
                json_object_set_new(meta, "cues", json_integer((json_int_t)s->count)) != 0;
    for (size_t i = 0; times && i < s->count && !full; i++) {
        json_t *pair = json_array();
        full = json_array_append_new(pair, seconds(s->cues[i].start)) != 0 ||
               json_array_append_new(pair, seconds(s->cues[i].end)) != 0 ||
               json_array_append(times, pair) != 0;
        json_decref(pair);
    }
    if (s->count <= TIMES_KEPT)
        full = full || json_object_set(meta, "times", times) != 0;
    int status = full ? ml_fail(err, ML_ERR_MEMORY, "out of memory reading subtitles")
                      : ml_json_text(out, meta, JSON_COMPACT | JSON_REAL_PRECISION(12), err);
    json_decref(times);
    json_decref(meta);
    return status;
}

/* Lines that roll up (each cue repeats the last line of the one before) are written once. */
static int write_text(const struct ml_subtitle *s, struct ml_buffer *out, struct ml_error *err)
{
    const char *last = "";
    size_t last_n = 0;
    int status = 0;
    for (size_t i = 0; i < s->count && status == 0; i++) {
        const char *at = s->words.data + s->cues[i].at, *end = at + s->cues[i].size;
        while (at < end && status == 0) {
            const char *stop = memchr(at, '\n', (size_t)(end - at));
            size_t n = (size_t)((stop ? stop : end) - at);
            bool same = n == last_n && memcmp(at, last, n) == 0;
            if (n > 0 && !same) {
                status = out->size ? ml_buffer_put(out, "\n", 1, err) : 0;
                if (status == 0)
                    status = ml_buffer_put(out, at, n, err);
                last = at;
                last_n = n;
            }
            at += n + 1;
        }
    }
    return status;
}

static int give(const struct ml_subtitle *s, const struct ml_reader_sink *sink,
                struct ml_error *err)
{
    struct ml_buffer text = {0};
    char *meta = NULL, why[60];
    if (s->bad > 0) {
        snprintf(why, sizeof why, "%zu of them have times that make no sense", s->bad);
        sink->left_out(sink->arg, "subtitles", why);
    }
    int status = write_text(s, &text, err);
    if (status == 0)
        status = write_meta(s, &meta, err);
    const struct ml_document document = {
        .kind = "text", .type = "text/plain", .bytes = text.data, .size = text.size, .meta = meta};
    if (status == 0)
        status = sink->document(sink->arg, &document, err);
    ml_mem_free(meta);
    ml_buffer_clear(&text);
    return status;
}

static int read_subtitle(const struct ml_reader_input *input, const struct ml_reader_limits *limits,
                         const struct ml_reader_sink *sink, struct ml_error *err)
{
    struct ml_decoded decoded = {0};
    struct ml_subtitle subtitle = {0};
    struct ml_error inner = {0};
    (void)limits;
    int status = ml_text_decode(&decoded, input->bytes, input->size, NULL, err);
    if (status)
        return status;
    if (decoded.verdict != ML_TEXT_OK && decoded.verdict != ML_TEXT_EMPTY)
        status = ml_fail(&inner, ML_ERR_FORMAT, "not subtitles: it is no text");
    else if (decoded.verdict == ML_TEXT_OK)
        status = ml_subtitle_parse(&subtitle, decoded.text, decoded.size, &inner);
    if (status)
        ml_fail(err, status, "%s: %s", input->uri, inner.message);
    else if (subtitle.count > 0)
        status = give(&subtitle, sink, err);
    ml_subtitle_clear(&subtitle);
    ml_decoded_clear(&decoded);
    return status;
}

const struct ml_reader ml_reader_subtitle = {
    .name = "subtitle 1",
    .endings = (const char *const[]){"srt", "vtt", "ass", "ssa", NULL},
    .types =
        (const char *const[]){"application/x-subrip", "text/vtt", "text/x-ssa", "text/x-ass", NULL},
    .read = read_subtitle,
};
