/* Memory. Only arena.c calls malloc, so that a test can fail the n-th allocation and count leaks.
 * Arenas hold what lives and dies together (a model, a request, a step's scratch); they are passed,
 * never "current". */
#ifndef ML_BASE_ARENA_H
#define ML_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "maliang/error.h"

#define ML_ALIGN 64 /* bytes: a cache line and an AVX-512 register */

/* Heap blocks aligned to ML_ALIGN. NULL when memory is out. Contents are undefined (alloc), zero
 * (calloc). ml_mem_free accepts NULL. */
void *ml_mem_alloc(size_t bytes);
void *ml_mem_calloc(size_t count, size_t size); /* NULL also when count * size overflows */
void *ml_mem_realloc(void *block, size_t bytes);
void ml_mem_free(void *block);
char *ml_mem_strdup(const char *text);

/* For the many tiny blocks of a library's own allocator hook (JSON nodes): aligned to 16 only, with
 * 16 bytes of overhead instead of 64. Freed by ml_mem_free. */
void *ml_mem_alloc_packed(size_t bytes);

struct ml_mem_stats {
    uint64_t allocations; /* since the start or the last ml_mem_fail_at */
    uint64_t live_blocks;
    uint64_t live_bytes;
    uint64_t peak_bytes;
};
void ml_mem_get_stats(struct ml_mem_stats *out);

/* For tests: the n-th allocation from now on (1 = the next) returns NULL, once; 0 turns it off.
 * The counter `allocations` starts again from 0. */
void ml_mem_fail_at(uint64_t n);

struct ml_arena_block;

/* A growing region. Allocations are aligned to ML_ALIGN and freed together. */
struct ml_arena {
    struct ml_arena_block *head;
    size_t block_bytes; /* smallest block taken from the heap */
    size_t used_bytes;  /* sum of what was handed out */
};

/* block_bytes 0 means 64 KiB. Never fails: the first block is taken on first use. */
void ml_arena_init(struct ml_arena *arena, size_t block_bytes);
void *ml_arena_alloc(struct ml_arena *arena, size_t bytes);               /* undefined contents */
void *ml_arena_calloc(struct ml_arena *arena, size_t count, size_t size); /* zeros */
char *ml_arena_strdup(struct ml_arena *arena, const char *text);
char *ml_arena_strndup(struct ml_arena *arena, const char *text, size_t bytes);
char *ml_arena_printf(struct ml_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void ml_arena_reset(struct ml_arena *arena); /* empties, keeps the largest block */
void ml_arena_clear(struct ml_arena *arena); /* empties, gives all back */

/* A growing byte buffer on the heap. Zero-initialise; `data` is NUL-terminated past `size`. */
struct ml_buffer {
    char *data;
    size_t size, capacity;
};
int ml_buffer_put(struct ml_buffer *buffer, const void *bytes, size_t n, struct ml_error *err);
int ml_buffer_printf(struct ml_buffer *buffer, struct ml_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int ml_buffer_reserve(struct ml_buffer *buffer, size_t total, struct ml_error *err);
void ml_buffer_clear(struct ml_buffer *buffer);

#endif
