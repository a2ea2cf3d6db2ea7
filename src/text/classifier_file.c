/* A classifier as one file. Little-endian:
 *
 *     "MLCLASS1"
 *     u32 features, word_n, char_min, char_max, bits, labels
 *     labels names of 64 bytes, NUL-padded
 *     labels f32 scales, labels f32 biases
 *     2^bits / 8 bytes: bit r of them says that row r has weights
 *     those rows, labels signed bytes each
 *     u64 sum over all before it
 *
 * Rows that no text of the training had are not stored, which is most of them. */
#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/files.h"
#include "base/utf8.h"
#include "text/classifier_impl.h"

#define MAGIC     "MLCLASS1"
#define MAX_BYTES ((size_t)1 << 30)

enum { HEADER = 8 + 6 * 4 };

static void put_u32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t get_u32(const uint8_t *from)
{
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

/* FNV-1a over bytes: the same on every machine. Against accidents, not against people. */
static uint64_t sum_of(const uint8_t *bytes, size_t n)
{
    uint64_t sum = 0xCBF29CE484222325u;
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ bytes[i]) * 0x100000001B3u;
    return sum;
}

/* ---- writing ---- */

static bool row_is_used(const struct ml_classifier *c, size_t row)
{
    const int8_t *weights = c->weights + row * (size_t)c->stride;
    for (int k = 0; k < c->labels; k++)
        if (weights[k])
            return true;
    return false;
}

static int put_float(struct ml_buffer *out, float value, struct ml_error *err)
{
    uint8_t bytes[4];
    uint32_t bits;
    memcpy(&bits, &value, 4);
    put_u32(bytes, bits);
    return ml_buffer_put(out, bytes, 4, err);
}

static int put_header(struct ml_buffer *out, const struct ml_classifier *c, struct ml_error *err)
{
    const int numbers[6] = {(int)c->plan.features, c->plan.word_n, c->plan.char_min,
                            c->plan.char_max,      c->plan.bits,   c->labels};
    uint8_t header[HEADER];
    memcpy(header, MAGIC, 8);
    for (int i = 0; i < 6; i++)
        put_u32(header + 8 + 4 * i, (uint32_t)numbers[i]);
    int status = ml_buffer_put(out, header, sizeof header, err);
    if (status == 0)
        status = ml_buffer_put(out, c->names, (size_t)c->labels * sizeof *c->names, err);
    for (int i = 0; status == 0 && i < 2 * c->labels; i++)
        status = put_float(out, i < c->labels ? c->scale[i] : c->bias[i - c->labels], err);
    return status;
}

static int put_rows(struct ml_buffer *out, const struct ml_classifier *c, struct ml_error *err)
{
    size_t rows = (size_t)1 << c->plan.bits, at = out->size;
    int status = ml_buffer_reserve(out, at + rows / 8 + 8, err);
    if (status)
        return status;
    memset(out->data + at, 0, rows / 8);
    out->size += rows / 8;
    for (size_t row = 0; status == 0 && row < rows; row++) {
        if (!row_is_used(c, row))
            continue;
        out->data[at + row / 8] = (char)(out->data[at + row / 8] | 1 << (row % 8));
        status = ml_buffer_put(out, c->weights + row * (size_t)c->stride, (size_t)c->labels, err);
    }
    return status;
}

int ml_classifier_save(const struct ml_classifier *c, const char *path, struct ml_error *err)
{
    struct ml_buffer out = {0};
    uint8_t sum[8];
    int status = put_header(&out, c, err);
    if (status == 0)
        status = put_rows(&out, c, err);
    if (status == 0) {
        uint64_t value = sum_of((const uint8_t *)out.data, out.size);
        put_u32(sum, (uint32_t)value);
        put_u32(sum + 4, (uint32_t)(value >> 32));
        status = ml_buffer_put(&out, sum, 8, err);
    }
    if (status == 0)
        status = ml_file_write(path, out.data, out.size, err);
    ml_buffer_clear(&out);
    return status;
}

/* ---- reading ---- */

static int refuse(const char *name, const char *why, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_FORMAT, "%s: not a text classifier that can be used: %s", name, why);
}

