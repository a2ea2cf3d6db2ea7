/* The prints that were kept (data/sound_print.h). */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fail.h"
#include "data/sound_print.h"

/* Places of the same bits that are kept: what is so common says nothing, and would cost every
 * sound that has it a look at all others. */
enum { MAX_SAME = 64 };
enum { MAX_CANDIDATES = 256 }; /* that are compared frame by frame */
enum { BLOCK = 32 };           /* loud frames: as many as overlap */
enum { NUDGE = 2 }; /* frames by which the offset of a candidate is moved to fit better */
/* The most bits that may differ: of three seconds and more, and the share of that of one second and
 * less, linear between. The same word of the same speaker said again differs in 0.095 and more. */
#define ERRORS       0.25
#define ERRORS_SHORT 0.36
#define OVERLAP      0.8
#define BLOCK_ERRORS 0.35 /* the most bits that may differ in a block that is the same */

/* print 0 is a free place; entries with the same bits stand near each other. */
struct ml_print_entry {
    uint32_t bits;
    uint32_t print; /* number + 1 */
    uint32_t place;
};

struct ml_print_kept {
    int64_t id;
    uint32_t *bits;
    uint8_t *is_loud;
    size_t count, loud;
};

static int out_of_memory(const struct ml_print_index *index, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory for near duplicates among %zu sounds",
                   index->count);
}

static uint64_t place_of(const struct ml_print_index *index, uint32_t bits)
{
    return (bits * 0x9E3779B97F4A7C15u >> 20) & (index->size - 1);
}

/* Unless there are MAX_SAME of it. */
static void put_entry(struct ml_print_index *index, struct ml_print_entry entry)
{
    int same = 0;
    uint64_t at = place_of(index, entry.bits);
    for (; index->entries[at].print; at = (at + 1) & (index->size - 1))
        same += index->entries[at].bits == entry.bits;
    if (same >= MAX_SAME)
        return;
    index->entries[at] = entry;
    index->used++;
}

static int reserve_entries(struct ml_print_index *index, size_t more, struct ml_error *err)
{
    uint64_t size = index->size ? index->size : 8192;
    while (size < 2 * (index->used + more))
        size *= 2;
    if (size == index->size)
        return 0;
    struct ml_print_index grown = {.size = size, .count = index->count};
    grown.entries = ml_mem_calloc(size, sizeof *grown.entries);
    if (!grown.entries)
        return out_of_memory(index, err);
    for (uint64_t i = 0; i < index->size; i++)
        if (index->entries[i].print)
            put_entry(&grown, index->entries[i]);
    ml_mem_free(index->entries);
    index->entries = grown.entries;
    index->size = grown.size;
    index->used = grown.used;
    return 0;
}

static int reserve_kept(struct ml_print_index *index, struct ml_error *err)
{
    if (index->count < index->capacity)
        return 0;
    if (index->count >= UINT32_MAX / 4)
        return ml_fail(err, ML_ERR_LIMIT, "too many sounds to look for near duplicates: %zu",
                       index->count);
    size_t capacity = index->capacity ? 2 * index->capacity : 64;
    struct ml_print_kept *kept = ml_mem_realloc(index->kept, capacity * sizeof *kept);
    if (!kept)
        return out_of_memory(index, err);
    index->kept = kept;
    index->capacity = capacity;
    return 0;
}

int ml_print_index_add(struct ml_print_index *index, const struct ml_sound_print *print, int64_t id,
                       struct ml_error *err)
{
    struct ml_print_kept kept = {.id = id, .count = print->count, .loud = print->loud};
    int status = print->loud ? reserve_kept(index, err) : 0;
    if (status == 0 && print->loud)
        status = reserve_entries(index, print->loud, err);
    if (status || !print->loud)
        return status;
    kept.bits = ml_mem_alloc(print->count * (sizeof *kept.bits + sizeof *kept.is_loud));
    if (!kept.bits)
        return out_of_memory(index, err);
    kept.is_loud = (uint8_t *)(kept.bits + print->count);
    for (size_t f = 0; f < print->count; f++) {
        const struct ml_print_frame *frame = &print->frames[f];
        kept.bits[f] = frame->bits;
        kept.is_loud[f] = frame->loud;
        if (frame->loud) /* a hum is the same again and again */
            if (f == 0 || frame->bits != frame[-1].bits || !frame[-1].loud)
                put_entry(index, (struct ml_print_entry){frame->bits, (uint32_t)index->count + 1,
                                                         (uint32_t)f});
    }
    index->kept[index->count++] = kept;
    return 0;
}

/* ---- looking up ---- */

/* That frame f of what is looked up may be frame f + offset of print `number`. */
struct candidate {
    uint32_t number;
    int32_t offset;
    uint32_t votes;
};

struct candidates {
    struct candidate *items;
    size_t count, capacity;
};

static int add_candidate(const struct ml_print_index *index, struct candidates *list,
                         struct candidate one, struct ml_error *err)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 256;
        struct candidate *items = ml_mem_realloc(list->items, capacity * sizeof *items);
        if (!items)
            return out_of_memory(index, err);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = one;
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int by_votes(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->votes != y->votes)
        return x->votes > y->votes ? -1 : 1;
    return by_place(a, b);
}

