/* Collecting that dies: killed at any of its steps or at random moments, or on a disk that is full.
 * bench/kill_collect.sh does it for as long as one likes. */
#include "data_material.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "store/check.h"

static struct material m;

static int set_up(void **state)
{
    material_make(&m);
    material_lines(&m, "a.jsonl", 2300, "甲");
    material_text(&m, "b.txt", "one file\n");
    material_text(&m, "c", "one\n%\ntwo\n%\n");
    material_lines(&m, "d.jsonl", 1200, "丁");
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(m.root);
    return 0;
}

#define RECORDS (2300 + 1 + 2 + 1200)

struct killer {
    int left;
};

static int kill_at(void *arg, uint64_t files, uint64_t total, const char *path)
{
    struct killer *k = arg;
    if (--k->left == 0)
        kill(getpid(), SIGKILL);
    return 0;
}

/* In a child, so that the parent's handles never cross the fork. True when it lived to the end. */
static bool collect_until(int step, int64_t allocation)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct killer k = {.left = step};
        struct ml_workspace *ws = NULL;
        struct ml_collect_report report;
        const struct ml_collect_options options = {.progress = kill_at, .arg = &k};
        const char *const paths[] = {m.folder};
        signal(SIGXFSZ, SIG_IGN);
        int failed = ml_workspace_open(&ws, m.workspace,
                                       &(struct ml_workspace_options){.create = true}, NULL);
        ml_mem_fail_at((uint64_t)allocation);
        if (!failed)
            failed = ml_collect(ws, paths, 1, &options, &report, NULL);
        if (allocation && failed) /* dies in the midst of a batch, with everything open */
            kill(getpid(), SIGKILL);
        ml_workspace_close(ws);
        _exit(failed ? 1 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        assert_int_equal(WTERMSIG(status), SIGKILL);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Opens, reads back all that is there, collects the rest, and finds exactly what an unbroken run
 * finds. */
static void check_and_finish(int64_t *before)
{
    struct ml_workspace *ws = material_workspace(&m);
    struct ml_collect_report report;
    struct ml_error err = {0};
    const char *const paths[] = {m.folder};
    *before = material_verify(ws);
    assert_ok(ml_collect(ws, paths, 1, NULL, &report, &err), err);
    assert_int_equal(report.added + report.present, RECORDS);
    assert_int_equal(report.added, RECORDS - *before);
    assert_int_equal(report.replaced, 0);
    assert_int_equal(material_verify(ws), RECORDS);
    ml_workspace_close(ws);
}

static void killed_at_each_step(void **state)
{
    int64_t before = 0, most = 0, partial = 0;
    int step = 1;
    for (bool lived = false; !lived; step++) {
        struct ml_error err = {0};
        lived = collect_until(step, 0);
        check_and_finish(&before);
        partial += before > 0 && before < RECORDS;
        most = before > most ? before : most;
        assert_ok(ml_dir_remove(m.workspace, &err), err);
        assert_in_range(step, 1, 100);
    }
    assert_int_equal(most, RECORDS);
    assert_in_range(partial, 2, 100); /* some of the kills fell in the midst */
}

/* Again and again on the same workspace, in the midst of batches (where an allocation fails). */
static void killed_many_times(void **state)
{
    struct ml_workspace *ws;
    int64_t before = 0, n = 0;
    for (int64_t allocation = 40; allocation < 60000; allocation += 7001) {
        collect_until(0, allocation);
        ws = material_workspace(&m);
        n = material_verify(ws);
        ml_workspace_close(ws);
        assert_true(n >= before); /* nothing that was there is lost */
        before = n;
    }
    check_and_finish(&before);
}

/* Nothing that the rows name is missing or damaged; what a killed writer left goes. */
static void check_and_mend(struct ml_workspace *ws)
{
    struct ml_error err = {0};
    struct ml_workspace_check found;
    struct ml_check_options how = {.deep = true};
    assert_ok(ml_workspace_check(ws, &how, &found, &err), err);
    assert_int_equal(found.database + found.missing + found.damaged + found.lost_records, 0);
    how.repair = true;
    assert_ok(ml_workspace_check(ws, &how, &found, &err), err);
    assert_int_equal(found.remaining, 0);
    assert_ok(ml_workspace_check(ws, NULL, &found, &err), err);
    assert_int_equal(found.problems, 0);
}

#define MOMENTS 10

static void killed_at_random_moments(void **state)
{
    struct ml_rng rng;
    int64_t before = 0;
    int status;
    uint64_t most = scratch_server() ? 600000 : 60000; /* microseconds: about a whole run */
    ml_rng_init(&rng, 20261127, 0);
    ml_workspace_close(material_workspace(&m));
    for (int i = 0; i < MOMENTS; i++) {
        pid_t child = fork();
        if (child == 0) {
            struct ml_workspace *ws = NULL;
            struct ml_collect_report report;
            const char *const paths[] = {m.folder};
            if (ml_workspace_open(&ws, m.workspace, NULL, NULL) == 0)
                ml_collect(ws, paths, 1, NULL, &report, NULL);
            ml_workspace_close(ws);
            _exit(0);
        }
        usleep((useconds_t)ml_rng_below(&rng, most));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        struct ml_workspace *ws = material_workspace(&m);
        check_and_mend(ws);
        int64_t n = material_verify(ws);
        assert_true(n >= before); /* nothing that was there is lost */
        before = n;
        ml_workspace_close(ws);
    }
    check_and_finish(&before);
}

static void a_full_disk(void **state)
{
    struct ml_error err = {0};
    int64_t before = 0;
    int status;
    for (rlim_t limit = 20000; limit < 500000; limit *= 3) {
        ml_workspace_close(material_workspace(&m));
        pid_t child = fork();
        if (child == 0) {
            struct ml_workspace *ws = NULL;
            struct ml_collect_report report;
            struct ml_error failure = {0};
            const char *const paths[] = {m.folder};
            signal(SIGXFSZ, SIG_IGN);
            if (ml_workspace_open(&ws, m.workspace, NULL, NULL) != 0)
                _exit(2);
            if (setrlimit(RLIMIT_FSIZE, &(struct rlimit){limit, limit}) != 0)
                _exit(0);
            int failed = ml_collect(ws, paths, 1, NULL, &report, &failure);
            ml_workspace_close(ws);
            if (failed && (failed != ML_ERR_IO || !*failure.message))
                _exit(3);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        check_and_finish(&before);
        assert_ok(ml_dir_remove(m.workspace, &err), err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_at_each_step, set_up, tear_down),
        cmocka_unit_test_setup_teardown(killed_many_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(killed_at_random_moments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk, set_up, tear_down),
    };
    const struct CMUnitTest on_a_server[] = {
        cmocka_unit_test_setup_teardown(killed_at_random_moments, set_up, tear_down),
    };
    if (scratch_server())
        return cmocka_run_group_tests_name("collect_crash on a server", on_a_server, NULL, NULL);
    return cmocka_run_group_tests_name("collect_crash", tests, NULL, NULL);
}
