/* The loop on tiny runs: it learns, it resumes to the same bits, it survives bad numbers, it says
 * what is wrong. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/rng.h"
#include "store/write_lock.h"
#include "train/metrics.h"
#include "train_fixture.h"

static void train(struct tiny_run *run)
{
    struct ml_error err = {0};
    if (ml_train_run(&run->job, &run->result, &err) < 0)
        fail_msg("%s", err.message);
}

static void expect_file(struct tiny_run *run, const char *name)
{
    if (!ml_path_exists(tiny_path(run, name)))
        fail_msg("%s is missing", name);
}

static int count_files(struct tiny_run *run, const char *folder)
{
    int n = 0;
    DIR *dir = opendir(tiny_path(run, folder));
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void a_run_leaves_its_folder(void **state)
{
    struct tiny_run run;
    tiny_open(&run, NULL);
    train(&run);
    const char *files[] = {"recipe.yaml",          "tokenizer.json",         "metrics.jsonl",
                           "model/config.json",    "model/README.md",        "model/maliang.json",
                           "model/tokenizer.json", "model/model.safetensors"};
    for (int i = 0; i < 8; i++)
        expect_file(&run, files[i]);
    assert_int_equal(count_files(&run, "checkpoints"), 2);
    assert_int_equal(run.result.steps, 12);
    assert_true(run.result.validation_loss < 5.6); /* the log of the vocabulary is 5.70 */
    assert_true(run.result.validation_loss > 0.5);
    assert_true(fabs(run.result.validation_loss - run.result.best_validation_loss) < 1e-6);
    assert_true(run.result.bits_per_character > 0);
    assert_int_equal(run.result.parameters,
                     300 * 16 + 16 * 16 + 2 * 8 * 16 + 16 * 16 + 3 * 16 * 32 + 2 * 16 + 2 * 8 + 16);
    tiny_close(&run);
}

static void a_tiny_text_is_learnt_by_heart(void **state)
{
    const char *settings[] = {
        "train.steps=150",     "model.width=48",       "model.ffn=96",           "train.lr=0.01",
        "train.eval_every=50", "train.weight_decay=0", "train.order=sequential", NULL};
    struct tiny_run run;
    tiny_open(&run, settings);
    run.job.train = run.validation;
    run.job.train_count = 1;
    run.job.validation_count = 1;
    train(&run);
    if (!(run.result.train_loss < 0.1))
        fail_msg("loss %g", run.result.train_loss);
    tiny_close(&run);
}

static void muon_learns_too(void **state)
{
    const char *settings[] = {"train.optimizer=muon", "train.steps=30",     "train.ema=0.9",
                              "model.dropout=0.1",    "train.schedule=wsd", NULL};
    struct tiny_run run;
    tiny_open(&run, settings);
    train(&run);
    assert_true(run.result.validation_loss < 4.5);
    tiny_close(&run);
}

/* Runs to the end with stops at random steps; the result must be that of the unbroken run. */
static void resumed_by_stops(const char *const *settings, uint64_t seed)
{
    struct tiny_run whole, parts;
    struct ml_rng rng;
    ml_rng_init(&rng, seed, 0);
    tiny_open(&whole, settings);
    tiny_open(&parts, settings);
    train(&whole);
    int64_t at = 0;
    for (int stops = 0;; stops++) {
        struct ml_error err = {0};
        at += 1 + (int64_t)ml_rng_below(&rng, 5);
        parts.cancel = 0;
        parts.cancel_at = at;
        int status = ml_train_run(&parts.job, &parts.result, &err);
        if (status == 0)
            break;
        if (status != ML_ERR_CANCELLED)
            fail_msg("%s", err.message);
        assert_non_null(strstr(err.message, "goes on from here"));
        assert_true(stops < 100);
    }
    assert_int_equal(tiny_compare(tiny_path(&whole, "checkpoints/step-000000012.safetensors"),
                                  tiny_path(&parts, "checkpoints/step-000000012.safetensors")),
                     0);
    assert_int_equal(tiny_compare(tiny_path(&whole, "model/model.safetensors"),
                                  tiny_path(&parts, "model/model.safetensors")),
                     0);
    assert_true(whole.result.best_validation_loss == parts.result.best_validation_loss);
    tiny_close(&whole);
    tiny_close(&parts);
}

