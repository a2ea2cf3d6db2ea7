#include <string.h>

#include "base/fail.h"
#include "text/tokenizer_impl.h"

/* Words repeat, so their ids are kept: a table that is simply overwritten, one cache line an entry.
 * Longer words are merged anew. */
#define CACHE_BITS  15
#define CACHE_BYTES 23
#define CACHE_IDS   8

struct cache_entry {
    int32_t ids[CACHE_IDS];
    uint32_t hash;
    uint8_t id_count; /* 0: empty */
    uint8_t size;
    char bytes[CACHE_BYTES];
    uint8_t unused[3];
};

#define SHORT_WORD 64 /* up to here the lowest rank is found by looking at all */

struct ml_encoder {
    const struct ml_tokenizer *tokenizer;
    struct ml_word_cursor cursor;
    struct cache_entry *cache;
    /* For long words: a linked list of tokens and a heap of (rank, position). */
    uint32_t *next, *previous;
    int32_t *symbol, *rank;
    uint64_t *heap;
    size_t heap_size, long_capacity;
};

int ml_ids_reserve(struct ml_ids *list, size_t total, struct ml_error *err)
{
    if (total <= list->capacity)
        return 0;
    size_t capacity = list->capacity ? list->capacity : 64;
    while (capacity < total) {
        if (capacity > SIZE_MAX / 2 / sizeof *list->ids)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory for %zu token ids", total);
        capacity *= 2;
    }
    int32_t *ids = ml_mem_realloc(list->ids, capacity * sizeof *ids);
    if (!ids)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for %zu token ids", total);
    list->ids = ids;
    list->capacity = capacity;
    return 0;
}

int ml_ids_put(struct ml_ids *list, int32_t id, struct ml_error *err)
{
    if (list->count == list->capacity) {
        int code = ml_ids_reserve(list, list->count + 1, err);
        if (code < 0)
            return code;
    }
    list->ids[list->count++] = id;
    return 0;
}

void ml_ids_clear(struct ml_ids *list)
{
    ml_mem_free(list->ids);
    memset(list, 0, sizeof *list);
}

int ml_encoder_new(struct ml_encoder **out, const struct ml_tokenizer *tokenizer,
                   struct ml_error *err)
{
    struct ml_encoder *encoder = ml_mem_calloc(1, sizeof *encoder);
    if (!encoder)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory making an encoder");
    encoder->tokenizer = tokenizer;
    encoder->cache = ml_mem_calloc((size_t)1 << CACHE_BITS, sizeof *encoder->cache);
    int code = encoder->cache ? ml_word_cursor_init(&encoder->cursor, tokenizer->pattern, err)
                              : ml_fail(err, ML_ERR_MEMORY, "out of memory making an encoder");
    if (code < 0) {
        ml_encoder_free(encoder);
        return code;
    }
    *out = encoder;
    return 0;
}

void ml_encoder_free(struct ml_encoder *encoder)
{
    if (!encoder)
        return;
    if (encoder->cursor.pattern)
        ml_word_cursor_clear(&encoder->cursor);
    ml_mem_free(encoder->cache);
    ml_mem_free(encoder->next);
    ml_mem_free(encoder->previous);
    ml_mem_free(encoder->symbol);
    ml_mem_free(encoder->rank);
    ml_mem_free(encoder->heap);
    ml_mem_free(encoder);
}

const struct ml_tokenizer *ml_encoder_tokenizer(const struct ml_encoder *encoder)
{
    return encoder->tokenizer;
}

static int32_t pair_rank(const struct ml_tokenizer *t, int32_t left, int32_t right)
{
    const struct ml_merge_slot *slot = ml_merge_find(t, left, right);
    return slot ? slot->rank : ML_NO_RANK;
}

/* Merges n <= SHORT_WORD tokens in place; returns how many are left. rank[i] is that of the pair
 * (i, i+1). */
