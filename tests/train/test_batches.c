/* Every token is a target exactly once an epoch, masks and positions fit, and a batch is a function
 * of seed and number alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "train/batches.h"

#define MAX_DOCUMENTS 200
#define MAX_TOKENS    20000
#define END           0

/* Token ids are their position in the text + 1, so that each is unique and traceable. */
static int32_t ids[MAX_TOKENS];
static int64_t start[MAX_DOCUMENTS + 1];
static int32_t owner[MAX_TOKENS + 1];

static struct ml_token_documents documents(int count, int longest, uint64_t seed)
{
    struct ml_rng rng;
    ml_rng_init(&rng, seed, 0);
    int64_t at = 0;
    for (int d = 0; d < count; d++) {
        start[d] = at;
        int64_t length = (int64_t)ml_rng_below(&rng, (uint64_t)longest + 1); /* empty ones too */
        for (int64_t i = 0; i < length; i++, at++) {
            ids[at] = (int32_t)at + 1;
            owner[at + 1] = d;
        }
    }
    start[count] = at;
    return (struct ml_token_documents){ids, start, count};
}

static struct ml_batch buffers(struct ml_arena *arena, const struct ml_batches_options *o)
{
    size_t n = (size_t)o->batch * (size_t)o->context;
    return (struct ml_batch){ml_arena_calloc(arena, n, 4), ml_arena_calloc(arena, n, 4),
                             ml_arena_calloc(arena, n, 4), ml_arena_calloc(arena, n, 4)};
}

/* Checks one row: targets follow tokens, positions count up inside a segment, a segment holds one
 * document. Counts targets in seen[]. */
static void check_row(const struct ml_batch *batch, const struct ml_batches_options *o, int row,
                      int *seen)
{
    const int32_t *token = batch->tokens + row * o->context;
    const int32_t *position = batch->positions + row * o->context;
    const int32_t *segment = batch->segments + row * o->context;
    const int32_t *target = batch->targets + row * o->context;
    for (int j = 0; j < o->context; j++) {
        bool same = j > 0 && segment[j] == segment[j - 1];
        assert_int_equal(position[j], same ? position[j - 1] + 1 : 0);
        if (target[j] < 0)
            continue;
        seen[target[j]]++;
        if (same && token[j] != END)
            assert_int_equal(token[j], target[j - 1]);
        if (token[j] != END && target[j] != END) {
            assert_int_equal(target[j], token[j] + 1);
            assert_int_equal(owner[target[j]], owner[token[j]]);
        }
        if (token[j] == END && o->end == END) /* END opens a segment, unless a window begins */
            assert_int_equal(position[j], 0);
        if (same && token[j - 1] != END && token[j] != END)
            assert_int_equal(owner[token[j]], owner[token[j - 1]]);
    }
}

static void check_epochs(const struct ml_batches_options *o, int count, int longest, int epochs)
{
    struct ml_arena arena;
    struct ml_error err = {0};
    struct ml_batches *b = NULL;
    static int seen[MAX_TOKENS + 1];
    ml_arena_init(&arena, 0);
    struct ml_token_documents d = documents(count, longest, (uint64_t)count);
    assert_int_equal(ml_batches_new(&b, &d, o, &err), 0);
    struct ml_batch batch = buffers(&arena, o);
    memset(seen, 0, sizeof seen);
    int full = 0;
    for (int i = 0; i < count; i++)
        full += start[i + 1] > start[i];
    int64_t targets = 0, rows = b->windows * epochs;
    for (int64_t n = 0; n * o->batch < rows; n++) {
        targets += ml_batches_get(b, n, &batch);
        for (int r = 0; r < o->batch && n * o->batch + r < rows; r++)
            check_row(&batch, o, r, seen);
    }
    for (int64_t t = 1; t <= start[count]; t++)
        assert_int_equal(seen[t], epochs);
    assert_int_equal(seen[END], o->end == END ? full * epochs : 0);
    if (rows % o->batch == 0)
        assert_int_equal(targets, b->targets * epochs);
    ml_batches_free(b);
    ml_arena_clear(&arena);
}

static void stream_targets_each_token_once(void **state)
{
    for (int shuffled = 0; shuffled < 2; shuffled++)
        for (int count = 1; count < 60; count += 19)
            check_epochs(
                &(struct ml_batches_options){
                    .sequential = !shuffled, .batch = 3, .context = 17, .seed = 5, .end = END},
                count, 70, 3);
}

static void packed_documents_target_each_token_once(void **state)
{
    for (int shuffled = 0; shuffled < 2; shuffled++)
        for (int longest = 5; longest < 100; longest += 30)
            check_epochs(&(struct ml_batches_options){.documents = true,
                                                      .sequential = !shuffled,
                                                      .batch = 4,
                                                      .context = 32,
                                                      .seed = 6,
                                                      .end = END},
                         150, longest, 2);
}

static void packing_wastes_little(void **state)
{
    struct ml_error err = {0};
    struct ml_batches *b = NULL;
    struct ml_token_documents d = documents(180, 30, 3);
    struct ml_batches_options o = {.documents = true, .batch = 1, .context = 64, .end = END};
    assert_int_equal(ml_batches_new(&b, &d, &o, &err), 0);
    assert_true((double)b->targets > 0.97 * (double)(b->windows * 64));
    assert_true(b->segmented);
    /* A document that fits is never cut: each window's pieces are whole. */
    for (int64_t p = 0; p < b->piece_count; p++)
        assert_int_equal(b->stream[b->pieces[p].at], END);
    ml_batches_free(b);
}

