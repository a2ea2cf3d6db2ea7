#include "data/minhash.h"

#include <string.h>

#include "base/fail.h"
#include "base/rng.h"

/* Candidates of one band that are looked at: a run that thousands of texts share would otherwise
 * cost each of them a look at all others. */
enum { MAX_CANDIDATES = 64 };

#define SEED 0x4D4C4D48 /* of the hash functions: part of what a signature means */

void ml_minhash_init(struct ml_minhash *m)
{
    struct ml_rng rng;
    *m = (struct ml_minhash){0};
    ml_kernels_init(&m->kernels, ML_ISA_COUNT - 1);
    ml_rng_init(&rng, SEED, 0);
    for (int i = 0; i < ML_MINHASH_FUNCTIONS; i++) {
        m->times[i] = ml_rng_u32(&rng) | 1;
        m->plus[i] = ml_rng_u32(&rng);
    }
}

void ml_minhash_clear(struct ml_minhash *m)
{
    if (!m)
        return;
    ml_mem_free(m->runs);
    m->runs = NULL;
    m->capacity = 0;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

/* Numbers of all runs of five words that have a letter or digit. */
static int find_runs(struct ml_minhash *m, const struct ml_word_scan *scan, size_t *count,
                     struct ml_error *err)
{
    uint64_t last[ML_MINHASH_RUN] = {0};
    size_t words = 0, runs = 0;
    if (m->capacity < scan->word_count + 1) {
        uint32_t *grown = ml_mem_realloc(m->runs, (2 * scan->word_count + 1) * sizeof *grown);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory looking for near duplicates");
        m->runs = grown;
        m->capacity = 2 * scan->word_count + 1;
    }
    for (size_t i = 0; i < scan->word_count; i++) {
        if (!(scan->words[i].flags & ML_WORD_SOLID))
            continue;
        last[words++ % ML_MINHASH_RUN] = scan->words[i].hash;
        if (words < ML_MINHASH_RUN)
            continue;
        uint64_t hash = 0;
        for (size_t k = 0; k < ML_MINHASH_RUN; k++)
            hash = mix(hash, last[(words + k) % ML_MINHASH_RUN]);
        m->runs[runs++] = (uint32_t)(hash >> 32);
    }
    if (words > 0 && runs == 0) {
        uint64_t hash = words;
        for (size_t k = 0; k < words; k++)
            hash = mix(hash, last[k]);
        m->runs[runs++] = (uint32_t)(hash >> 32);
    }
    *count = runs;
    return 0;
}

int ml_minhash_sign(struct ml_minhash *m, const struct ml_word_scan *scan, struct ml_signature *out,
                    bool *any, struct ml_error *err)
{
    uint32_t least[ML_MINHASH_FUNCTIONS];
    size_t runs = 0;
    int status = find_runs(m, scan, &runs, err);
    if (status)
        return status;
    *any = runs > 0;
    memset(least, 0xFF, sizeof least);
    m->kernels.minhash((int64_t)runs, ML_MINHASH_FUNCTIONS, least, m->runs, m->times, m->plus);
    for (int band = 0; band < ML_MINHASH_BANDS; band++) {
        uint64_t key = (uint64_t)band + 1;
        for (int row = 0; row < ML_MINHASH_ROWS; row++)
            key = mix(key, least[band * ML_MINHASH_ROWS + row]);
        out->bands[band] = key ? key : 1;
    }
    for (int i = 0; i < ML_MINHASH_FUNCTIONS; i++) /* the low half: the high one is often zero */
        out->least[i] = (uint16_t)(least[i] ^ least[i] >> 16);
    return 0;
}

static double agreement(const uint16_t *a, const uint16_t *b)
{
    int same = 0;
    for (int i = 0; i < ML_MINHASH_FUNCTIONS; i++)
        same += a[i] == b[i];
    return (double)same / ML_MINHASH_FUNCTIONS;
}

double ml_signature_similarity(const struct ml_signature *a, const struct ml_signature *b)
{
    return agreement(a->least, b->least);
}

/* ---- the index ---- */

/* Entries of one band value stand in a row; band 0 is a free place. */
struct ml_near_entry {
    uint64_t band;
    uint32_t text;
};

void ml_near_index_each(const struct ml_near_index *index, const struct ml_signature *s,
                        double threshold, ml_near_fn *visit, void *arg)
{
    uint32_t last = UINT32_MAX; /* the same candidate in band after band */
    for (int band = 0; index->size && band < ML_MINHASH_BANDS; band++) {
        int looks = 0;
        for (uint64_t at = s->bands[band] & (index->size - 1);
             index->entries[at].band && looks < MAX_CANDIDATES; at = (at + 1) & (index->size - 1)) {
            uint32_t text = index->entries[at].text;
            if (index->entries[at].band != s->bands[band] || text == last)
                continue;
            looks++;
            last = text;
            double alike = agreement(index->signatures[text], s->least);
            if (alike >= threshold && !visit(arg, index->ids[text], alike))
                return;
        }
    }
}

struct nearest {
    int64_t id;
    double similarity;
};

static bool keep_nearest(void *arg, int64_t id, double similarity)
{
    struct nearest *best = arg;
    if (best->id < 0 || similarity > best->similarity)
        *best = (struct nearest){id, similarity};
    return true;
}

int64_t ml_near_index_find(const struct ml_near_index *index, const struct ml_signature *s,
                           double threshold, double *similarity)
{
    struct nearest best = {.id = -1};
    ml_near_index_each(index, s, threshold, keep_nearest, &best);
    if (similarity)
        *similarity = best.similarity;
    return best.id;
}

static void put_entry(struct ml_near_entry *entries, uint64_t size, struct ml_near_entry entry)
{
    uint64_t at = entry.band & (size - 1);
    while (entries[at].band)
        at = (at + 1) & (size - 1);
    entries[at] = entry;
}

static int grow_entries(struct ml_near_index *index, struct ml_error *err)
{
    uint64_t size = index->size ? 2 * index->size : 8192;
    struct ml_near_entry *entries = ml_mem_calloc(size, sizeof *entries);
    if (!entries)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for near duplicates among %zu texts",
                       index->count);
    for (uint64_t i = 0; i < index->size; i++)
        if (index->entries[i].band)
            put_entry(entries, size, index->entries[i]);
    ml_mem_free(index->entries);
    index->entries = entries;
    index->size = size;
    return 0;
}

