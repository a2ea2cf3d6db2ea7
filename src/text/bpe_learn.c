/* Learning merges. All distinct words lie one after another in an array of symbols, a boundary
 * between them. A token that covers the bytes [i, i+length) has its id at its first and its last
 * byte, so both neighbours of a token are found without links, and tokens only ever grow. Each pair
 * knows the positions where it stood when it came to be. Since every place where a pair stands is
 * merged at once, a pair can only come to be in the merge that makes the younger of its tokens;
 * afterwards its count only falls. So positions are written once, pairs below the least frequency
 * are never entered, and a heap whose entries are checked when they come to the top is enough. */
#include <string.h>

#include "base/fail.h"
#include "text/bpe_train.h"
#include "text/tokenizer_impl.h"

#define BOUNDARY (-1)
#define INSIDE   (-2) /* neither the first nor the last byte of a token */

struct pair {
    int32_t left, right;
    int64_t count;
    const uint32_t *positions; /* ascending; some may be out of date */
    uint32_t position_count;
};

struct heap_entry {
    int64_t count; /* at least that of the pair */
    uint64_t key;  /* left, right */
    uint32_t pair;
};

/* What the neighbours on one side of a merge's places are. */
struct side {
    int64_t *count;    /* [vocab] by neighbour: how often, weighted */
    uint32_t *places;  /* [vocab] by neighbour: at how many positions, then where to write */
    uint32_t *touched; /* neighbours with places */
    uint32_t touched_count;
    uint32_t *events; /* neighbour, position */
    size_t event_count, event_capacity;
};

struct learner {
    const struct ml_bpe_options *options;
    int32_t *symbol;  /* [positions] */
    uint32_t *weight; /* [positions] how often the word occurs */
    uint32_t position_count;
    uint32_t *length; /* [256 + merges] bytes of a token */
    struct pair *pairs;
    uint32_t pair_count, pair_capacity;
    uint32_t *table; /* pair index + 1 by key, 0: empty */
    uint32_t table_size;
    struct heap_entry *heap;
    size_t heap_size, heap_capacity;
    struct side left, right;
    struct ml_arena lists;
};

static int no_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory learning merges; train on less text");
}

/* Ties: the lowest left id, then the lowest right id. */
static bool above(const struct heap_entry *a, const struct heap_entry *b)
{
    return a->count != b->count ? a->count > b->count : a->key < b->key;
}

static void sift_down(struct learner *l, struct heap_entry entry)
{
    size_t at = 0, child;
    while ((child = 2 * at + 1) < l->heap_size) {
        if (child + 1 < l->heap_size && above(&l->heap[child + 1], &l->heap[child]))
            child++;
        if (!above(&l->heap[child], &entry))
            break;
        l->heap[at] = l->heap[child];
        at = child;
    }
    l->heap[at] = entry;
}