static size_t merge_short(const struct ml_tokenizer *t, int32_t *ids, size_t n)
{
    int32_t rank[SHORT_WORD];
    for (size_t i = 0; i + 1 < n; i++)
        rank[i] = pair_rank(t, ids[i], ids[i + 1]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (rank[i] < rank[best])
                best = i;
        if (rank[best] == ML_NO_RANK)
            break;
        ids[best] = t->merge_result[rank[best]];
        n--;
        for (size_t i = best + 1; i < n; i++) {
            ids[i] = ids[i + 1];
            rank[i - 1] = rank[i];
        }
        if (best + 1 < n)
            rank[best] = pair_rank(t, ids[best], ids[best + 1]);
        if (best > 0)
            rank[best - 1] = pair_rank(t, ids[best - 1], ids[best]);
    }
    return n;
}

static void heap_push(struct ml_encoder *e, uint64_t item)
{
    size_t at = e->heap_size++;
    while (at > 0 && item < e->heap[(at - 1) / 2]) {
        e->heap[at] = e->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    e->heap[at] = item;
}

static uint64_t heap_pop(struct ml_encoder *e)
{
    uint64_t top = e->heap[0], last = e->heap[--e->heap_size];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < e->heap_size) {
        if (child + 1 < e->heap_size && e->heap[child + 1] < e->heap[child])
            child++;
        if (last <= e->heap[child])
            break;
        e->heap[at] = e->heap[child];
        at = child;
    }
    e->heap[at] = last;
    return top;
}

static int reserve_long(struct ml_encoder *e, size_t n, struct ml_error *err)
{
    if (n <= e->long_capacity)
        return 0;
    size_t capacity = 1024;
    while (capacity < n)
        capacity *= 2;
    void **blocks[] = {(void **)&e->next, (void **)&e->previous, (void **)&e->symbol,
                       (void **)&e->rank, (void **)&e->heap};
    e->long_capacity = 0;
    for (size_t i = 0; i < 5; i++) {
        ml_mem_free(*blocks[i]);
        /* Each merge takes one entry out of the heap and puts in at most two. */
        *blocks[i] = ml_mem_alloc(capacity * (i == 4 ? 2 * sizeof(uint64_t) : sizeof(uint32_t)));
        if (!*blocks[i])
            return ml_fail(err, ML_ERR_MEMORY, "out of memory encoding a word of %zu bytes", n);
    }
    e->long_capacity = capacity;
    return 0;
}

/* Sets the rank of the pair that starts at `at` and enters it into the heap. */
static void long_pair(struct ml_encoder *e, uint32_t at, size_t n)
{
    uint32_t next = e->next[at];
    e->rank[at] = next < n ? pair_rank(e->tokenizer, e->symbol[at], e->symbol[next]) : ML_NO_RANK;
    if (e->rank[at] != ML_NO_RANK)
        heap_push(e, (uint64_t)(uint32_t)e->rank[at] << 32 | at);
}

/* The same as merge_short in n log n: the heap holds stale entries, which no longer agree with
 * rank[]. */
static int merge_long(struct ml_encoder *e, int32_t *ids, size_t *count, struct ml_error *err)
{
    size_t n = *count;
    int code = reserve_long(e, n, err);
    if (code < 0)
        return code;
    e->heap_size = 0;
    for (size_t i = 0; i < n; i++) {
        e->symbol[i] = ids[i];
        e->next[i] = (uint32_t)i + 1;
        e->previous[i] = (uint32_t)i - 1; /* wraps at 0 */
    }
    for (size_t i = 0; i < n; i++)
        long_pair(e, (uint32_t)i, n);
    while (e->heap_size > 0) {
        uint64_t top = heap_pop(e);
        uint32_t at = (uint32_t)top;
        int32_t rank = (int32_t)(top >> 32);
        if (e->rank[at] != rank)
            continue;
        uint32_t gone = e->next[at];
        e->symbol[at] = e->tokenizer->merge_result[rank];
        e->rank[gone] = ML_NO_RANK;
        e->next[at] = e->next[gone];
        if (e->next[at] < n)
            e->previous[e->next[at]] = at;
        long_pair(e, at, n);
        if (at > 0)
            long_pair(e, e->previous[at], n);
    }
    size_t kept = 0;
    for (size_t at = 0; at < n; at = e->next[at])
        ids[kept++] = e->symbol[at];
    *count = kept;
    return 0;
}