static void stops_change_nothing(void **state)
{
    resumed_by_stops(NULL, 1);
    const char *rich[] = {"train.optimizer=muon",     "train.ema=0.9",
                          "model.dropout=0.2",        "train.accumulation=2",
                          "train.checkpoint_every=5", "train.recompute=true",
                          "data.packing=documents",   NULL};
    resumed_by_stops(rich, 2);
}

/* The same by a signal that cannot be caught, at moments that have nothing to do with steps. */
static void kills_change_nothing(void **state)
{
    const char *device = getenv("MALIANG_TEST_DEVICE");
    if (device &&
        strcmp(device, "cuda") == 0) /* CUDA does not work in the child of a process that used it */
        skip();
    const char *settings[] = {"train.steps=60", "train.checkpoint_every=7", "train.eval_every=4",
                              "model.dropout=0.1", NULL};
    struct tiny_run whole, parts;
    struct ml_rng rng;
    ml_rng_init(&rng, 3, 0);
    tiny_open(&parts, settings);
    ml_device_free(parts.device); /* no thread lives while children are made: each has its own */
    parts.device = NULL;
    int finished = 0;
    for (int kills = 0; !finished; kills++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct ml_error err = {0};
            if (ml_device_new(&parts.device, 2, ML_ISA_COUNT - 1, &err) < 0 ||
                test_device_attach(parts.device, &err) < 0)
                _exit(1);
            parts.job.device = parts.device;
            _exit(ml_train_run(&parts.job, &parts.result, &err) < 0);
        }
        if (kills < 5) {
            usleep(20000 + 1000 * (useconds_t)ml_rng_below(&rng, 120));
            kill(child, SIGKILL);
        }
        int status = 0;
        waitpid(child, &status, 0);
        finished = WIFEXITED(status);
        if (finished)
            assert_int_equal(WEXITSTATUS(status), 0);
    }
    tiny_open(&whole, settings);
    train(&whole);
    assert_int_equal(tiny_compare(tiny_path(&whole, "checkpoints/step-000000060.safetensors"),
                                  tiny_path(&parts, "checkpoints/step-000000060.safetensors")),
                     0);
    assert_int_equal(tiny_compare(tiny_path(&whole, "model/model.safetensors"),
                                  tiny_path(&parts, "model/model.safetensors")),
                     0);
    tiny_close(&whole);
    tiny_close(&parts);
}

/* Largest difference between two checkpoints' weights. */
static double distance(const char *a, const char *b)
{
    struct ml_safetensors x = {0}, y = {0};
    struct ml_error err = {0};
    assert_int_equal(ml_safetensors_open(&x, a, &err), 0);
    assert_int_equal(ml_safetensors_open(&y, b, &err), 0);
    double most = 0;
    for (int i = 0; i < x.count; i++) {
        if (strncmp(x.entries[i].name, "model.", 6) != 0)
            continue;
        const struct ml_safetensors_entry *other = ml_safetensors_find(&y, x.entries[i].name);
        float *p = malloc(x.entries[i].bytes), *q = malloc(x.entries[i].bytes);
        memcpy(p, x.entries[i].data, x.entries[i].bytes);
        memcpy(q, other->data, x.entries[i].bytes);
        for (int64_t k = 0; k < x.entries[i].count; k++)
            most = fmax(most, fabs((double)p[k] - (double)q[k]));
        free(p);
        free(q);
    }
    ml_safetensors_close(&x);
    ml_safetensors_close(&y);
    return most;
}

static void accumulation_is_a_larger_batch(void **state)
{
    /* Packed documents leave windows of unequal numbers of targets: they must be weighed. */
    const char *large[] = {"train.batch=4", "data.packing=documents", "train.steps=3",
                           "train.eps=1e-3", NULL};
    const char *small[] = {"train.batch=1", "train.accumulation=4", "data.packing=documents",
                           "train.steps=3", "train.eps=1e-3",       NULL};
    struct tiny_run a, b;
    tiny_open(&a, large);
    tiny_open(&b, small);
    train(&a);
    train(&b);
    double d = distance(tiny_path(&a, "checkpoints/step-000000003.safetensors"),
                        tiny_path(&b, "checkpoints/step-000000003.safetensors"));
    if (!(d < 2e-5))
        fail_msg("weights differ by %g", d);
    tiny_close(&a);
    tiny_close(&b);
}

