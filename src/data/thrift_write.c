#include "data/thrift_write.h"

#include <assert.h>
#include <string.h>

static void put(struct ml_thrift *t, const void *bytes, size_t n)
{
    if (t->status == 0)
        t->status = ml_buffer_put(t->out, bytes, n, t->err);
}

static void put_varint(struct ml_thrift *t, uint64_t value)
{
    unsigned char bytes[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[n++] = (unsigned char)(value | 0x80);
    bytes[n++] = (unsigned char)value;
    put(t, bytes, n);
}

/* Zigzag: small numbers of either sign are short. */
static uint64_t zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static void put_field(struct ml_thrift *t, int field, enum ml_thrift_type type)
{
    int step = field - t->last[t->depth];
    assert(step > 0 && step < 16); /* longer steps have another form, which Parquet never needs */
    const unsigned char head = (unsigned char)(step << 4 | (int)type);
    put(t, &head, 1);
    t->last[t->depth] = field;
}

void ml_thrift_int(struct ml_thrift *t, int field, enum ml_thrift_type type, int64_t value)
{
    put_field(t, field, type);
    put_varint(t, zigzag(value));
}

void ml_thrift_text(struct ml_thrift *t, int field, const char *text)
{
    put_field(t, field, ML_THRIFT_TEXT);
    ml_thrift_item_text(t, text);
}

void ml_thrift_list(struct ml_thrift *t, int field, enum ml_thrift_type type, size_t count)
{
    put_field(t, field, ML_THRIFT_LIST);
    const unsigned char head =
        (unsigned char)((count < 15 ? count << 4 : 0xf0) | (unsigned char)type);
    put(t, &head, 1);
    if (count >= 15)
        put_varint(t, count);
}

void ml_thrift_item_int(struct ml_thrift *t, int64_t value)
{
    put_varint(t, zigzag(value));
}

void ml_thrift_item_text(struct ml_thrift *t, const char *text)
{
    put_varint(t, strlen(text));
    put(t, text, strlen(text));
}

void ml_thrift_begin(struct ml_thrift *t, int field)
{
    if (field)
        put_field(t, field, ML_THRIFT_STRUCT);
    assert(t->depth + 1 < (int)(sizeof t->last / sizeof t->last[0]));
    t->last[++t->depth] = 0;
}

void ml_thrift_end(struct ml_thrift *t)
{
    put(t, "", 1);
    if (t->depth)
        t->depth--;
}
