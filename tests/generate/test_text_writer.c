/* The whole path from a folder to text, against transformers' Qwen3 on the same weights
 * (tools/golden/qwen3.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/files.h"
#include "generate/text_pack.h"
#include "generate/text_writer.h"
#include "tensor/plan.h"

enum { PROMPT = 22, GREEDY = 40, VOCAB = 258 };
static const char prompt_text[] = "Maliang \xe9\xa9\xac\xe8\x89\xaf paints.";

struct fixture {
    struct ml_text_pack pack;
    struct ml_device *device;
    struct ml_text_writer *writer;
    int32_t prompt[PROMPT];
    int32_t greedy[GREEDY];
    float logits[PROMPT][VOCAB];
};

static void read_expected(struct fixture *f)
{
    struct ml_arena arena;
    struct ml_error err = {0};
    char *text = NULL;
    size_t size;
    ml_arena_init(&arena, 0);
    assert_int_equal(
        ml_file_read(&arena, GOLDEN_DIR "/qwen3/expected.txt", 1 << 20, &text, &size, &err), 0);
    for (int i = 0; i < GREEDY; i++)
        f->greedy[i] = (int32_t)strtol(text, &text, 10);
    for (int i = 0; i < PROMPT * VOCAB; i++)
        f->logits[i / VOCAB][i % VOCAB] = strtof(text, &text);
    ml_arena_clear(&arena);
}

static int setup(void **state)
{
    struct fixture *f = ml_mem_calloc(1, sizeof *f);
    struct ml_error err = {0};
    read_expected(f);
    if (ml_text_pack_open(&f->pack, GOLDEN_DIR "/qwen3", &err) != 0 ||
        ml_device_new(&f->device, 2, ML_ISA_COUNT - 1, &err) != 0 ||
        ml_text_writer_new(&f->writer, &f->pack.model, f->pack.tokenizer, f->device, &err) != 0)
        fail_msg("%s", err.message);
    for (int i = 0; i < PROMPT; i++)
        f->prompt[i] = (unsigned char)prompt_text[i];
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    ml_text_writer_free(f->writer);
    ml_text_pack_close(&f->pack);
    ml_device_free(f->device);
    ml_mem_free(f);
    return 0;
}

static void logits_equal_transformers(void **state)
{
    struct fixture *f = *state;
    struct ml_arena arena;
    struct ml_graph g;
    struct ml_plan *plan = NULL;
    struct ml_error err = {0};
    int32_t positions[PROMPT];
    for (int i = 0; i < PROMPT; i++)
        positions[i] = i;
    ml_arena_init(&arena, 0);
    ml_graph_init(&g, &arena);
    int64_t shape[2] = {1, PROMPT};
    struct ml_text_batch batch = {.tokens = ml_leaf(&g, "tokens", ML_I32, 2, shape, f->prompt),
                                  .positions =
                                      ml_leaf(&g, "positions", ML_I32, 2, shape, positions)};
    struct ml_tensor *logits =
        ml_text_logits(&g, &f->pack.model, ml_text_hidden(&g, &f->pack.model, &batch));
    assert_int_equal(ml_plan_new(&plan, &g, &logits, 1, f->device, &err), 0);
    assert_int_equal(ml_run(plan, 0, &err), 0);
    double worst = 0;
    for (int i = 0; i < PROMPT * VOCAB; i++)
        worst = fmax(worst, fabs((double)((float *)logits->data)[i] -
                                 (double)f->logits[i / VOCAB][i % VOCAB]));
    ml_plan_free(plan);
    ml_arena_clear(&arena);
    if (!(worst < 2e-5)) /* f32 rounding of logits of size 5 in another order */
        fail_msg("largest difference %g", worst);
}

static struct ml_text_job job_of(struct fixture *f)
{
    return (struct ml_text_job){.prompt = f->prompt,
                                .prompt_count = PROMPT,
                                .max_tokens = GREEDY,
                                .ends = f->pack.ends,
                                .end_count = f->pack.end_count,
                                .sampling = {.temperature = 0.9f, .seed = 5}};
}

