#include "find/embed.h"

#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "find/embed_features.h"
#include "find/index_bytes.h"

#define MAGIC "MLEMBD1"
#define ROWS  ((size_t)1 << ML_EMBED_BITS)

void ml_embed_work_clear(struct ml_embed_work *w)
{
    if (!w)
        return;
    ml_search_words_clear(&w->words);
    ml_mem_free(w->features);
    *w = (struct ml_embed_work){0};
}

void ml_embedder_clear(struct ml_embedder *e)
{
    if (!e)
        return;
    ml_mem_free(e->idf);
    ml_mem_free(e->directions);
    ml_mem_free(e->scale);
    *e = (struct ml_embedder){0};
}

int ml_embedder_apply(const struct ml_embedder *e, struct ml_embed_work *w, const char *text,
                      size_t n, float *out, struct ml_error *err)
{
    double square = 0;
    int status = ml_embed_features(w, text, n, err);
    if (status)
        return status;
    memset(out, 0, ML_EMBED_WIDTH * sizeof *out);
    for (size_t i = 0; i < w->count; i++) {
        uint32_t row = w->features[i].row;
        const int8_t *direction = e->directions + (size_t)row * ML_EMBED_WIDTH;
        float weight = w->features[i].weight * e->idf[row] * e->scale[row];
        for (int k = 0; k < ML_EMBED_WIDTH; k++)
            out[k] += weight * direction[k];
    }
    for (int k = 0; k < ML_EMBED_WIDTH; k++)
        square += (double)out[k] * out[k];
    float factor = square > 0 ? (float)(1 / sqrt(square)) : 0;
    for (int k = 0; k < ML_EMBED_WIDTH; k++)
        out[k] *= factor;
    return 0;
}

/* ---- bytes ---- */

int ml_embedder_put(const struct ml_embedder *e, struct ml_buffer *out, struct ml_error *err)
{
    int status = ml_index_put_text(out, MAGIC, err);
    if (status == 0)
        status = ml_index_put_u64(out, e->texts, err);
    if (status == 0)
        status = ml_index_put_u64(out, (uint64_t)e->rank, err);
    if (status == 0)
        status = ml_index_put_floats(out, e->idf, ROWS, err);
    if (status == 0)
        status = ml_index_put_floats(out, e->scale, ROWS, err);
    return status ? status : ml_buffer_put(out, e->directions, ROWS * ML_EMBED_WIDTH, err);
}

int ml_embedder_get(struct ml_embedder *e, const uint8_t *bytes, size_t n, const char *name,
                    struct ml_error *err)
{
    struct ml_index_reader r = ml_index_read(bytes, n, name);
    struct ml_embedder made = {0};
    ml_index_expect(&r, MAGIC);
    made.texts = ml_index_u64(&r);
    uint64_t rank = ml_index_u64(&r);
    if (r.bad || rank > ML_EMBED_WIDTH || (size_t)(r.end - r.at) != ROWS * (ML_EMBED_WIDTH + 8))
        return ml_index_refuse(&r, err);
    made.rank = (int)rank;
    made.idf = ml_mem_alloc(ROWS * sizeof *made.idf);
    made.scale = ml_mem_alloc(ROWS * sizeof *made.scale);
    made.directions = ml_mem_alloc(ROWS * ML_EMBED_WIDTH);
    int status = made.idf && made.scale && made.directions
                     ? 0
                     : ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", name);
    if (status == 0) {
        ml_index_floats(&r, made.idf, ROWS);
        ml_index_floats(&r, made.scale, ROWS);
        memcpy(made.directions, r.at, ROWS * ML_EMBED_WIDTH);
        status = r.bad ? ml_index_refuse(&r, err) : 0;
    }
    if (status)
        ml_embedder_clear(&made);
    else
        *e = made;
    return status;
}
