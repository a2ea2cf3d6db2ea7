#include "data/text_set.h"

#include "base/arena.h"
#include "base/fail.h"

static uint64_t *slot_of(uint64_t *slots, uint64_t size, uint64_t key)
{
    uint64_t at = key & (size - 1);
    while (slots[at] && slots[at] != key)
        at = (at + 1) & (size - 1);
    return &slots[at];
}

static int grow(struct ml_text_set *set, struct ml_error *err)
{
    uint64_t size = set->size ? 2 * set->size : 1024;
    uint64_t *slots = ml_mem_calloc(size, sizeof *slots);
    if (!slots)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory looking for repeated texts");
    for (uint64_t i = 0; i < set->size; i++)
        if (set->slots[i])
            *slot_of(slots, size, set->slots[i]) = set->slots[i];
    ml_mem_free(set->slots);
    set->slots = slots;
    set->size = size;
    return 0;
}

int ml_text_set_add(struct ml_text_set *set, uint64_t key, bool *before, struct ml_error *err)
{
    int status = 2 * (set->count + 1) > set->size ? grow(set, err) : 0;
    if (status)
        return status;
    key = key ? key : 1;
    uint64_t *slot = slot_of(set->slots, set->size, key);
    *before = *slot != 0;
    set->count += *slot == 0;
    *slot = key;
    return 0;
}

bool ml_text_set_has(const struct ml_text_set *set, uint64_t key)
{
    return set->size && *slot_of(set->slots, set->size, key ? key : 1) != 0;
}

void ml_text_set_clear(struct ml_text_set *set)
{
    if (!set)
        return;
    ml_mem_free(set->slots);
    *set = (struct ml_text_set){0};
}