static void run(struct fixture *f, const struct ml_text_job *job, struct ml_write_result *out)
{
    struct ml_error err = {0};
    if (ml_text_writer_run(f->writer, job, out, &err) != 0)
        fail_msg("%s", err.message);
}

static void greedy_equals_transformers(void **state)
{
    struct fixture *f = *state;
    struct ml_text_job job = job_of(f);
    struct ml_write_result r;
    job.sampling.temperature = -1;
    run(f, &job, &r);
    assert_int_equal(r.prompt_tokens, PROMPT);
    assert_int_equal(r.samples[0].finish, ML_FINISH_LENGTH);
    assert_int_equal(r.samples[0].bytes, GREEDY); /* every token is a byte */
    for (int i = 0; i < GREEDY; i++)
        assert_int_equal((unsigned char)r.samples[0].text[i], f->greedy[i]);
    ml_write_result_clear(&r);
}

/* The same seed gives the same bytes with any number of threads, and again with a warm memory. */
static void seed_decides(void **state)
{
    struct fixture *f = *state;
    struct ml_text_job job = job_of(f);
    struct ml_write_result first, again;
    struct ml_error err = {0};
    job.samples = 3;
    run(f, &job, &first);
    run(f, &job, &again);
    assert_int_equal(again.reused_tokens, PROMPT - 1);
    for (int threads = 1; threads <= 4; threads += 3) {
        struct ml_device *device;
        struct ml_text_writer *writer;
        struct ml_write_result other;
        assert_int_equal(ml_device_new(&device, threads, ML_ISA_COUNT - 1, &err), 0);
        assert_int_equal(
            ml_text_writer_new(&writer, &f->pack.model, f->pack.tokenizer, device, &err), 0);
        assert_int_equal(ml_text_writer_run(writer, &job, &other, &err), 0);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(other.samples[i].bytes, first.samples[i].bytes);
            assert_memory_equal(other.samples[i].text, first.samples[i].text,
                                first.samples[i].bytes);
            assert_memory_equal(again.samples[i].text, first.samples[i].text,
                                first.samples[i].bytes);
        }
        ml_write_result_clear(&other);
        ml_text_writer_free(writer);
        ml_device_free(device);
    }
    assert_memory_not_equal(first.samples[0].text, first.samples[1].text, GREEDY / 2);
    ml_write_result_clear(&first);
    ml_write_result_clear(&again);
}

/* A prompt of several chunks, read at once or continued from what is in memory. */
static void long_prompts_continue(void **state)
{
    struct fixture *f = *state;
    int32_t prompt[100];
    struct ml_text_job job = job_of(f);
    struct ml_write_result cold, warm;
    for (int i = 0; i < 100; i++)
        prompt[i] = 'a' + i * 7 % 26;
    job.prompt = prompt;
    job.sampling.temperature = -1;
    job.max_tokens = 8;
    job.prompt_count = 100;
    run(f, &job, &cold);
    job.prompt_count = 70;
    run(f, &job, &warm);
    ml_write_result_clear(&warm);
    job.prompt_count = 100;
    run(f, &job, &warm);
    assert_true(warm.reused_tokens >= 69);
    assert_int_equal(warm.samples[0].bytes, cold.samples[0].bytes);
    assert_memory_equal(warm.samples[0].text, cold.samples[0].text, cold.samples[0].bytes);
    ml_write_result_clear(&cold);
    ml_write_result_clear(&warm);
}

struct heard {
    char text[4096];
    size_t bytes;
    int calls;
};

static int listen(void *arg, int sample, const char *text, size_t bytes)
{
    struct heard *h = arg;
    (void)sample;
    memcpy(h->text + h->bytes, text, bytes);
    h->bytes += bytes;
    return ++h->calls >= 100;
}

