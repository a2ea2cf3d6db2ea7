#include "find/bm25.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "find/index_bytes.h"

#define MAGIC "MLBM251"

static const float k1 = 1.2f, b = 0.75f;

void ml_bm25_clear(struct ml_bm25 *index)
{
    if (!index)
        return;
    for (size_t i = 0; i < index->size; i++)
        ml_buffer_clear(&index->terms[i].postings);
    ml_mem_free(index->terms);
    ml_mem_free(index->lengths);
    *index = (struct ml_bm25){0};
}

/* ---- terms ---- */

static struct ml_bm25_term *place(struct ml_bm25_term *terms, size_t size, uint64_t hash)
{
    size_t at = (size_t)(hash ^ hash >> 32) & (size - 1);
    while (terms[at].hash && terms[at].hash != hash)
        at = (at + 1) & (size - 1);
    return &terms[at];
}

static int grow_terms(struct ml_bm25 *index, struct ml_error *err)
{
    size_t size = index->size ? 2 * index->size : 4096;
    struct ml_bm25_term *terms = ml_mem_calloc(size, sizeof *terms);
    if (!terms)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for an index of words");
    for (size_t i = 0; i < index->size; i++)
        if (index->terms[i].hash)
            *place(terms, size, index->terms[i].hash) = index->terms[i];
    ml_mem_free(index->terms);
    index->terms = terms;
    index->size = size;
    return 0;
}

static int find_term(struct ml_bm25 *index, uint64_t hash, struct ml_bm25_term **out,
                     struct ml_error *err)
{
    int status = 2 * (index->used + 1) > index->size ? grow_terms(index, err) : 0;
    if (status)
        return status;
    *out = place(index->terms, index->size, hash);
    if (!(*out)->hash) {
        (*out)->hash = hash;
        index->used++;
    }
    return 0;
}

/* ---- adding ---- */

static int reserve(struct ml_bm25 *index, size_t count, struct ml_error *err)
{
    if (count <= index->capacity)
        return 0;
    size_t capacity = count > 2 * index->capacity ? count : 2 * index->capacity;
    uint32_t *grown = ml_mem_realloc(index->lengths, (capacity + 1) * sizeof *grown);
    if (!grown)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for an index of words");
    index->lengths = grown;
    index->capacity = capacity;
    return 0;
}

static int by_value(const void *x, const void *y)
{
    uint64_t p = *(const uint64_t *)x, q = *(const uint64_t *)y;
    return (p > q) - (p < q);
}

/* One posting; the text's number is index->count. */
static int post(struct ml_bm25 *index, uint64_t hash, size_t times, struct ml_error *err)
{
    struct ml_bm25_term *term;
    int status = find_term(index, hash ? hash : 1, &term, err);
    if (status == 0)
        status = ml_index_put_varint(&term->postings, index->count - (term->texts ? term->last : 0),
                                     err);
    if (status == 0)
        status = ml_index_put_varint(&term->postings, times, err);
    if (status == 0) {
        term->last = (uint32_t)index->count;
        term->texts++;
    }
    return status;
}

int ml_bm25_add(struct ml_bm25 *index, const struct ml_search_words *words, struct ml_error *err)
{
    uint64_t *hashes = ml_mem_alloc((words->count + 1) * sizeof *hashes);
    int status = hashes ? reserve(index, index->count + 1, err)
                        : ml_fail(err, ML_ERR_MEMORY, "out of memory for an index of words");
    for (size_t i = 0; hashes && i < words->count; i++)
        hashes[i] = words->words[i].hash;
    if (hashes)
        qsort(hashes, words->count, sizeof *hashes, by_value);
    for (size_t i = 0, same; status == 0 && i < words->count; i = same) {
        for (same = i + 1; same < words->count && hashes[same] == hashes[i];)
            same++;
        status = post(index, hashes[i], same - i, err);
    }
    if (status == 0) {
        index->lengths[index->count++] = (uint32_t)words->count;
        index->total += words->count;
    }
    ml_mem_free(hashes);
    return status;
}

/* ---- searching ---- */

/* Adds a term's share to the texts that have it. Postings were checked when they were read. */
static void score_term(const struct ml_bm25 *index, const struct ml_bm25_term *term, float *scores)
{
    struct ml_index_reader r =
        ml_index_read((const uint8_t *)term->postings.data, term->postings.size, "postings");
    float texts = (float)index->count, with = (float)term->texts;
    float idf = logf(1 + (texts - with + 0.5f) / (with + 0.5f));
    float mean = (float)index->total / texts;
    uint64_t text = 0;
    for (uint32_t i = 0; i < term->texts; i++) {
        text += ml_index_varint(&r);
        float times = (float)ml_index_varint(&r);
        float length = (float)index->lengths[text] / mean;
        scores[text] += idf * times * (k1 + 1) / (times + k1 * (1 - b + b * length));
    }
}

