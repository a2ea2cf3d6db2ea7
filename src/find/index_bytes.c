#include "find/index_bytes.h"

#include <math.h>
#include <string.h>

#include "base/fail.h"

int ml_index_put_u64(struct ml_buffer *out, uint64_t value, struct ml_error *err)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    return ml_buffer_put(out, bytes, 8, err);
}

/* LEB128: seven bits a byte, the lowest first. */
int ml_index_put_varint(struct ml_buffer *out, uint64_t value, struct ml_error *err)
{
    uint8_t bytes[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[n++] = (uint8_t)(value | 0x80);
    bytes[n++] = (uint8_t)value;
    return ml_buffer_put(out, bytes, n, err);
}

int ml_index_put_text(struct ml_buffer *out, const char *text, struct ml_error *err)
{
    return ml_buffer_put(out, text, strlen(text), err);
}

int ml_index_put_floats(struct ml_buffer *out, const float *values, size_t n, struct ml_error *err)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], 4);
        const uint8_t bytes[4] = {(uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16),
                                  (uint8_t)(bits >> 24)};
        status = ml_buffer_put(out, bytes, 4, err);
    }
    return status;
}

struct ml_index_reader ml_index_read(const uint8_t *bytes, size_t n, const char *name)
{
    return (struct ml_index_reader){.at = bytes, .end = bytes ? bytes + n : bytes, .name = name};
}

const uint8_t *ml_index_bytes(struct ml_index_reader *r, size_t n)
{
    const uint8_t *at = r->at;
    if (r->bad || (size_t)(r->end - at) < n) {
        r->bad = true;
        return NULL;
    }
    r->at += n;
    return at;
}

uint64_t ml_index_u64(struct ml_index_reader *r)
{
    const uint8_t *bytes = ml_index_bytes(r, 8);
    uint64_t value = 0;
    for (int i = 0; bytes && i < 8; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

uint64_t ml_index_varint(struct ml_index_reader *r)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        const uint8_t *byte = ml_index_bytes(r, 1);
        if (!byte)
            return 0;
        value |= (uint64_t)(*byte & 0x7F) << shift;
        if (*byte < 0x80)
            return value;
    }
    r->bad = true;
    return 0;
}

void ml_index_expect(struct ml_index_reader *r, const char *text)
{
    const uint8_t *bytes = ml_index_bytes(r, strlen(text));
    r->bad = r->bad || memcmp(bytes, text, strlen(text)) != 0;
}

void ml_index_floats(struct ml_index_reader *r, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t *b = ml_index_bytes(r, 4);
        out[i] = 0;
        if (!b)
            return;
        uint32_t bits = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        memcpy(&out[i], &bits, 4);
        r->bad = r->bad || !isfinite(out[i]);
    }
}

int ml_index_refuse(const struct ml_index_reader *r, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_FORMAT,
                   "%s: damaged, or not part of an index; delete the folder and it is made again",
                   r->name);
}
