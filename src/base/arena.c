#include "base/arena.h"

#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fail.h"

#if defined(__SANITIZE_ADDRESS__)
#define ML_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ML_ASAN 1
#endif
#endif
#ifdef ML_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes)   ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

#define HUGE_PAGE ((size_t)2 << 20) /* x86-64 and arm64 with 4 KiB pages */

/* Stands right before every block that we hand out, so that blocks of any alignment can be measured
 * and freed alike. */
struct mem_header {
    void *raw;    /* what the C library gave */
    size_t bytes; /* what was asked for */
};
_Static_assert(sizeof(struct mem_header) == 16, "packed blocks keep malloc's alignment of 16");

/* The only mutable state of the process in base: counters, for tests and `maliang doctor`. Nothing
 * that computes reads them, but for fail_at, which only tests set. */
static _Atomic uint64_t mem_allocations, mem_fail_at, mem_live_blocks, mem_live_bytes,
    mem_peak_bytes;

static struct mem_header *header_of(void *block)
{
    return (struct mem_header *)block - 1;
}

/* Counts one allocation; false when a test wants this one to fail. */
static bool may_allocate(void)
{
    uint64_t nth = atomic_fetch_add_explicit(&mem_allocations, 1, memory_order_relaxed) + 1;
    return nth != atomic_load_explicit(&mem_fail_at, memory_order_relaxed);
}