static void recompute_changes_nothing(void **state)
{
    const char *on[] = {"train.recompute=true", "model.dropout=0.2", NULL};
    const char *off[] = {"model.dropout=0.2", NULL};
    struct tiny_run a, b;
    tiny_open(&a, on);
    tiny_open(&b, off);
    train(&a);
    train(&b);
    assert_int_equal(tiny_compare(tiny_path(&a, "model/model.safetensors"),
                                  tiny_path(&b, "model/model.safetensors")),
                     0);
    tiny_close(&a);
    tiny_close(&b);
}

static void threads_change_nothing(void **state)
{
    struct tiny_run a, b;
    struct ml_error err = {0};
    tiny_open(&a, NULL);
    tiny_open(&b, NULL);
    ml_device_free(b.device);
    assert_int_equal(ml_device_new(&b.device, 1, ML_ISA_COUNT - 1, &err), 0);
    assert_int_equal(test_device_attach(b.device, &err), 0); /* plans fuse by what stands beside */
    b.job.device = b.device;
    train(&a);
    train(&b);
    assert_int_equal(tiny_compare(tiny_path(&a, "model/model.safetensors"),
                                  tiny_path(&b, "model/model.safetensors")),
                     0);
    tiny_close(&a);
    tiny_close(&b);
}

static void patience_stops_early(void **state)
{
    const char *settings[] = {"train.steps=400", "train.lr=0.05", "train.eval_every=2",
                              "train.patience=3", NULL};
    struct tiny_run run;
    tiny_open(&run, settings);
    run.job.train_count = 1; /* learns one text, is measured on another */
    run.job.validation = &run.texts[3];
    run.job.validation_count = 1;
    train(&run);
    assert_true(run.result.stopped_early);
    assert_true(run.result.steps < 400);
    int64_t steps = run.result.steps;
    double best = run.result.best_validation_loss;
    assert_true(fabs(run.result.validation_loss - best) < 1e-5); /* the best weights are kept */
    train(&run);                                                 /* once more: it is over already */
    assert_int_equal(run.result.steps, steps);
    assert_int_equal(run.result.resumed_from, steps);
    tiny_close(&run);
}

static void broken_numbers_are_met(void **state)
{
    /* A rate that explodes within a few steps: back to a checkpoint, then the end with a reason. */
    const char *settings[] = {"train.steps=200",   "train.lr=10",
                              "train.clip=0",      "train.weight_decay=10",
                              "train.warmup=1",    "train.schedule=constant",
                              "train.beta1=0.001", NULL};
    struct tiny_run run;
    struct ml_error err = {0};
    tiny_open(&run, settings);
    int status = ml_train_run(&run.job, &run.result, &err);
    assert_int_equal(status, ML_ERR_NUMERIC);
    assert_non_null(strstr(err.message, "lower train.lr"));
    tiny_close(&run);
}

static void another_recipe_is_refused(void **state)
{
    struct tiny_run run;
    struct ml_error err = {0};
    tiny_open(&run, NULL);
    train(&run);
    assert_int_equal(ml_recipe_set(&run.recipe, &run.arena, "train.lr=0.02", &err), 0);
    assert_int_equal(ml_train_run(&run.job, &run.result, &err), ML_ERR_STATE);
    assert_non_null(strstr(err.message, "train.lr: 0.01, now it is 0.02"));
    memset(&err, 0, sizeof err);
    run.job.restart = true;
    train(&run);
    assert_int_equal(run.result.resumed_from, 0);
    run.job.restart = false;
    run.job.train_count = 5; /* other text */
    assert_int_equal(ml_train_run(&run.job, &run.result, &err), ML_ERR_STATE);
    assert_non_null(strstr(err.message, "other text"));
    tiny_close(&run);
}

