#include <string.h>

#include "base/fail.h"
#include "train/batches.h"

/* Windows by the room that is left in them: head[room] is the newest, next[window] the one before;
 * a bit a room tells where there is any. */
struct shelf {
    int32_t *head, *next;
    uint64_t *some;
    int words;
};

static void put(struct shelf *shelf, int room, int32_t window)
{
    shelf->next[window] = shelf->head[room];
    shelf->head[room] = window;
    shelf->some[room / 64] |= (uint64_t)1 << (room % 64);
}

/* A window with the least room >= length, taken off the shelf; -1 when there is none. */
static int32_t take(struct shelf *shelf, int length, int *room)
{
    int word = length / 64;
    uint64_t bits = shelf->some[word] & (~(uint64_t)0 << (length % 64));
    while (!bits && ++word < shelf->words)
        bits = shelf->some[word];
    if (!bits)
        return -1;
    *room = word * 64 + __builtin_ctzll(bits);
    int32_t window = shelf->head[*room];
    shelf->head[*room] = shelf->next[window];
    if (shelf->head[*room] < 0)
        shelf->some[word] &= ~((uint64_t)1 << (*room % 64));
    return window;
}

/* Indices of the pieces, longest first; equal lengths stay in order. */
static void sort_by_length(const struct ml_piece *pieces, int64_t count, int context,
                           int64_t *bucket, int32_t *order)
{
    memset(bucket, 0, (size_t)(context + 2) * sizeof *bucket);
    for (int64_t i = 0; i < count; i++)
        bucket[context - pieces[i].length + 1]++;
    for (int length = 1; length <= context + 1; length++)
        bucket[length] += bucket[length - 1];
    for (int64_t i = 0; i < count; i++)
        order[bucket[context - pieces[i].length]++] = (int32_t)i;
}

int64_t ml_pack_pieces(struct ml_piece *pieces, int64_t count, int context, int32_t *window_first,
                       struct ml_error *err)
{
    struct ml_arena arena;
    ml_arena_init(&arena, 0);
    struct shelf shelf = {.words = context / 64 + 1};
    shelf.head = ml_arena_alloc(&arena, (size_t)(context + 1) * sizeof(int32_t));
    shelf.next = ml_arena_alloc(&arena, (size_t)(count + 1) * sizeof(int32_t));
    shelf.some = ml_arena_calloc(&arena, (size_t)shelf.words, sizeof(uint64_t));
    int32_t *order = ml_arena_alloc(&arena, (size_t)(count + 1) * sizeof(int32_t));
    int32_t *last = ml_arena_alloc(&arena, (size_t)(count + 1) * sizeof(int32_t));
    int64_t *bucket = ml_arena_alloc(&arena, (size_t)(context + 2) * sizeof(int64_t));
    if (!shelf.head || !shelf.next || !shelf.some || !order || !last || !bucket) {
        ml_arena_clear(&arena);
        return ml_fail(err, ML_ERR_MEMORY, "no memory to pack %lld documents", (long long)count);
    }
    memset(shelf.head, 0xff, (size_t)(context + 1) * sizeof(int32_t)); /* -1 */
    sort_by_length(pieces, count, context, bucket, order);
    int64_t windows = 0;
    for (int64_t i = 0; i < count; i++) {
        struct ml_piece *piece = &pieces[order[i]];
        int room = context;
        int32_t window = take(&shelf, piece->length, &room);
        if (window < 0) {
            window = (int32_t)windows++;
            window_first[window] = order[i];
        } else {
            pieces[last[window]].next = order[i];
        }
        last[window] = order[i];
        piece->next = -1;
        if (room > piece->length)
            put(&shelf, room - piece->length, window);
    }
    ml_arena_clear(&arena);
    return windows;
}
