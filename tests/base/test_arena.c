#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

static uint64_t live_blocks(void)
{
    struct ml_mem_stats stats;
    ml_mem_get_stats(&stats);
    return stats.live_blocks;
}

static void blocks_are_aligned_and_counted(void **state)
{
    struct ml_mem_stats before, during, after;
    ml_mem_get_stats(&before);
    char *small = ml_mem_alloc(3), *empty = ml_mem_alloc(0), *big = ml_mem_alloc(5 << 20);
    assert_non_null(small);
    assert_non_null(empty);
    assert_non_null(big);
    assert_int_equal((uintptr_t)small % ML_ALIGN, 0);
    assert_int_equal((uintptr_t)empty % ML_ALIGN, 0);
    assert_int_equal((uintptr_t)big % ML_ALIGN, 0);
    memset(big, 1, 5 << 20);
    ml_mem_get_stats(&during);
    assert_int_equal(during.live_blocks, before.live_blocks + 3);
    assert_int_equal(during.live_bytes, before.live_bytes + 3 + (5 << 20));
    assert_true(during.peak_bytes >= during.live_bytes);
    assert_int_equal(during.allocations, before.allocations + 3);
    ml_mem_free(small);
    ml_mem_free(empty);
    ml_mem_free(big);
    ml_mem_free(NULL);
    ml_mem_get_stats(&after);
    assert_int_equal(after.live_blocks, before.live_blocks);
    assert_int_equal(after.live_bytes, before.live_bytes);
}

static void calloc_gives_zeros_at_any_size(void **state)
{
    for (size_t bytes = 1; bytes <= (size_t)8 << 20; bytes *= 8) {
        unsigned char *dirty = ml_mem_alloc(bytes);
        assert_non_null(dirty);
        memset(dirty, 0xee, bytes);
        ml_mem_free(dirty);
        unsigned char *zeros = ml_mem_calloc(bytes, 1);
        assert_non_null(zeros);
        assert_int_equal((uintptr_t)zeros % ML_ALIGN, 0);
        for (size_t i = 0; i < bytes; i++)
            if (zeros[i])
                fail_msg("byte %zu of %zu is not zero", i, bytes);
        ml_mem_free(zeros);
    }
}

static void impossible_sizes_are_refused(void **state)
{
    assert_null(ml_mem_calloc(SIZE_MAX / 2, 3));
    assert_null(ml_mem_calloc(SIZE_MAX, 1));
    assert_null(ml_mem_alloc(SIZE_MAX - 3));
    assert_null(ml_mem_alloc_packed(SIZE_MAX - 3));
    struct ml_arena arena;
    ml_arena_init(&arena, 0);
    assert_null(ml_arena_alloc(&arena, SIZE_MAX - 3));
    assert_null(ml_arena_calloc(&arena, SIZE_MAX / 2, 4));
    assert_null(ml_arena_strndup(&arena, "", SIZE_MAX));
    ml_arena_clear(&arena);
}

static void realloc_keeps_the_contents(void **state)
{
    char *text = ml_mem_realloc(NULL, 4);
    memcpy(text, "abc", 4);
    text = ml_mem_realloc(text, 1 << 16);
    assert_string_equal(text, "abc");
    text = ml_mem_realloc(text, 2);
    assert_memory_equal(text, "ab", 2);
    ml_mem_free(text);
    text = ml_mem_alloc_packed(2);
    memcpy(text, "x", 2);
    assert_int_equal((uintptr_t)text % 16, 0);
    text = ml_mem_realloc(text, 100);
    assert_string_equal(text, "x");
    ml_mem_free(text);
    text = ml_mem_strdup("画");
    assert_string_equal(text, "画");
    ml_mem_free(text);
}

static void the_nth_allocation_fails_once(void **state)
{
    uint64_t before = live_blocks();
    ml_mem_fail_at(2);
    char *first = ml_mem_alloc(8);
    assert_non_null(first);
    assert_null(ml_mem_realloc(first, 16)); /* first is still ours */
    assert_int_equal(live_blocks(), before + 1);
    first = ml_mem_realloc(first, 16);
    assert_non_null(first);
    struct ml_mem_stats stats;
    ml_mem_get_stats(&stats);
    assert_int_equal(stats.allocations, 3);
    ml_mem_free(first);
    ml_mem_fail_at(1);
    assert_null(ml_mem_calloc(3, (size_t)1 << 20));
    ml_mem_fail_at(1);
    assert_null(ml_mem_strdup("x"));
    ml_mem_fail_at(1);
    assert_null(ml_mem_alloc_packed(1));
    ml_mem_fail_at(0);
    assert_int_equal(live_blocks(), before);
}

