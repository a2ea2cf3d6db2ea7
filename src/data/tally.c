#include "data/tally.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

/* FNV-1a. */
static uint64_t hash(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return h ^ (h >> 32);
}

/* The slot that holds the name, or the free one where it belongs. */
static size_t slot_of(const struct ml_tally *t, const char *name)
{
    size_t at = hash(name) & (t->slot_count - 1);
    while (t->slots[at] && strcmp(t->rows[t->slots[at] - 1].name, name) != 0)
        at = (at + 1) & (t->slot_count - 1);
    return at;
}

static int grow(struct ml_tally *t, struct ml_error *err)
{
    size_t capacity = t->capacity ? t->capacity * 2 : 16;
    if (capacity > UINT32_MAX / 4)
        return ml_fail(err, ML_ERR_LIMIT, "more than %zu different names to count", t->count);
    struct ml_tally_row *rows = ml_mem_realloc(t->rows, capacity * sizeof *rows);
    if (rows)
        t->rows = rows;
    uint32_t *slots = rows ? ml_mem_calloc(2 * capacity, sizeof *slots) : NULL;
    if (!slots)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory counting %zu names", capacity);
    ml_mem_free(t->slots);
    t->slots = slots;
    t->slot_count = 2 * capacity;
    t->capacity = capacity;
    for (size_t i = 0; i < t->count; i++)
        t->slots[slot_of(t, t->rows[i].name)] = (uint32_t)i + 1;
    return 0;
}

static int find_row(struct ml_tally *t, struct ml_arena *arena, const char *name,
                    struct ml_tally_row **out, struct ml_error *err)
{
    int status = t->count == t->capacity ? grow(t, err) : 0;
    if (status)
        return status;
    size_t slot = slot_of(t, name);
    if (!t->slots[slot]) {
        char *copy = ml_arena_strdup(arena, name);
        if (!copy)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory counting names");
        t->rows[t->count] = (struct ml_tally_row){.name = copy};
        t->slots[slot] = (uint32_t)++t->count;
    }
    *out = &t->rows[t->slots[slot] - 1];
    return 0;
}

int ml_tally_add(struct ml_tally *t, struct ml_arena *arena, const char *name, int64_t count,
                 int64_t bytes, struct ml_error *err)
{
    struct ml_tally_row *row;
    int status = find_row(t, arena, name, &row, err);
    if (status == 0) {
        row->count += count;
        row->bytes += bytes;
    }
    return status;
}

int ml_tally_number(struct ml_tally *t, struct ml_arena *arena, const char *name, int *number,
                    struct ml_error *err)
{
    struct ml_tally_row *row;
    int status = find_row(t, arena, name, &row, err);
    if (status == 0) {
        row->count++;
        *number = (int)(row - t->rows);
    }
    return status;
}

static int by_count(const void *a, const void *b)
{
    const struct ml_tally_row *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return strcmp(x->name, y->name);
}

void ml_tally_sort(struct ml_tally *t)
{
    if (t->count)
        qsort(t->rows, t->count, sizeof *t->rows, by_count);
}

int64_t ml_tally_of(const struct ml_tally *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->rows[i].name, name) == 0)
            return t->rows[i].count;
    return 0;
}

void ml_tally_clear(struct ml_tally *t)
{
    ml_mem_free(t->rows);
    ml_mem_free(t->slots);
    *t = (struct ml_tally){0};
}
