#include "data/inflate.h"

#include <string.h>

#include "base/fail.h"
#include "maliang_config.h"

bool ml_is_gzip(const char *bytes, size_t n)
{
    return n >= 3 && memcmp(bytes, "\x1f\x8b\x08", 3) == 0;
}

#ifndef MALIANG_HAVE_ZLIB

int ml_inflater_open(struct ml_inflater **out, enum ml_inflate_kind kind, const char *bytes,
                     size_t n, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_UNSUPPORTED,
                   "reading gzip needs zlib, which this build lacks; install the package "
                   "zlib1g-dev and build again");
}

int ml_inflater_read(struct ml_inflater *inflater, char *to, size_t room, size_t *got,
                     struct ml_error *err)
{
    return ml_inflater_open(NULL, ML_INFLATE_GZIP, NULL, 0, err);
}

size_t ml_inflater_member(const struct ml_inflater *inflater)
{
    return 0;
}

void ml_inflater_close(struct ml_inflater *inflater)
{
}

#else

#include <limits.h>
#include <zlib.h>

struct ml_inflater {
    z_stream stream;
    enum ml_inflate_kind kind;
    const char *bytes;
    size_t n, at; /* at: given to zlib and taken by it */
    size_t member;
    bool ended;
};

/* How zlib is to read: 15 bits of window, 16 more for gzip's frame, negative for none. */
static int window_bits(const struct ml_inflater *in)
{
    if (in->kind == ML_INFLATE_GZIP)
        return 15 + 16;
    bool framed = in->n >= 2 && (in->bytes[0] & 0x0f) == 8 &&
                  ((unsigned char)in->bytes[0] * 256 + (unsigned char)in->bytes[1]) % 31 == 0;
    return framed ? 15 : -15;
}

int ml_inflater_open(struct ml_inflater **out, enum ml_inflate_kind kind, const char *bytes,
                     size_t n, struct ml_error *err)
{
    struct ml_inflater *in = ml_mem_calloc(1, sizeof *in);
    if (!in)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory unpacking");
    *in = (struct ml_inflater){.kind = kind, .bytes = n ? bytes : "", .n = n};
    if (inflateInit2(&in->stream, window_bits(in)) != Z_OK) {
        ml_mem_free(in);
        return ml_fail(err, ML_ERR_MEMORY, "out of memory unpacking");
    }
    *out = in;
    return 0;
}

void ml_inflater_close(struct ml_inflater *in)
{
    if (!in)
        return;
    inflateEnd(&in->stream);
    ml_mem_free(in);
}

size_t ml_inflater_member(const struct ml_inflater *in)
{
    return in->member;
}

/* After a member: another one, or the end (whatever else follows is padding). */
static void next_member(struct ml_inflater *in)
{
    bool more = in->kind == ML_INFLATE_GZIP && ml_is_gzip(in->bytes + in->at, in->n - in->at);
    in->ended = !more || inflateReset(&in->stream) != Z_OK;
    in->member = in->at;
}

int ml_inflater_read(struct ml_inflater *in, char *to, size_t room, size_t *got,
                     struct ml_error *err)
{
    size_t done = 0;
    while (done == 0 && !in->ended) {
        size_t give = in->n - in->at;
        uInt in_room = give < UINT_MAX ? (uInt)give : UINT_MAX;
        uInt out_room = room < UINT_MAX ? (uInt)room : UINT_MAX;
        in->stream.next_in = (Bytef *)(uintptr_t)(in->bytes + in->at);
        in->stream.avail_in = in_room;
        in->stream.next_out = (Bytef *)to;
        in->stream.avail_out = out_room;
        int code = inflate(&in->stream, Z_NO_FLUSH);
        in->at += in_room - in->stream.avail_in;
        done = out_room - in->stream.avail_out;
        if (code == Z_STREAM_END)
            next_member(in);
        else if (code == Z_MEM_ERROR)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory unpacking");
        else if (code != Z_OK && code != Z_BUF_ERROR)
            return ml_fail(err, ML_ERR_FORMAT, "damaged at byte %zu of the packed data", in->at);
        else if (done == 0 && in->at == in->n)
            return ml_fail(err, ML_ERR_FORMAT, "the packed data is cut off");
    }
    *got = done;
    return 0;
}

#endif

int ml_inflate(struct ml_buffer *out, enum ml_inflate_kind kind, const char *bytes, size_t n,
               uint64_t max, struct ml_error *err)
{
    struct ml_inflater *in = NULL;
    size_t start = out->size;
    int status = ml_inflater_open(&in, kind, bytes, n, err);
    while (status == 0) {
        size_t got = 0, room;
        status = ml_buffer_reserve(out, out->size + ((size_t)16 << 10), err);
        if (status)
            break;
        room = out->capacity - out->size - 1;
        status = ml_inflater_read(in, out->data + out->size, room, &got, err);
        if (status || got == 0)
            break;
        out->size += got;
        out->data[out->size] = '\0';
        if (out->size - start > max)
            status = ml_fail(err, ML_ERR_LIMIT, "unpacks to more than %llu bytes",
                             (unsigned long long)max);
    }
    ml_inflater_close(in);
    return status;
}
