/* Packing for tests of what unpacks: zlib, without which those tests are skipped. */
#ifndef ML_TESTS_GZIP_H
#define ML_TESTS_GZIP_H

#include "maliang_config.h"
#include "scratch.h"

#ifdef MALIANG_HAVE_ZLIB

#include <zlib.h>

/* Appends one member (gzip), zlib's frame, or a bare stream: window bits 31, 15, -15. */
static inline void pack_as(struct ml_buffer *out, const char *bytes, size_t n, int bits)
{
    z_stream stream = {0};
    struct ml_error err = {0};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&stream, n) + 32;
    assert_ok(ml_buffer_reserve(out, out->size + room, &err), err);
    stream.next_in = (Bytef *)(uintptr_t)bytes;
    stream.avail_in = (uInt)n;
    stream.next_out = (Bytef *)(out->data + out->size);
    stream.avail_out = (uInt)room;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out->size += room - stream.avail_out;
    out->data[out->size] = '\0';
    deflateEnd(&stream);
}

static inline void pack(struct ml_buffer *out, const char *bytes, size_t n)
{
    pack_as(out, bytes, n, 31);
}

#else

static inline void pack_as(struct ml_buffer *out, const char *bytes, size_t n, int bits)
{
    print_message("built without zlib\n");
    skip();
}

static inline void pack(struct ml_buffer *out, const char *bytes, size_t n)
{
    pack_as(out, bytes, n, 31);
}

#endif

#endif