static int grow_texts(struct ml_near_index *index, struct ml_error *err)
{
    size_t capacity = index->capacity ? 2 * index->capacity : 1024;
    void *signatures = ml_mem_realloc(index->signatures, capacity * sizeof *index->signatures);
    if (signatures)
        index->signatures = signatures;
    int64_t *ids = ml_mem_realloc(index->ids, capacity * sizeof *ids);
    if (ids)
        index->ids = ids;
    if (!signatures || !ids)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for near duplicates among %zu texts",
                       index->count);
    index->capacity = capacity;
    return 0;
}

int ml_near_index_add(struct ml_near_index *index, const struct ml_signature *s, int64_t id,
                      struct ml_error *err)
{
    int status = index->count == index->capacity ? grow_texts(index, err) : 0;
    if (status == 0 && 2 * (index->used + ML_MINHASH_BANDS) > index->size)
        status = grow_entries(index, err);
    if (status)
        return status;
    memcpy(index->signatures[index->count], s->least, sizeof s->least);
    index->ids[index->count] = id;
    for (int band = 0; band < ML_MINHASH_BANDS; band++)
        put_entry(index->entries, index->size,
                  (struct ml_near_entry){s->bands[band], (uint32_t)index->count});
    index->used += ML_MINHASH_BANDS;
    index->count++;
    return 0;
}

void ml_near_index_clear(struct ml_near_index *index)
{
    if (!index)
        return;
    ml_mem_free(index->entries);
    ml_mem_free(index->signatures);
    ml_mem_free(index->ids);
    *index = (struct ml_near_index){0};
}
