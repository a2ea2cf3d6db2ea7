#include "golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

/* The next n bytes of the file; ends the test past its end. */
static const char *take(const struct golden *golden, size_t *at, size_t size, size_t n)
{
    const char *bytes = golden->bytes + *at;
    assert_true(n <= size - *at);
    *at += n;
    return bytes;
}

static uint32_t take_u32(const struct golden *golden, size_t *at, size_t size)
{
    uint32_t value;
    memcpy(&value, take(golden, at, size, sizeof value), sizeof value);
    return value;
}

static void read_entry(const struct golden *golden, struct golden_entry *e, size_t *at, size_t size)
{
    uint32_t length = take_u32(golden, at, size);
    assert_true(length < sizeof e->name);
    memcpy(e->name, take(golden, at, size, length), length);
    e->ndim = (int)take_u32(golden, at, size);
    assert_true(e->ndim <= ML_MAX_DIMS);
    e->count = 1;
    for (int i = 0; i < e->ndim; i++) {
        memcpy(&e->dim[i], take(golden, at, size, sizeof e->dim[i]), sizeof e->dim[i]);
        e->count *= e->dim[i];
    }
    size_t bytes = (size_t)e->count * sizeof(float);
    float *data = ml_mem_alloc(bytes + 1); /* aligned, which the file is not */
    assert_non_null(data);
    memcpy(data, take(golden, at, size, bytes), bytes);
    e->data = data;
}

void golden_open(struct golden *golden, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", GOLDEN_DIR, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size_t size = (size_t)ftell(file);
    rewind(file);
    golden->bytes = ml_mem_alloc(size + 1);
    assert_non_null(golden->bytes);
    assert_int_equal(fread(golden->bytes, 1, size, file), size);
    fclose(file);
    size_t at = 0;
    assert_memory_equal(take(golden, &at, size, 8), "MLGOLD01", 8);
    golden->count = (int)take_u32(golden, &at, size);
    golden->entries = ml_mem_calloc((size_t)golden->count + 1, sizeof *golden->entries);
    assert_non_null(golden->entries);
    for (int i = 0; i < golden->count; i++)
        read_entry(golden, &golden->entries[i], &at, size);
}

void golden_close(struct golden *golden)
{
    for (int i = 0; i < golden->count; i++)
        ml_mem_free((void *)(uintptr_t)golden->entries[i].data);
    ml_mem_free(golden->entries);
    ml_mem_free(golden->bytes);
    memset(golden, 0, sizeof *golden);
}

const struct golden_entry *golden_find(const struct golden *golden, const char *prefix,
                                       const char *name)
{
    char full[128];
    snprintf(full, sizeof full, "%s%s%s", prefix ? prefix : "", prefix ? "." : "", name);
    for (int i = 0; i < golden->count; i++)
        if (strcmp(golden->entries[i].name, full) == 0)
            return &golden->entries[i];
    return NULL;
}

const struct golden_entry *golden_get(const struct golden *golden, const char *prefix,
                                      const char *name)
{
    const struct golden_entry *entry = golden_find(golden, prefix, name);
    if (!entry)
        fail_msg("no golden entry %s.%s", prefix ? prefix : "", name);
    return entry;
}

void golden_check(const struct golden_entry *entry, const float *ours, int64_t n, double tolerance)
{
    if (n != entry->count)
        fail_msg("%s: %lld numbers, golden has %lld", entry->name, (long long)n,
                 (long long)entry->count);
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)ours[i] - (double)entry->data[i]) <= tolerance))
            fail_msg("%s[%lld]: %.9g, golden %.9g", entry->name, (long long)i, (double)ours[i],
                     (double)entry->data[i]);
}