static int heap_push(struct learner *l, struct heap_entry entry, struct ml_error *err)
{
    if (l->heap_size == l->heap_capacity) {
        size_t capacity = l->heap_capacity ? 2 * l->heap_capacity : 4096;
        struct heap_entry *heap = ml_mem_realloc(l->heap, capacity * sizeof *heap);
        if (!heap)
            return no_memory(err);
        l->heap = heap;
        l->heap_capacity = capacity;
    }
    size_t at = l->heap_size++;
    while (at > 0 && above(&entry, &l->heap[(at - 1) / 2])) {
        l->heap[at] = l->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    l->heap[at] = entry;
    return 0;
}

static uint32_t table_slot(const struct learner *l, int32_t left, int32_t right)
{
    uint32_t at = ml_pair_hash(left, right) & (l->table_size - 1);
    for (; l->table[at]; at = (at + 1) & (l->table_size - 1)) {
        const struct pair *pair = &l->pairs[l->table[at] - 1];
        if (pair->left == left && pair->right == right)
            break;
    }
    return at;
}

static int grow_pairs(struct learner *l, struct ml_error *err)
{
    uint32_t capacity = l->pair_capacity ? 2 * l->pair_capacity : 1u << 16;
    if (capacity > 1u << 30)
        return ml_fail(err, ML_ERR_LIMIT, "more than %u distinct pairs; train on less text",
                       1u << 30);
    struct pair *pairs = ml_mem_realloc(l->pairs, capacity * sizeof *pairs);
    if (!pairs)
        return no_memory(err);
    l->pairs = pairs;
    uint32_t *table = ml_mem_calloc(2 * (size_t)capacity, sizeof *table);
    if (!table)
        return no_memory(err);
    ml_mem_free(l->table);
    l->table = table;
    l->table_size = 2 * capacity;
    l->pair_capacity = capacity;
    for (uint32_t i = 0; i < l->pair_count; i++)
        table[table_slot(l, pairs[i].left, pairs[i].right)] = i + 1;
    return 0;
}

static bool worth_it(const struct learner *l, int32_t left, int32_t right, int64_t count)
{
    return count >= l->options->min_frequency &&
           l->length[left] + l->length[right] <= l->options->max_token_bytes;
}

static int add_pair(struct learner *l, struct pair pair, struct ml_error *err)
{
    int code = 0;
    if (l->pair_count == l->pair_capacity && (code = grow_pairs(l, err)) < 0)
        return code;
    uint32_t index = l->pair_count;
    struct heap_entry entry = {pair.count,
                               (uint64_t)(uint32_t)pair.left << 32 | (uint32_t)pair.right, index};
    if ((code = heap_push(l, entry, err)) < 0)
        return code;
    l->table[table_slot(l, pair.left, pair.right)] = index + 1;
    l->pairs[l->pair_count++] = pair;
    return 0;
}

/* Lays the words out. Words of one byte have no pairs. */
static int lay_out(struct learner *l, const struct ml_bpe_words *words, struct ml_error *err)
{
    uint64_t total = 1;
    for (size_t i = 0; i < words->count; i++)
        if (words->words[i].size > 1)
            total += words->words[i].size + 1;
    if (total > UINT32_MAX - 1)
        return ml_fail(err, ML_ERR_LIMIT,
                       "the distinct words have %llu bytes; the limit is 4 GiB: train on a sample",
                       (unsigned long long)total);
    l->symbol = ml_mem_alloc(total * sizeof *l->symbol);
    l->weight = ml_mem_alloc(total * sizeof *l->weight);
    if (!l->symbol || !l->weight)
        return no_memory(err);
    uint32_t at = 0;
    l->weight[at] = 0;
    l->symbol[at++] = BOUNDARY;
    for (size_t i = 0; i < words->count; i++) {
        const struct ml_bpe_word *word = &words->words[i];
        if (word->size < 2)
            continue;
        const char *bytes = words->pool.data + word->offset;
        for (uint32_t k = 0; k < word->size; k++, at++) {
            l->symbol[at] = l->options->byte_id[(uint8_t)bytes[k]];
            l->weight[at] = word->count;
        }
        l->weight[at] = 0;
        l->symbol[at++] = BOUNDARY;
    }
    l->position_count = at;
    return 0;
}

/* The pairs of bytes: counted in a table of 256 x 256, positions grouped by a counting sort. */
static int first_pairs(struct learner *l, struct ml_error *err)
{
    int64_t *count = ml_mem_calloc(65536, sizeof *count);
    uint32_t *places = ml_mem_calloc(65536, sizeof *places);
    int code = count && places ? 0 : no_memory(err);
    if (code < 0)
        goto done;
    for (uint32_t i = 1; i + 1 < l->position_count; i++)
        if (l->symbol[i] >= 0 && l->symbol[i + 1] >= 0) {
            count[l->symbol[i] * 256 + l->symbol[i + 1]] += l->weight[i];
            places[l->symbol[i] * 256 + l->symbol[i + 1]]++;
        }
    size_t total = 0;
    for (int32_t key = 0; key < 65536; key++)
        if (worth_it(l, key / 256, key % 256, count[key]))
            total += places[key];
    uint32_t *lists = ml_arena_alloc(&l->lists, (total + 1) * sizeof *lists);
    if (!lists) {
        code = no_memory(err);
        goto done;
    }
    uint32_t start = 0;
    for (int32_t key = 0; key < 65536; key++) {
        uint32_t n = places[key];
        places[key] = UINT32_MAX;
        if (!worth_it(l, key / 256, key % 256, count[key]))
            continue;
        struct pair pair = {key / 256, key % 256, count[key], lists + start, n};
        if ((code = add_pair(l, pair, err)) < 0)
            goto done;
        places[key] = start;
        start += n;
    }
    for (uint32_t i = 1; i + 1 < l->position_count; i++)
        if (l->symbol[i] >= 0 && l->symbol[i + 1] >= 0) {
            uint32_t *place = &places[l->symbol[i] * 256 + l->symbol[i + 1]];
            if (*place != UINT32_MAX)
                lists[(*place)++] = i;
        }
done:
    ml_mem_free(count);
    ml_mem_free(places);
    return code;
}

static int note(struct side *side, int32_t neighbour, uint32_t position, uint32_t weight,
                struct ml_error *err)
{
    if (side->event_count + 2 > side->event_capacity) {
        size_t capacity = side->event_capacity ? 2 * side->event_capacity : 4096;
        uint32_t *events = ml_mem_realloc(side->events, capacity * sizeof *events);
        if (!events)
            return no_memory(err);
        side->events = events;
        side->event_capacity = capacity;
    }
    if (side->places[neighbour]++ == 0)
        side->touched[side->touched_count++] = (uint32_t)neighbour;
    side->count[neighbour] += weight;
    side->events[side->event_count++] = (uint32_t)neighbour;
    side->events[side->event_count++] = position;
    return 0;
}

/* Writes `made` over every place where the pair still stands, left to right, and notes what stands
 * beside it. */
static int replace(struct learner *l, const struct pair *pair, int32_t made, struct ml_error *err)
{
    uint32_t left_length = l->length[pair->left], right_length = l->length[pair->right];
    int code = 0;
    for (uint32_t i = 0; i < pair->position_count; i++) {
        uint32_t at = pair->positions[i], middle = at + left_length, end = middle + right_length;
        if (l->symbol[at] != pair->left || l->symbol[middle] != pair->right)
            continue;
        int32_t before = l->symbol[at - 1], after = l->symbol[end];
        if (before >= 0 &&
            (code = note(&l->left, before, at - l->length[before], l->weight[at], err)) < 0)
            return code;
        if (after >= 0 && (code = note(&l->right, after, at, l->weight[at], err)) < 0)
            return code;
        l->symbol[middle - 1] = INSIDE;
        l->symbol[middle] = INSIDE;
        l->symbol[at] = made;
        l->symbol[end - 1] = made;
    }
    return 0;
}

/* Enters the pairs of the new token with its neighbours on one side. */
static int enter(struct learner *l, struct side *side, bool is_left, int32_t made,
                 struct ml_error *err)
{
    size_t total = 0;
    for (uint32_t i = 0; i < side->touched_count; i++) {
        int32_t other = (int32_t)side->touched[i];
        if (worth_it(l, other, made, side->count[other]))
            total += side->places[other];
    }
    if (total == 0)
        return 0;
    uint32_t *lists = ml_arena_alloc(&l->lists, total * sizeof *lists);
    if (!lists)
        return no_memory(err);
    uint32_t start = 0;
    for (uint32_t i = 0; i < side->touched_count; i++) {
        int32_t other = (int32_t)side->touched[i];
        uint32_t n = side->places[other];
        side->places[other] = UINT32_MAX;
        if (!worth_it(l, other, made, side->count[other]))
            continue;
        struct pair pair = {is_left ? other : made, is_left ? made : other, side->count[other],
                            lists + start, n};
        int code = add_pair(l, pair, err);
        if (code < 0)
            return code;
        side->places[other] = start;
        start += n;
    }
    for (size_t i = 0; i < side->event_count; i += 2) {
        uint32_t *place = &side->places[side->events[i]];
        if (*place != UINT32_MAX)
            lists[(*place)++] = side->events[i + 1];
    }
    return 0;
}

static void take_away(struct learner *l, int32_t left, int32_t right, int64_t count)
{
    uint32_t slot = table_slot(l, left, right);
    if (l->table[slot])
        l->pairs[l->table[slot] - 1].count -= count;
}

/* What stood beside the pair no longer stands beside its halves. */
static void settle(struct learner *l, struct side *side, bool is_left, int32_t half)
{
    for (uint32_t i = 0; i < side->touched_count; i++) {
        int32_t other = (int32_t)side->touched[i];
        take_away(l, is_left ? other : half, is_left ? half : other, side->count[other]);
        side->count[other] = 0;
        side->places[other] = 0;
    }
    side->touched_count = 0;
    side->event_count = 0;
}

static int merge_pair(struct learner *l, uint32_t index, int32_t made, struct ml_error *err)
{
    struct pair pair = l->pairs[index]; /* a copy: the array may move */
    l->length[made] = l->length[pair.left] + l->length[pair.right];
    l->pairs[index].position_count = 0;
    int code = replace(l, &pair, made, err);
    if (code == 0)
        code = enter(l, &l->left, true, made, err);
    if (code == 0)
        code = enter(l, &l->right, false, made, err);
    if (code < 0)
        return code;
    settle(l, &l->left, true, pair.left);
    settle(l, &l->right, false, pair.right);
    l->pairs[index].count = 0;
    return 0;
}

/* The most frequent pair, or UINT32_MAX. */
static uint32_t best_pair(struct learner *l)
{
    while (l->heap_size > 0) {
        struct heap_entry top = l->heap[0];
        int64_t count = l->pairs[top.pair].count;
        if (count == top.count || count < l->options->min_frequency) {
            struct heap_entry last = l->heap[--l->heap_size];
            if (l->heap_size > 0)
                sift_down(l, last);
            if (count == top.count)
                return top.pair;
        } else {
            top.count = count;
            sift_down(l, top);
        }
    }
    return UINT32_MAX;
}

static int side_init(struct side *side, size_t vocab, struct ml_error *err)
{
    side->count = ml_mem_calloc(vocab, sizeof *side->count);
    side->places = ml_mem_calloc(vocab, sizeof *side->places);
    side->touched = ml_mem_alloc(vocab * sizeof *side->touched);
    return side->count && side->places && side->touched ? 0 : no_memory(err);
}

static void side_clear(struct side *side)
{
    ml_mem_free(side->count);
    ml_mem_free(side->places);
    ml_mem_free(side->touched);
    ml_mem_free(side->events);
}

static int learner_init(struct learner *l, const struct ml_bpe_words *words, struct ml_error *err)
{
    size_t vocab = 256 + (size_t)l->options->merges;
    ml_arena_init(&l->lists, 1 << 20);
    l->length = ml_mem_alloc(vocab * sizeof *l->length);
    if (!l->length)
        return no_memory(err);
    for (int i = 0; i < 256; i++)
        l->length[i] = 1;
    int code = side_init(&l->left, vocab, err);
    if (code == 0)
        code = side_init(&l->right, vocab, err);
    if (code == 0)
        code = lay_out(l, words, err);
    if (code == 0)
        code = first_pairs(l, err);
    return code;
}

int ml_bpe_learn(const struct ml_bpe_words *words, const struct ml_bpe_options *options,
                 struct ml_merge_spec *merges, int32_t *merge_count, struct ml_error *err)
{
    struct learner l = {.options = options};
    int32_t done = 0;
    int code = options->merges > 0 ? learner_init(&l, words, err) : 0;
    while (code == 0 && done < options->merges) {
        if (options->progress && done % 64 == 0 &&
            options->progress(options->arg, "learning merges", done, options->merges)) {
            code = ml_fail(err, ML_ERR_CANCELLED, "learning merges was stopped");
            break;
        }
        uint32_t best = best_pair(&l);
        if (best == UINT32_MAX)
            break;
        merges[done] = (struct ml_merge_spec){l.pairs[best].left, l.pairs[best].right};
        code = merge_pair(&l, best, 256 + done++, err);
    }
    if (code == 0)
        *merge_count = done;
    side_clear(&l.left);
    side_clear(&l.right);
    ml_arena_clear(&l.lists);
    ml_mem_free(l.symbol);
    ml_mem_free(l.weight);
    ml_mem_free(l.length);
    ml_mem_free(l.pairs);
    ml_mem_free(l.table);
    ml_mem_free(l.heap);
    return code;
}
