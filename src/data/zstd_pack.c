#include "data/zstd_pack.h"

#include "base/fail.h"
#include "maliang_config.h"

#ifdef MALIANG_HAVE_ZSTD
#include <zstd.h>
#include <zstd_errors.h>

struct ml_zstd_stream {
    ZSTD_CCtx *context;
    struct ml_zstd_sink sink;
    char *out;
    size_t out_size;
};

bool ml_zstd_present(void)
{
    return true;
}

static int fail_zstd(size_t code, struct ml_error *err)
{
    int status =
        ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation ? ML_ERR_MEMORY : ML_ERR_STATE;
    return ml_fail(err, status, "cannot compress: %s", ZSTD_getErrorName(code));
}

int ml_zstd_open(struct ml_zstd_stream **out, int level, const struct ml_zstd_sink *sink,
                 struct ml_error *err)
{
    struct ml_zstd_stream *stream = ml_mem_calloc(1, sizeof *stream);
    if (stream) {
        stream->sink = *sink;
        stream->out_size = ZSTD_CStreamOutSize();
        stream->out = ml_mem_alloc(stream->out_size);
        stream->context = ZSTD_createCCtx();
    }
    if (!stream || !stream->out || !stream->context) {
        ml_zstd_close(stream);
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for compression");
    }
    size_t code = ZSTD_CCtx_setParameter(stream->context, ZSTD_c_compressionLevel, level);
    if (!ZSTD_isError(code))
        code = ZSTD_CCtx_setParameter(stream->context, ZSTD_c_checksumFlag, 1);
    if (ZSTD_isError(code)) {
        ml_zstd_close(stream);
        return fail_zstd(code, err);
    }
    *out = stream;
    return 0;
}

static int compress(struct ml_zstd_stream *stream, const void *bytes, size_t n,
                    ZSTD_EndDirective how, struct ml_error *err)
{
    ZSTD_inBuffer in = {bytes, n, 0};
    for (;;) {
        ZSTD_outBuffer out = {stream->out, stream->out_size, 0};
        size_t left = ZSTD_compressStream2(stream->context, &out, &in, how);
        if (ZSTD_isError(left))
            return fail_zstd(left, err);
        int status = out.pos ? stream->sink.put(stream->sink.arg, stream->out, out.pos, err) : 0;
        if (status)
            return status;
        if (how == ZSTD_e_end ? left == 0 : in.pos == in.size)
            return 0;
    }
}

int ml_zstd_put(struct ml_zstd_stream *stream, const void *bytes, size_t n, struct ml_error *err)
{
    return compress(stream, bytes, n, ZSTD_e_continue, err);
}

int ml_zstd_finish(struct ml_zstd_stream *stream, struct ml_error *err)
{
    return compress(stream, NULL, 0, ZSTD_e_end, err);
}

void ml_zstd_close(struct ml_zstd_stream *stream)
{
    if (!stream)
        return;
    ZSTD_freeCCtx(stream->context);
    ml_mem_free(stream->out);
    ml_mem_free(stream);
}

int ml_zstd_block(struct ml_buffer *out, const void *bytes, size_t n, int level,
                  struct ml_error *err)
{
    size_t bound = ZSTD_compressBound(n);
    int status = ml_buffer_reserve(out, out->size + bound, err);
    if (status)
        return status;
    size_t size = ZSTD_compress(out->data + out->size, bound, bytes, n, level);
    if (ZSTD_isError(size))
        return fail_zstd(size, err);
    out->size += size;
    return 0;
}

#else

bool ml_zstd_present(void)
{
    return false;
}

static int fail_absent(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_UNSUPPORTED,
                   "compressing needs libzstd, which this build was made without (Debian: "
                   "libzstd-dev); export without compression");
}

int ml_zstd_open(struct ml_zstd_stream **out, int level, const struct ml_zstd_sink *sink,
                 struct ml_error *err)
{
    return fail_absent(err);
}

int ml_zstd_put(struct ml_zstd_stream *stream, const void *bytes, size_t n, struct ml_error *err)
{
    return fail_absent(err);
}

int ml_zstd_finish(struct ml_zstd_stream *stream, struct ml_error *err)
{
    return fail_absent(err);
}

void ml_zstd_close(struct ml_zstd_stream *stream)
{
}

int ml_zstd_block(struct ml_buffer *out, const void *bytes, size_t n, int level,
                  struct ml_error *err)
{
    return fail_absent(err);
}

#endif