static void an_arena_hands_out_aligned_separate_pieces(void **state)
{
    struct ml_arena arena;
    uint64_t before = live_blocks();
    ml_arena_init(&arena, 256);
    unsigned char *pieces[200];
    for (int i = 0; i < 200; i++) {
        size_t bytes = (size_t)(i * 37 % 700);
        pieces[i] = ml_arena_alloc(&arena, bytes);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % ML_ALIGN, 0);
        memset(pieces[i], i, bytes);
    }
    for (int i = 0; i < 200; i++)
        for (size_t j = 0; j < (size_t)(i * 37 % 700); j++)
            assert_int_equal(pieces[i][j], i);
    assert_true(arena.used_bytes >= 200 * 64);
    ml_arena_clear(&arena);
    assert_int_equal(arena.used_bytes, 0);
    assert_int_equal(live_blocks(), before);
    ml_arena_clear(&arena);
    ml_arena_clear(NULL);
}

static void a_large_request_leaves_the_head_in_use(void **state)
{
    struct ml_arena arena;
    ml_arena_init(&arena, 4096);
    char *small = ml_arena_alloc(&arena, 64);
    assert_non_null(ml_arena_alloc(&arena, 1 << 20));
    assert_ptr_equal(ml_arena_alloc(&arena, 64), small + 64);
    ml_arena_clear(&arena);
}

static void reset_keeps_one_block_for_the_next_round(void **state)
{
    struct ml_arena arena;
    uint64_t before = live_blocks();
    ml_arena_init(&arena, 128);
    for (int i = 0; i < 100; i++)
        assert_non_null(ml_arena_alloc(&arena, 100));
    ml_arena_reset(&arena);
    assert_int_equal(arena.used_bytes, 0);
    assert_int_equal(live_blocks(), before + 1);
    char *zeros = ml_arena_calloc(&arena, 10, 10);
    for (int i = 0; i < 100; i++)
        assert_int_equal(zeros[i], 0);
    ml_arena_clear(&arena);
    assert_int_equal(live_blocks(), before);
    ml_arena_reset(&arena);
}

static void arena_texts(void **state)
{
    struct ml_arena arena;
    ml_arena_init(&arena, 0);
    assert_string_equal(ml_arena_strdup(&arena, "神笔"), "神笔");
    assert_string_equal(ml_arena_strndup(&arena, "abcdef", 3), "abc");
    assert_string_equal(ml_arena_strndup(&arena, NULL, 0), "");
    assert_string_equal(ml_arena_printf(&arena, "%s-%d", "layer", 12), "layer-12");
    ml_arena_clear(&arena);
}

static void each_arena_request_can_fail(void **state)
{
    struct ml_arena arena;
    uint64_t before = live_blocks();
    ml_arena_init(&arena, 1);
    for (uint64_t n = 1; n <= 3; n++) {
        ml_mem_fail_at(n);
        for (uint64_t i = 1; i <= 3; i++)
            assert_int_equal(ml_arena_printf(&arena, "%d", (int)i) == NULL, i == n);
        ml_arena_clear(&arena);
    }
    ml_mem_fail_at(0);
    assert_int_equal(live_blocks(), before);
}

static void buffers_grow_and_stay_terminated(void **state)
{
    struct ml_buffer buffer = {0};
    struct ml_error err = {0};
    assert_int_equal(ml_buffer_put(&buffer, NULL, 0, &err), 0);
    assert_string_equal(buffer.data, "");
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ml_buffer_printf(&buffer, &err, "%d,", i), 0);
    assert_int_equal(strlen(buffer.data), buffer.size);
    assert_int_equal(buffer.size, 10 * 2 + 90 * 3 + 900 * 4);
    assert_int_equal(ml_buffer_put(&buffer, "\0x", 2, &err), 0);
    assert_memory_equal(buffer.data + buffer.size - 2, "\0x", 3);
    assert_int_equal(ml_buffer_put(&buffer, "", SIZE_MAX, &err), ML_ERR_MEMORY);
    ml_buffer_clear(&buffer);
    assert_null(buffer.data);
    ml_buffer_clear(NULL);
}

static void a_buffer_survives_a_failed_growth(void **state)
{
    struct ml_buffer buffer = {0};
    struct ml_error err = {0};
    assert_int_equal(ml_buffer_put(&buffer, "abc", 3, &err), 0);
    ml_mem_fail_at(1);
    assert_int_equal(ml_buffer_reserve(&buffer, 1 << 20, &err), ML_ERR_MEMORY);
    ml_mem_fail_at(0);
    assert_string_equal(buffer.data, "abc");
    assert_true(strstr(err.message, "out of memory") != NULL);
    ml_buffer_clear(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_counted),
        cmocka_unit_test(calloc_gives_zeros_at_any_size),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(realloc_keeps_the_contents),
        cmocka_unit_test(the_nth_allocation_fails_once),
        cmocka_unit_test(an_arena_hands_out_aligned_separate_pieces),
        cmocka_unit_test(a_large_request_leaves_the_head_in_use),
        cmocka_unit_test(reset_keeps_one_block_for_the_next_round),
        cmocka_unit_test(arena_texts),
        cmocka_unit_test(each_arena_request_can_fail),
        cmocka_unit_test(buffers_grow_and_stay_terminated),
        cmocka_unit_test(a_buffer_survives_a_failed_growth),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