static int encode_word(struct ml_encoder *e, const char *word, size_t size, struct ml_ids *out,
                       struct ml_error *err)
{
    const struct ml_tokenizer *t = e->tokenizer;
    if (t->ignore_merges) {
        int32_t whole = ml_tokenizer_find(t, word, size);
        if (whole >= 0 && t->kind[whole] != ML_TOKEN_CONTROL)
            return ml_ids_put(out, whole, err);
    }
    int code = ml_ids_reserve(out, out->count + size, err);
    if (code < 0)
        return code;
    int32_t *ids = out->ids + out->count;
    for (size_t i = 0; i < size; i++) {
        ids[i] = t->byte_id[(uint8_t)word[i]];
        if (ids[i] < 0)
            return ml_fail(err, ML_ERR_UNSUPPORTED,
                           "byte 0x%02x is not in this tokenizer's vocabulary",
                           (unsigned)(uint8_t)word[i]);
    }
    if (size <= SHORT_WORD)
        size = merge_short(t, ids, size);
    else if ((code = merge_long(e, ids, &size, err)) < 0)
        return code;
    out->count += size;
    return 0;
}

static int encode_cached(struct ml_encoder *e, const char *word, size_t size, struct ml_ids *out,
                         struct ml_error *err)
{
    if (size == 1 && e->tokenizer->byte_id[(uint8_t)word[0]] >= 0)
        return ml_ids_put(out, e->tokenizer->byte_id[(uint8_t)word[0]], err);
    if (size > CACHE_BYTES)
        return encode_word(e, word, size, out, err);
    uint32_t hash = (uint32_t)ml_bytes_hash(word, size);
    struct cache_entry *entry = &e->cache[hash & ((1u << CACHE_BITS) - 1)];
    if (entry->id_count && entry->hash == hash && entry->size == size &&
        memcmp(entry->bytes, word, size) == 0) {
        int code = ml_ids_reserve(out, out->count + CACHE_IDS, err);
        if (code < 0)
            return code;
        memcpy(out->ids + out->count, entry->ids, sizeof entry->ids);
        out->count += entry->id_count;
        return 0;
    }
    size_t before = out->count;
    int code = encode_word(e, word, size, out, err);
    size_t count = out->count - before;
    if (code < 0 || count > CACHE_IDS)
        return code;
    memcpy(entry->ids, out->ids + before, count * sizeof *entry->ids);
    memcpy(entry->bytes, word, size);
    entry->hash = hash;
    entry->id_count = (uint8_t)count;
    entry->size = (uint8_t)size;
    return 0;
}

static int encode_plain(struct ml_encoder *e, const char *text, size_t size, struct ml_ids *out,
                        struct ml_error *err)
{
    const char *word;
    size_t length;
    int code;
    ml_word_cursor_start(&e->cursor, text, size);
    while ((code = ml_word_cursor_next(&e->cursor, &word, &length, err)) == 1)
        if ((code = encode_cached(e, word, length, out, err)) < 0)
            break;
    return code;
}

int ml_encode(struct ml_encoder *e, const char *text, size_t size, int flags, struct ml_ids *out,
              struct ml_error *err)
{
    size_t before = out->count, at = 0;
    int code = 0;
    while (at < size) {
        size_t begin = size - at, length = 0;
        int32_t special = ml_special_next(e->tokenizer, text + at, size - at,
                                          flags & ML_ENCODE_SPECIAL, &begin, &length);
        if ((code = encode_plain(e, text + at, begin, out, err)) < 0)
            break;
        if (special >= 0 && (code = ml_ids_put(out, special, err)) < 0)
            break;
        at += begin + length;
    }
    if (code < 0)
        out->count = before;
    return code < 0 ? code : 0;
}

int ml_tokenizer_encode(const struct ml_tokenizer *tokenizer, const char *text, size_t size,
                        int flags, struct ml_ids *out, struct ml_error *err)
{
    struct ml_encoder *encoder = NULL;
    int code = ml_encoder_new(&encoder, tokenizer, err);
    if (code == 0)
        code = ml_encode(encoder, text, size, flags, out, err);
    ml_encoder_free(encoder);
    return code;
}