static void stream_is_the_result(void **state)
{
    struct fixture *f = *state;
    struct ml_text_job job = job_of(f);
    struct heard h = {0};
    struct ml_write_result r;
    job.stream = listen;
    job.arg = &h;
    run(f, &job, &r);
    assert_int_equal(h.bytes, r.samples[0].bytes);
    assert_memory_equal(h.text, r.samples[0].text, h.bytes);
    ml_write_result_clear(&r);
}

static void stop_strings_end_the_text(void **state)
{
    struct fixture *f = *state;
    struct ml_text_job job = job_of(f);
    char stop[4] = {0};
    struct ml_write_result whole, cut;
    job.sampling.temperature = -1;
    run(f, &job, &whole);
    memcpy(stop, whole.samples[0].text + 14, 3);
    const char *stops[2] = {"never to be seen", stop};
    job.stop = stops;
    job.stop_count = 2;
    run(f, &job, &cut);
    assert_int_equal(cut.samples[0].finish, ML_FINISH_STOP);
    assert_true(cut.samples[0].bytes <= 14);
    assert_memory_equal(cut.samples[0].text, whole.samples[0].text, cut.samples[0].bytes);
    ml_write_result_clear(&whole);
    ml_write_result_clear(&cut);
}

static void limits_are_told(void **state)
{
    struct fixture *f = *state;
    int32_t prompt[200] = {0};
    struct ml_write_result r = {0};
    struct ml_error err = {0};
    struct ml_text_job job = job_of(f);
    job.prompt = prompt;
    job.prompt_count = 200;
    assert_int_equal(ml_text_writer_run(f->writer, &job, &r, &err), ML_ERR_LIMIT);
    assert_non_null(strstr(err.message, "200 tokens"));
    job.prompt_count = 0;
    memset(&err, 0, sizeof err);
    assert_int_equal(ml_text_writer_run(f->writer, &job, &r, &err), ML_ERR_ARG);
    job.prompt_count = 120;
    job.max_tokens = 1000; /* more than the context holds */
    memset(&err, 0, sizeof err);
    run(f, &job, &r);
    assert_int_equal(r.samples[0].tokens, 8);
    ml_write_result_clear(&r);
    const volatile int stop = 1;
    job.cancel = &stop;
    assert_int_equal(ml_text_writer_run(f->writer, &job, &r, &err), 0);
    assert_int_equal(r.samples[0].finish, ML_FINISH_CANCELLED);
    ml_write_result_clear(&r);
}

/* Every allocation of opening and writing may fail: a message, nothing left behind. */
static void failed_allocations(void **state)
{
    struct fixture *f = *state;
    struct ml_mem_stats before, after;
    ml_mem_get_stats(&before);
    int status = -1;
    for (uint64_t n = 1; status != 0; n++) {
        struct ml_text_pack pack = {0};
        struct ml_text_writer *writer = NULL;
        struct ml_write_result r = {0};
        struct ml_error err = {0};
        struct ml_text_job job = job_of(f);
        job.max_tokens = 2;
        ml_mem_fail_at(n);
        status = ml_text_pack_open(&pack, GOLDEN_DIR "/qwen3", &err);
        if (status == 0)
            status = ml_text_writer_new(&writer, &pack.model, pack.tokenizer, f->device, &err);
        if (status == 0)
            status = ml_text_writer_run(writer, &job, &r, &err);
        ml_mem_fail_at(0);
        ml_write_result_clear(&r);
        ml_text_writer_free(writer);
        ml_text_pack_close(&pack);
        ml_mem_get_stats(&after);
        assert_int_equal(after.live_blocks, before.live_blocks);
        assert_true(status == 0 || err.message[0]);
        assert_true(n < 100000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_equal_transformers),
        cmocka_unit_test(greedy_equals_transformers),
        cmocka_unit_test(seed_decides),
        cmocka_unit_test(long_prompts_continue),
        cmocka_unit_test(stream_is_the_result),
        cmocka_unit_test(stop_strings_end_the_text),
        cmocka_unit_test(limits_are_told),
        cmocka_unit_test(failed_allocations),
    };
    return cmocka_run_group_tests_name("text_writer", tests, setup, teardown);
}