static void *hand_out(void *raw, char *block, size_t bytes)
{
    *header_of(block) = (struct mem_header){.raw = raw, .bytes = bytes};
    atomic_fetch_add_explicit(&mem_live_blocks, 1, memory_order_relaxed);
    uint64_t live = atomic_fetch_add_explicit(&mem_live_bytes, bytes, memory_order_relaxed) + bytes;
    uint64_t peak = atomic_load_explicit(&mem_peak_bytes, memory_order_relaxed);
    while (live > peak &&
           !atomic_compare_exchange_weak_explicit(&mem_peak_bytes, &peak, live,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
    return block;
}

/* Weights and activations are walked end to end: fewer TLB misses with huge pages. A refusal of
 * the kernel changes nothing but speed, so it is not looked at. */
static void advise_huge(char *raw, size_t bytes)
{
    uintptr_t first = ((uintptr_t)raw + 4095) & ~(uintptr_t)4095;
    uintptr_t last = ((uintptr_t)raw + bytes) & ~(uintptr_t)4095;
    if (bytes >= HUGE_PAGE && last > first)
        (void)madvise((void *)first, last - first, MADV_HUGEPAGE);
}

void *ml_mem_alloc(size_t bytes)
{
    if (!may_allocate() || bytes > SIZE_MAX / 2)
        return NULL;
    void *raw = NULL;
    size_t total = bytes + ML_ALIGN;
    if (posix_memalign(&raw, bytes >= HUGE_PAGE ? HUGE_PAGE : ML_ALIGN, total) != 0)
        return NULL;
    advise_huge(raw, total);
    return hand_out(raw, (char *)raw + ML_ALIGN, bytes);
}

void *ml_mem_alloc_packed(size_t bytes)
{
    if (!may_allocate() || bytes > SIZE_MAX / 2)
        return NULL;
    char *raw = malloc(sizeof(struct mem_header) + bytes);
    return raw ? hand_out(raw, raw + sizeof(struct mem_header), bytes) : NULL;
}

/* Fresh pages of the kernel are zero already: calloc knows, so a large block costs no memory until
 * it is touched. */
static void *calloc_large(size_t bytes)
{
    if (!may_allocate())
        return NULL;
    size_t total = bytes + 2 * ML_ALIGN;
    char *raw = calloc(1, total);
    if (!raw)
        return NULL;
    advise_huge(raw, total);
    uintptr_t at = ((uintptr_t)raw + 2 * ML_ALIGN - 1) & ~(uintptr_t)(ML_ALIGN - 1);
    return hand_out(raw, raw + (at - (uintptr_t)raw), bytes);
}

void *ml_mem_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
        return NULL;
    if (bytes >= HUGE_PAGE)
        return calloc_large(bytes);
    void *block = ml_mem_alloc(bytes);
    if (block)
        memset(block, 0, bytes);
    return block;
}

void *ml_mem_realloc(void *block, size_t bytes)
{
    void *grown = ml_mem_alloc(bytes);
    if (!grown || !block)
        return grown;
    size_t old = header_of(block)->bytes;
    memcpy(grown, block, old < bytes ? old : bytes);
    ml_mem_free(block);
    return grown;
}

void ml_mem_free(void *block)
{
    if (!block)
        return;
    struct mem_header *header = header_of(block);
    atomic_fetch_sub_explicit(&mem_live_blocks, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&mem_live_bytes, header->bytes, memory_order_relaxed);
    free(header->raw);
}

char *ml_mem_strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = ml_mem_alloc(bytes);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

void ml_mem_get_stats(struct ml_mem_stats *out)
{
    out->allocations = atomic_load_explicit(&mem_allocations, memory_order_relaxed);
    out->live_blocks = atomic_load_explicit(&mem_live_blocks, memory_order_relaxed);
    out->live_bytes = atomic_load_explicit(&mem_live_bytes, memory_order_relaxed);
    out->peak_bytes = atomic_load_explicit(&mem_peak_bytes, memory_order_relaxed);
}

void ml_mem_fail_at(uint64_t n)
{
    atomic_store_explicit(&mem_allocations, 0, memory_order_relaxed);
    atomic_store_explicit(&mem_fail_at, n, memory_order_relaxed);
}

/* ---- arenas ---- */

struct ml_arena_block {
    struct ml_arena_block *next;
    size_t size, used; /* bytes of data, which begin ML_ALIGN bytes after the block */
};
_Static_assert(sizeof(struct ml_arena_block) <= ML_ALIGN, "data starts aligned");

#define ARENA_BLOCK  ((size_t)64 << 10)
#define ARENA_GROWTH 16 /* blocks grow with the arena to at most this times block_bytes */

static char *block_data(struct ml_arena_block *block)
{
    return (char *)block + ML_ALIGN;
}

void ml_arena_init(struct ml_arena *arena, size_t block_bytes)
{
    *arena = (struct ml_arena){.block_bytes = block_bytes ? block_bytes : ARENA_BLOCK};
}

static struct ml_arena_block *arena_block_new(size_t size)
{
    struct ml_arena_block *block = ml_mem_alloc(ML_ALIGN + size);
    if (!block)
        return NULL;
    *block = (struct ml_arena_block){.size = size};
    ASAN_POISON_MEMORY_REGION(block_data(block), size);
    return block;
}

/* The block with room for `bytes`: the head, or a new one. A large request gets a block of its own
 * behind the head, so that the rest of the head is still used. (An arena of block_bytes 1 gives
 * each request a block of its own: a test can make each of them fail.) */
static struct ml_arena_block *arena_block_for(struct ml_arena *arena, size_t bytes)
{
    struct ml_arena_block *head = arena->head;
    if (head && head->size - head->used >= bytes)
        return head;
    if (arena->block_bytes == 0)
        arena->block_bytes = ARENA_BLOCK;
    size_t size = arena->block_bytes;
    while (size < arena->used_bytes / 2 && size < arena->block_bytes * ARENA_GROWTH)
        size *= 2;
    bool own = bytes > size / 2;
    struct ml_arena_block *block = arena_block_new(own ? bytes : size);
    if (!block)
        return NULL;
    if (own && head) {
        block->next = head->next;
        head->next = block;
    } else {
        block->next = head;
        arena->head = block;
    }
    return block;
}

void *ml_arena_alloc(struct ml_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return NULL;
    size_t rounded = (bytes + ML_ALIGN - (bytes != 0)) & ~(size_t)(ML_ALIGN - 1);
    struct ml_arena_block *block = arena_block_for(arena, rounded);
    if (!block)
        return NULL;
    char *out = block_data(block) + block->used;
    block->used += rounded;
    arena->used_bytes += rounded;
    ASAN_UNPOISON_MEMORY_REGION(out, bytes);
    return out;
}

void *ml_arena_calloc(struct ml_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    void *out = ml_arena_alloc(arena, bytes);
    if (out)
        memset(out, 0, bytes);
    return out;
}

char *ml_arena_strndup(struct ml_arena *arena, const char *text, size_t bytes)
{
    char *copy = bytes < SIZE_MAX ? ml_arena_alloc(arena, bytes + 1) : NULL;
    if (!copy)
        return NULL;
    if (bytes)
        memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}

char *ml_arena_strdup(struct ml_arena *arena, const char *text)
{
    return ml_arena_strndup(arena, text, strlen(text));
}

char *ml_arena_printf(struct ml_arena *arena, const char *format, ...)
{
    va_list list, again;
    va_start(list, format);
    va_copy(again, list);
    int length = vsnprintf(NULL, 0, format, list);
    char *out = length < 0 ? NULL : ml_arena_alloc(arena, (size_t)length + 1);
    if (out)
        vsnprintf(out, (size_t)length + 1, format, again);
    va_end(again);
    va_end(list);
    return out;
}

void ml_arena_reset(struct ml_arena *arena)
{
    struct ml_arena_block *largest = arena->head;
    for (struct ml_arena_block *b = arena->head; b; b = b->next)
        largest = b->size > largest->size ? b : largest;
    for (struct ml_arena_block *b = arena->head, *next; b; b = next) {
        next = b->next;
        if (b != largest)
            ml_mem_free(b);
    }
    if (largest) {
        largest->next = NULL;
        largest->used = 0;
        ASAN_POISON_MEMORY_REGION(block_data(largest), largest->size);
    }
    arena->head = largest;
    arena->used_bytes = 0;
}

void ml_arena_clear(struct ml_arena *arena)
{
    if (!arena)
        return;
    for (struct ml_arena_block *b = arena->head, *next; b; b = next) {
        next = b->next;
        ml_mem_free(b);
    }
    arena->head = NULL;
    arena->used_bytes = 0;
}

/* ---- buffers ---- */

int ml_buffer_reserve(struct ml_buffer *buffer, size_t total, struct ml_error *err)
{
    if (buffer->data && total < buffer->capacity)
        return 0;
    if (total > SIZE_MAX / 4)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory: a buffer of %zu bytes was asked for",
                       total);
    size_t capacity = buffer->capacity + buffer->capacity / 2;
    capacity = capacity > total + 1 ? capacity : total + 1;
    capacity = capacity > 64 ? capacity : 64;
    char *data = ml_mem_realloc(buffer->data, capacity);
    if (!data)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory growing a buffer to %zu bytes", capacity);
    data[buffer->size] = '\0';
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int ml_buffer_put(struct ml_buffer *buffer, const void *bytes, size_t n, struct ml_error *err)
{
    if (n > SIZE_MAX / 4)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory: %zu bytes do not fit a buffer", n);
    int status = ml_buffer_reserve(buffer, buffer->size + n, err);
    if (status)
        return status;
    if (n)
        memcpy(buffer->data + buffer->size, bytes, n);
    buffer->size += n;
    buffer->data[buffer->size] = '\0';
    return 0;
}

int ml_buffer_printf(struct ml_buffer *buffer, struct ml_error *err, const char *format, ...)
{
    va_list list, again;
    va_start(list, format);
    va_copy(again, list);
    int length = vsnprintf(NULL, 0, format, list);
    int status = length < 0 ? ml_fail(err, ML_ERR_ARG, "a text could not be formatted")
                            : ml_buffer_reserve(buffer, buffer->size + (size_t)length, err);
    if (status == 0) {
        vsnprintf(buffer->data + buffer->size, (size_t)length + 1, format, again);
        buffer->size += (size_t)length;
    }
    va_end(again);
    va_end(list);
    return status;
}

void ml_buffer_clear(struct ml_buffer *buffer)
{
    if (!buffer)
        return;
    ml_mem_free(buffer->data);
    *buffer = (struct ml_buffer){0};
}
