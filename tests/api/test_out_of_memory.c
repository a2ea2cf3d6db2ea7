/* The n-th allocation of the round fails: one message, nothing left behind, and a workspace that
 * works. Every n with MALIANG_TEST_EXHAUSTIVE set (two minutes), else 100 of them, spread evenly.
 * What SQLite, libyaml and cairo allocate themselves is outside of this. */
#include <stdlib.h>

#include "round.h"

#define SPREAD 100

static struct round r;

/* As small as a run can be that does everything once: each allocation is a run of its own. */
static const char smallest[] =
    "name: tiny\n"
    "data: {dataset: tales, validation: 0.3}\n"
    "tokenizer: {kind: char, special: [\"<|end|>\"]}\n"
    "model: {layers: 1, width: 8, heads: 1, ffn: 8, context: 8}\n"
    "train: {steps: 2, batch: 1, eval_every: 1, checkpoint_every: 1, precision: f32}\n";

static int setup(void **state)
{
    const struct ml_engine_options options = {.threads = 1, .isa = "ref"};
    struct ml_collect_result collected;
    struct ml_error err = {0};
    char path[ROUND_PATH];
    round_open(&r, &options);
    round_text(r.recipe, smallest);
    round_text(round_path(&r, "few.jsonl", path),
               "{\"text\":\"abab\"}\n{\"text\":\"babba\"}\n{\"text\":\"aabb\"}\n");
    round_ok(round_collect(&r, path, "tales", &collected, &err), err);
    return 0;
}

static int teardown(void **state)
{
    round_close(&r);
    return 0;
}

typedef int action(struct ml_error *err);

/* How many allocations `act` makes; the first call of a process makes some that stay. */
static uint64_t count(action *before, action *act)
{
    struct ml_mem_stats stats;
    struct ml_error err = {0};
    for (int i = 0; i < 2; i++) {
        if (before)
            round_ok(before(&err), err);
        ml_mem_fail_at(UINT64_MAX);
        round_ok(act(&err), err);
        ml_mem_get_stats(&stats);
        ml_mem_fail_at(0);
    }
    return stats.allocations;
}

/* Fails allocations of `act` in turn; `before` makes the same start for each. */
static void fail_each(const char *what, action *before, action *act)
{
    struct ml_mem_stats start, stats;
    uint64_t total = count(before, act), endured = 0;
    uint64_t stride = getenv("MALIANG_TEST_EXHAUSTIVE") ? 1 : total / SPREAD + 1;
    for (uint64_t n = 1; n <= total; n += stride) {
        struct ml_error err = {0}, ignored = {0};
        if (before)
            round_ok(before(&ignored), ignored);
        ml_mem_get_stats(&start);
        ml_mem_fail_at(n);
        int status = act(&err);
        ml_mem_fail_at(0);
        ml_mem_get_stats(&stats);
        endured += status == 0;
        if (status != 0 && (status != ML_ERR_MEMORY || err.code != status || !err.message[0] ||
                            strchr(err.message, '\n')))
            fail_msg("%s: allocation %d: %d \"%s\"", what, (int)n, status, err.message);
        if (stats.live_blocks != start.live_blocks)
            fail_msg("%s: allocation %d left %d blocks behind: %s", what, (int)n,
                     (int)(stats.live_blocks - start.live_blocks), err.message);
    }
    print_message("%s: each %d. of %d allocations, %d of them done without\n", what, (int)stride,
                  (int)total, (int)endured);
}

/* ---- training ---- */

static int forget_run(struct ml_error *err)
{
    char path[ROUND_PATH];
    round_path(&r, "workspace/runs/tiny", path);
    return ml_path_exists(path) ? ml_dir_remove(path, err) : 0;
}

static int train(struct ml_error *err)
{
    struct ml_train_result result;
    return round_train(&r, NULL, NULL, NULL, &result, err);
}

static void training(void **state)
{
    fail_each("train", forget_run, train);
}

/* ---- writing ---- */

static int write_text(struct ml_error *err)
{
    const struct ml_write_request request = {.prompt = "ab", .samples = 2, .max_tokens = 4};
    char text[64];
    return round_write(r.engine, r.workspace, "tiny", &request, text, sizeof text, err);
}

static void writing(void **state)
{
    struct ml_error err = {0};
    round_ok(train(&err), err);
    fail_each("write", NULL, write_text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training),
        cmocka_unit_test(writing),
    };
    return cmocka_run_group_tests_name("out_of_memory", tests, setup, teardown);
}