int ml_bm25_search(const struct ml_bm25 *index, const struct ml_search_words *query, int k,
                   ml_vector_filter *filter, void *arg, struct ml_near *out, int *found,
                   struct ml_error *err)
{
    struct ml_near_heap heap = {.items = out, .most = k};
    *found = 0;
    if (index->count == 0)
        return 0;
    float *scores = ml_mem_calloc(index->count, sizeof *scores);
    if (!scores)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory searching");
    for (size_t i = 0; i < query->count; i++) {
        bool before = false; /* a word of the query counts once */
        for (size_t j = 0; j < i && !before; j++)
            before = query->words[j].hash == query->words[i].hash;
        const struct ml_bm25_term *term =
            place(index->terms, index->size, query->words[i].hash ? query->words[i].hash : 1);
        if (!before && term->hash)
            score_term(index, term, scores);
    }
    for (size_t i = 0; i < index->count; i++)
        if (scores[i] > 0 && (!filter || filter(arg, (uint32_t)i)))
            ml_near_heap_put(&heap, (struct ml_near){(uint32_t)i, scores[i]});
    ml_near_heap_sort(&heap);
    ml_mem_free(scores);
    *found = heap.count;
    return 0;
}

/* ---- bytes ---- */

int ml_bm25_put(const struct ml_bm25 *index, struct ml_buffer *out, struct ml_error *err)
{
    int status = ml_index_put_text(out, MAGIC, err);
    if (status == 0)
        status = ml_index_put_u64(out, index->count, err);
    for (size_t i = 0; status == 0 && i < index->count; i++)
        status = ml_index_put_varint(out, index->lengths[i], err);
    if (status == 0)
        status = ml_index_put_u64(out, index->used, err);
    for (size_t i = 0; status == 0 && i < index->size; i++) {
        const struct ml_bm25_term *term = &index->terms[i];
        if (!term->hash)
            continue;
        status = ml_index_put_u64(out, term->hash, err);
        if (status == 0)
            status = ml_index_put_varint(out, term->texts, err);
        if (status == 0)
            status = ml_index_put_varint(out, term->postings.size, err);
        if (status == 0)
            status = ml_buffer_put(out, term->postings.data, term->postings.size, err);
    }
    return status;
}

/* Every posting lies in order within the texts, so that searching need not look again. */
static bool postings_fit(struct ml_bm25_term *term, const uint8_t *bytes, size_t n, size_t count)
{
    struct ml_index_reader r = ml_index_read(bytes, n, "postings");
    uint64_t text = 0;
    for (uint32_t i = 0; i < term->texts; i++) {
        uint64_t step = ml_index_varint(&r), times = ml_index_varint(&r);
        if (r.bad || step >= count || (i > 0 && step == 0) || times == 0)
            return false;
        text += step;
        if (text >= count)
            return false;
    }
    term->last = (uint32_t)text;
    return r.at == r.end;
}

static int get_term(struct ml_bm25 *index, struct ml_index_reader *r, struct ml_error *err)
{
    struct ml_bm25_term *term = NULL;
    uint64_t hash = ml_index_u64(r), texts = ml_index_varint(r), n = ml_index_varint(r);
    const uint8_t *bytes = ml_index_bytes(r, (size_t)n);
    if (!bytes || hash == 0 || texts == 0 || texts > index->count)
        return ml_index_refuse(r, err);
    int status = find_term(index, hash, &term, err);
    if (status)
        return status;
    if (term->texts)
        return ml_index_refuse(r, err);
    term->texts = (uint32_t)texts;
    if (!postings_fit(term, bytes, (size_t)n, index->count))
        return ml_index_refuse(r, err);
    return ml_buffer_put(&term->postings, bytes, (size_t)n, err);
}

int ml_bm25_get(struct ml_bm25 *index, const uint8_t *bytes, size_t n, const char *name,
                struct ml_error *err)
{
    struct ml_index_reader r = ml_index_read(bytes, n, name);
    struct ml_bm25 made = {0};
    ml_index_expect(&r, MAGIC);
    uint64_t count = ml_index_u64(&r);
    if (r.bad || count > (uint64_t)(r.end - r.at))
        return ml_index_refuse(&r, err);
    int status = reserve(&made, (size_t)count, err);
    for (uint64_t i = 0; status == 0 && i < count; i++) {
        uint64_t length = ml_index_varint(&r);
        if (r.bad || length > UINT32_MAX)
            status = ml_index_refuse(&r, err);
        else {
            made.lengths[made.count++] = (uint32_t)length;
            made.total += length;
        }
    }
    uint64_t terms = status ? 0 : ml_index_u64(&r);
    for (uint64_t i = 0; status == 0 && i < terms; i++)
        status = get_term(&made, &r, err);
    if (status == 0 && (r.bad || r.at != r.end))
        status = ml_index_refuse(&r, err);
    if (status)
        ml_bm25_clear(&made);
    else
        *index = made;
    return status;
}