static void a_damaged_checkpoint_is_passed_over(void **state)
{
    struct tiny_run run, whole;
    struct ml_error err = {0};
    tiny_open(&whole, NULL);
    train(&whole);
    tiny_open(&run, NULL);
    run.cancel_at = 6;
    assert_int_equal(ml_train_run(&run.job, &run.result, &err), ML_ERR_CANCELLED);
    char *path = tiny_path(&run, "checkpoints/step-000000006.safetensors");
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, -100, SEEK_END); /* one flipped bit in a tensor */
    int c = fgetc(file);
    fseek(file, -100, SEEK_END);
    fputc(c ^ 4, file);
    fclose(file);
    run.cancel = 0;
    run.cancel_at = 0;
    train(&run);
    assert_int_equal(run.result.resumed_from, 3);
    assert_int_equal(tiny_compare(tiny_path(&whole, "model/model.safetensors"),
                                  tiny_path(&run, "model/model.safetensors")),
                     0);
    tiny_close(&run);
    tiny_close(&whole);
}

/* No file may grow beyond a limit, which is how a full disk looks to a writer: the run says so, and
 * goes on from its last checkpoint when there is room again. */
static void a_full_disk_loses_nothing(void **state)
{
    struct tiny_run run, whole;
    struct ml_error err = {0};
    struct rlimit usual, tight;
    tiny_open(&whole, NULL);
    train(&whole);
    tiny_open(&run, NULL);
    run.cancel_at = 5;
    assert_int_equal(ml_train_run(&run.job, &run.result, &err), ML_ERR_CANCELLED);
    run.cancel = 0;
    run.cancel_at = 0;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
    tight = usual;
    tight.rlim_cur = 40000; /* a checkpoint takes 85 KB */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    memset(&err, 0, sizeof err);
    int status = ml_train_run(&run.job, &run.result, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
    assert_int_equal(status, ML_ERR_IO);
    assert_non_null(strstr(err.message, run.folder));
    train(&run);
    assert_int_equal(run.result.resumed_from, 5);
    assert_int_equal(tiny_compare(tiny_path(&whole, "model/model.safetensors"),
                                  tiny_path(&run, "model/model.safetensors")),
                     0);
    tiny_close(&run);
    tiny_close(&whole);
}

/* The curve of a run that was stopped and cut off has each point once. */
static void metrics_go_on_where_the_weights_do(void **state)
{
    struct tiny_run run;
    struct ml_error err = {0};
    struct ml_metrics m;
    tiny_open(&run, NULL);
    run.cancel_at = 5;
    assert_int_equal(ml_train_run(&run.job, &run.result, &err), ML_ERR_CANCELLED);
    FILE *file = fopen(tiny_path(&run, "metrics.jsonl"), "a");
    assert_non_null(file);
    fputs("{\"step\": 6, \"loss\": 1.5}\n{\"step\": 7, \"lo", file); /* later, and cut off */
    fclose(file);
    run.cancel = 0;
    run.cancel_at = 0;
    train(&run);
    assert_int_equal(ml_metrics_open(&m, run.folder, 1000, &err), 0);
    int losses = 0, measured = 0;
    for (int64_t i = 0; i < m.count; i++) {
        losses += isfinite(m.rows[i].loss);
        measured += isfinite(m.rows[i].validation_loss);
        assert_true(i == 0 || m.rows[i].step >= m.rows[i - 1].step);
        assert_true(!(m.rows[i].loss == 1.5));
    }
    assert_int_equal(losses, 12);
    assert_int_equal(measured, 4);
    ml_metrics_close(&m);
    tiny_close(&run);
}

static void one_trainer_a_folder(void **state)
{
    struct tiny_run run;
    struct ml_error err = {0};
    struct ml_train_result inner;
    tiny_open(&run, NULL);
    train(&run);
    struct ml_write_lock lock;
    bool taken = false;
    assert_int_equal(ml_write_lock_open(&lock, tiny_path(&run, ".lock"), &err), 0);
    assert_int_equal(ml_write_lock_take(&lock, 0, &taken, &err), 0);
    assert_true(taken);
    assert_int_equal(ml_train_run(&run.job, &inner, &err), ML_ERR_STATE);
    assert_non_null(strstr(err.message, "is training in"));
    ml_write_lock_close(&lock);
    tiny_close(&run);
}

static void no_text_is_said(void **state)
{
    struct tiny_run run;
    struct ml_error err = {0};
    tiny_open(&run, NULL);
    run.job.train_count = 0;
    assert_int_equal(ml_train_run(&run.job, &run.result, &err), ML_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "no text"));
    tiny_close(&run);
}