static void sequential_order_is_what_a_script_would_do(void **state)
{
    int32_t text[11] = {10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
    int64_t bounds[2] = {0, 11};
    struct ml_token_documents d = {text, bounds, 1};
    struct ml_batches_options o = {.sequential = true, .batch = 2, .context = 3, .end = -1};
    struct ml_error err = {0};
    struct ml_batches *b = NULL;
    assert_int_equal(ml_batches_new(&b, &d, &o, &err), 0);
    assert_int_equal(b->windows, 4);
    assert_false(b->segmented);
    int32_t token[6], position[6], target[6];
    struct ml_batch batch = {token, position, NULL, target};
    assert_int_equal(ml_batches_get(b, 0, &batch), 6);
    assert_memory_equal(token, ((int32_t[]){10, 11, 12, 13, 14, 15}), sizeof token);
    assert_memory_equal(target, ((int32_t[]){11, 12, 13, 14, 15, 16}), sizeof target);
    assert_int_equal(ml_batches_get(b, 1, &batch), 4);
    assert_memory_equal(token, ((int32_t[]){16, 17, 18, 19, 0, 0}), sizeof token);
    assert_memory_equal(target, ((int32_t[]){17, 18, 19, 20, -1, -1}), sizeof target);
    assert_int_equal(ml_batches_get(b, 2, &batch), 6); /* the second epoch */
    assert_int_equal(token[0], 10);
    assert_true(ml_batches_epoch(b, 3) == 1.5);
    ml_batches_free(b);
}

static void validation_ends(void **state)
{
    int32_t text[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    int64_t bounds[2] = {0, 8};
    struct ml_token_documents d = {text, bounds, 1};
    struct ml_batches_options o = {
        .sequential = true, .once = true, .batch = 4, .context = 3, .end = -1};
    struct ml_error err = {0};
    struct ml_batches *b = NULL;
    assert_int_equal(ml_batches_new(&b, &d, &o, &err), 0);
    assert_int_equal(ml_batches_count(b), 1);
    int32_t token[12], position[12], target[12];
    struct ml_batch batch = {token, position, NULL, target};
    assert_int_equal(ml_batches_get(b, 0, &batch), 7);
    assert_memory_equal(target + 6, ((int32_t[]){8, -1, -1, -1, -1, -1}), 6 * sizeof *target);
    ml_batches_free(b);
}

/* Batches asked for in any order are the same: what resuming relies on. */
static void any_batch_can_be_made_first(void **state)
{
    struct ml_arena arena;
    struct ml_error err = {0};
    ml_arena_init(&arena, 0);
    struct ml_token_documents d = documents(40, 50, 9);
    struct ml_batches_options o = {.batch = 5, .context = 16, .seed = 77, .end = END};
    struct ml_batches *a = NULL, *b = NULL;
    assert_int_equal(ml_batches_new(&a, &d, &o, &err), 0);
    assert_int_equal(ml_batches_new(&b, &d, &o, &err), 0);
    struct ml_batch x = buffers(&arena, &o), y = buffers(&arena, &o);
    size_t bytes = (size_t)o.batch * (size_t)o.context * sizeof(int32_t);
    for (int64_t n = 0; n < 60; n++) {
        ml_batches_get(a, n, &x);
        ml_batches_get(b, (n * 37) % 60, &y);
        ml_batches_get(b, n, &y);
        assert_memory_equal(x.tokens, y.tokens, bytes);
        assert_memory_equal(x.positions, y.positions, bytes);
        assert_memory_equal(x.segments, y.segments, bytes);
        assert_memory_equal(x.targets, y.targets, bytes);
    }
    o.seed = 78;
    ml_batches_free(b);
    assert_int_equal(ml_batches_new(&b, &d, &o, &err), 0);
    ml_batches_get(a, 0, &x);
    ml_batches_get(b, 0, &y);
    assert_memory_not_equal(x.tokens, y.tokens, bytes);
    ml_batches_free(a);
    ml_batches_free(b);
    ml_arena_clear(&arena);
}

static void nothing_to_train_on_is_said(void **state)
{
    int64_t bounds[3] = {0, 0, 0};
    struct ml_token_documents d = {ids, bounds, 2};
    for (int documents_mode = 0; documents_mode < 2; documents_mode++) {
        struct ml_batches_options o = {
            .documents = documents_mode, .batch = 1, .context = 4, .end = END};
        struct ml_error err = {0};
        struct ml_batches *b = NULL;
        assert_int_equal(ml_batches_new(&b, &d, &o, &err), ML_ERR_ARG);
        assert_non_null(strstr(err.message, "no text"));
        assert_null(b);
    }
}

static void every_failed_allocation_is_reported(void **state)
{
    struct ml_token_documents d = documents(30, 40, 4);
    struct ml_mem_stats before, after;
    ml_mem_get_stats(&before);
    for (int mode = 0; mode < 2; mode++)
        for (uint64_t n = 1;; n++) {
            struct ml_batches_options o = {
                .documents = mode, .batch = 2, .context = 16, .end = END};
            struct ml_error err = {0};
            struct ml_batches *b = NULL;
            ml_mem_fail_at(n);
            int status = ml_batches_new(&b, &d, &o, &err);
            ml_mem_fail_at(0);
            ml_batches_free(b);
            ml_mem_get_stats(&after);
            assert_int_equal(after.live_blocks, before.live_blocks);
            if (status == 0)
                break;
            assert_int_equal(status, ML_ERR_MEMORY);
            assert_true(err.message[0] != 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stream_targets_each_token_once),
        cmocka_unit_test(packed_documents_target_each_token_once),
        cmocka_unit_test(packing_wastes_little),
        cmocka_unit_test(sequential_order_is_what_a_script_would_do),
        cmocka_unit_test(validation_ends),
        cmocka_unit_test(any_batch_can_be_made_first),
        cmocka_unit_test(nothing_to_train_on_is_said),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests_name("batches", tests, NULL, NULL);
}