static bool plan_is_sane(const struct ml_feature_plan *p)
{
    bool words = p->features == ML_FEATURES_WORDS;
    bool inner =
        p->char_max >= 1 && p->char_max <= 8 && p->char_min >= 1 && p->char_min <= p->char_max;
    return (words || p->features == ML_FEATURES_CHARS) && p->word_n >= 1 && p->word_n <= 5 &&
           (inner || (words && p->char_max < 1)) && p->bits >= 8 && p->bits <= 22;
}

/* The part with a fixed size; *used is where the rows begin. */
static int read_header(struct ml_classifier **out, const uint8_t *b, size_t n, size_t *used,
                       const char *name, struct ml_error *err)
{
    if (n < HEADER + 8 || memcmp(b, MAGIC, 8) != 0)
        return refuse(name, "it does not begin like one", err);
    struct ml_feature_plan plan = {.features = (enum ml_classifier_features)get_u32(b + 8),
                                   .word_n = (int)get_u32(b + 12),
                                   .char_min = (int)get_u32(b + 16),
                                   .char_max = (int)get_u32(b + 20),
                                   .bits = (int)get_u32(b + 24)};
    uint32_t labels = get_u32(b + 28);
    if (!plan_is_sane(&plan) || labels < 2 || labels > ML_CLASSIFIER_MAX_LABELS)
        return refuse(name, "its numbers are out of their limits", err);
    size_t fixed =
        HEADER + labels * (ML_CLASSIFIER_LABEL_BYTES + 8u) + ((size_t)1 << plan.bits) / 8;
    if (n < fixed + 8)
        return refuse(name, "it is cut short", err);
    int status = ml_classifier_new(out, &plan, (int)labels, err);
    if (status)
        return status;
    const uint8_t *at = b + HEADER;
    memcpy((*out)->names, at, labels * (size_t)ML_CLASSIFIER_LABEL_BYTES);
    at += labels * (size_t)ML_CLASSIFIER_LABEL_BYTES;
    for (uint32_t i = 0; i < labels; i++) {
        uint32_t scale = get_u32(at + 4 * i), bias = get_u32(at + 4 * (labels + i));
        memcpy(&(*out)->scale[i], &scale, 4);
        memcpy(&(*out)->bias[i], &bias, 4);
        const char *label = (*out)->names[i];
        if (label[ML_CLASSIFIER_LABEL_BYTES - 1] || !ml_utf8_valid(label, strlen(label)) ||
            !isfinite((*out)->scale[i]) || !isfinite((*out)->bias[i]))
            return refuse(name, "a label or its scale is damaged", err);
    }
    *used = fixed;
    return 0;
}

static int read_rows(struct ml_classifier *c, const uint8_t *b, size_t n, size_t used,
                     const char *name, struct ml_error *err)
{
    size_t rows = (size_t)1 << c->plan.bits, labels = (size_t)c->labels;
    const uint8_t *bits = b + used - rows / 8, *at = b + used, *end = b + n - 8;
    for (size_t row = 0; row < rows; row++) {
        if (!(bits[row / 8] >> row % 8 & 1))
            continue;
        if ((size_t)(end - at) < labels)
            return refuse(name, "it is cut short", err);
        memcpy(c->weights + row * (size_t)c->stride, at, labels);
        at += labels;
    }
    if (at != end)
        return refuse(name, "there are bytes left over", err);
    return 0;
}

int ml_classifier_parse(struct ml_classifier **out, const void *bytes, size_t n, const char *name,
                        struct ml_error *err)
{
    struct ml_classifier *made = NULL;
    const uint8_t *b = bytes;
    size_t used = 0;
    if (n > MAX_BYTES)
        return ml_fail(err, ML_ERR_LIMIT, "%s: too large for a text classifier (%zu bytes)", name,
                       n);
    int status = read_header(&made, b, n, &used, name, err);
    if (status == 0) {
        uint64_t sum = get_u32(b + n - 8) | (uint64_t)get_u32(b + n - 4) << 32;
        if (sum != sum_of(b, n - 8))
            status = refuse(name, "its sum is wrong, so it was damaged", err);
    }
    if (status == 0)
        status = read_rows(made, b, n, used, name, err);
    if (status)
        ml_classifier_free(made);
    else
        *out = made;
    return status;
}

int ml_classifier_open(struct ml_classifier **out, const char *path, struct ml_error *err)
{
    struct ml_file_map map;
    int status = ml_file_map_open(&map, path, err);
    if (status)
        return status;
    status = ml_classifier_parse(out, map.data, map.size, path, err);
    ml_file_map_close(&map);
    return status;
}