/* Equal ones become one with their votes; those with the most come first. */
static void sum_votes(struct candidates *list)
{
    size_t n = 0;
    if (list->count == 0)
        return;
    qsort(list->items, list->count, sizeof *list->items, by_place);
    for (size_t i = 1; i < list->count; i++) {
        if (by_place(&list->items[n], &list->items[i]))
            list->items[++n] = list->items[i];
        else
            list->items[n].votes += list->items[i].votes;
    }
    list->count = n + 1;
    qsort(list->items, list->count, sizeof *list->items, by_votes);
}

static int find_candidates(const struct ml_print_index *index, const struct ml_sound_print *print,
                           struct candidates *list, struct ml_error *err)
{
    int status = 0;
    for (size_t f = 0; f < print->count; f++) {
        const struct ml_print_frame *frame = &print->frames[f];
        for (uint32_t flips = 0; frame->loud && flips < 1u << ML_PRINT_WEAK; flips++) {
            uint32_t bits = frame->bits;
            for (int k = 0; k < ML_PRINT_WEAK; k++)
                bits ^= (flips >> k & 1) << frame->weak[k];
            for (uint64_t at = place_of(index, bits); index->entries[at].print && status == 0;
                 at = (at + 1) & (index->size - 1)) {
                const struct ml_print_entry *e = &index->entries[at];
                if (e->bits == bits)
                    status = add_candidate(
                        index, list,
                        (struct candidate){e->print - 1, (int32_t)e->place - (int32_t)f, 1}, err);
            }
            if (status)
                return status;
        }
    }
    return 0;
}

static int count_bits(uint32_t x)
{
    x -= x >> 1 & 0x55555555u;
    x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);
    x = (x + (x >> 4)) & 0x0F0F0F0Fu;
    return (int)(x * 0x01010101u >> 24);
}

/* Frame by frame. Blocks that are not the same recording (half of the bits differ in what is not)
 * are no overlap, so that half a sound does not pass for all of it. */
static struct ml_print_match compare(const struct ml_print_kept *kept,
                                     const struct ml_sound_print *print, int64_t offset)
{
    size_t shorter = kept->loud < print->loud ? kept->loud : print->loud;
    size_t f = offset < 0 ? (size_t)-offset : 0, both = 0, same = 0;
    uint64_t errors = 0;
    while (f < print->count && (int64_t)f + offset < (int64_t)kept->count) {
        size_t frames = 0, wrong = 0;
        for (; frames < BLOCK && f < print->count; f++) {
            size_t g = (size_t)((int64_t)f + offset);
            if (g >= kept->count)
                break;
            if (!print->frames[f].loud || !kept->is_loud[g])
                continue;
            wrong += (size_t)count_bits(print->frames[f].bits ^ kept->bits[g]);
            frames++;
        }
        both += frames;
        errors += wrong;
        same += (double)wrong <= BLOCK_ERRORS * 32 * (double)frames ? frames : 0;
    }
    return (struct ml_print_match){.id = kept->id,
                                   .errors = both ? (double)errors / (32.0 * (double)both) : 1,
                                   .overlap = (double)same / (double)shorter,
                                   .seconds = (double)both * ML_PRINT_HOP / ML_PRINT_RATE,
                                   .offset = (double)offset * ML_PRINT_HOP / ML_PRINT_RATE};
}

static bool is_same(const struct ml_print_match *m, const struct ml_print_options *limits)
{
    double longer = (m->seconds - 1) / 2;
    longer = longer < 0 ? 0 : longer > 1 ? 1 : longer;
    return m->overlap >= limits->overlap &&
           m->errors <= limits->errors * (ERRORS_SHORT + (1 - ERRORS_SHORT) * longer);
}

int ml_print_index_find(const struct ml_print_index *index, const struct ml_sound_print *print,
                        const struct ml_print_options *options, struct ml_print_match *match,
                        bool *found, struct ml_error *err)
{
    struct ml_print_options limits = {
        .errors = options && options->errors > 0 ? options->errors : ERRORS,
        .overlap = options && options->overlap > 0 ? options->overlap : OVERLAP};
    struct ml_print_match best = {.errors = 2};
    struct candidates list = {0};
    size_t first = 0; /* number of the best */
    int status = 0;
    if (index->size && print->loud)
        status = find_candidates(index, print, &list, err);
    if (status == 0) {
        sum_votes(&list);
        for (size_t i = 0; i < list.count && i < MAX_CANDIDATES; i++)
            for (int nudge = -NUDGE; nudge <= NUDGE; nudge++) {
                const struct candidate *c = &list.items[i];
                struct ml_print_match m =
                    compare(&index->kept[c->number], print, (int64_t)c->offset + nudge);
                if (is_same(&m, &limits) &&
                    (m.errors < best.errors || (m.errors == best.errors && c->number < first))) {
                    best = m;
                    first = c->number;
                }
            }
        *found = best.errors <= 1;
        if (*found)
            *match = best;
    }
    ml_mem_free(list.items);
    return status;
}

void ml_print_index_clear(struct ml_print_index *index)
{
    if (!index)
        return;
    for (size_t i = 0; i < index->count; i++)
        ml_mem_free(index->kept[i].bits);
    ml_mem_free(index->kept);
    ml_mem_free(index->entries);
    *index = (struct ml_print_index){0};
}