static void minutes_become_steps(void **state)
{
    const char *settings[] = {"train.steps=0", "train.minutes=0.0005", NULL};
    struct tiny_run run;
    struct ml_error err = {0};
    tiny_open(&run, settings);
    run.cancel_at = 1;
    int status = ml_train_run(&run.job, &run.result, &err);
    assert_true(status == 0 || status == ML_ERR_CANCELLED);
    struct ml_recipe earlier;
    memset(&err, 0, sizeof err);
    assert_int_equal(ml_recipe_open(&earlier, &run.arena, tiny_path(&run, "recipe.yaml"), &err), 0);
    assert_true(earlier.train.steps >= 1);
    run.cancel = 0;
    run.cancel_at = 0;
    train(&run); /* keeps the number that it found */
    assert_int_equal(run.result.steps, earlier.train.steps);
    tiny_close(&run);
}

/* The n-th allocation fails in a run with all its parts: one message, nothing leaks. Every n with
 * MALIANG_TEST_EXHAUSTIVE set (some minutes), else 300 of them, spread evenly. */
static void a_failed_allocation_is_reported(void **state)
{
    const char *settings[] = {"train.steps=3",          "train.optimizer=muon",
                              "train.ema=0.9",          "train.accumulation=2",
                              "train.eval_every=2",     "tokenizer.vocab=258",
                              "data.packing=documents", NULL};
    struct tiny_run run;
    struct ml_mem_stats before, after;
    tiny_open(&run, settings);
    run.job.train_count = 2;
    run.job.validation_count = 1;
    run.job.progress = NULL;
    run.job.restart = true;
    ml_mem_get_stats(&before);
    ml_mem_fail_at(UINT64_MAX);
    train(&run);
    ml_mem_get_stats(&after);
    uint64_t total = after.allocations;
    uint64_t stride = getenv("MALIANG_TEST_EXHAUSTIVE") ? 1 : total / 300 + 1;
    for (uint64_t n = 1; n < total; n += stride) {
        struct ml_error err = {0};
        ml_mem_fail_at(n);
        int status = ml_train_run(&run.job, &run.result, &err);
        ml_mem_fail_at(0);
        ml_mem_get_stats(&after);
        if (after.live_blocks != before.live_blocks)
            fail_msg("allocation %d: %d blocks leak", (int)n,
                     (int)(after.live_blocks - before.live_blocks));
        if (status == 0)
            continue; /* a loss that was made up for, such as a cache's */
        if (status != ML_ERR_MEMORY)
            fail_msg("allocation %d: %s", (int)n, err.message);
        assert_true(err.message[0] != 0);
        assert_null(strchr(err.message, '\n'));
    }
    tiny_close(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kills_change_nothing), /* first: forks before much else has run */
        cmocka_unit_test(a_run_leaves_its_folder),
        cmocka_unit_test(a_tiny_text_is_learnt_by_heart),
        cmocka_unit_test(muon_learns_too),
        cmocka_unit_test(stops_change_nothing),
        cmocka_unit_test(accumulation_is_a_larger_batch),
        cmocka_unit_test(recompute_changes_nothing),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(patience_stops_early),
        cmocka_unit_test(broken_numbers_are_met),
        cmocka_unit_test(another_recipe_is_refused),
        cmocka_unit_test(a_damaged_checkpoint_is_passed_over),
        cmocka_unit_test(a_full_disk_loses_nothing),
        cmocka_unit_test(metrics_go_on_where_the_weights_do),
        cmocka_unit_test(one_trainer_a_folder),
        cmocka_unit_test(no_text_is_said),
        cmocka_unit_test(minutes_become_steps),
        cmocka_unit_test(a_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests_name("trainer", tests, NULL, NULL);
}
