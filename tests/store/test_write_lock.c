#include "scratch.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/write_lock.h"

static char folder[SCRATCH_PATH], path[SCRATCH_PATH + 16];

static int set_up(void **state)
{
    scratch_make(folder);
    snprintf(path, sizeof path, "%s/lock", folder);
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(folder);
    return 0;
}

static void two_handles_of_one_process(void **state)
{
    struct ml_write_lock a, b;
    struct ml_error err = {0};
    bool taken = false;
    assert_ok(ml_write_lock_open(&a, path, &err), err);
    assert_ok(ml_write_lock_open(&b, path, &err), err);
    assert_ok(ml_write_lock_take(&a, 0, &taken, &err), err);
    assert_true(taken);
    assert_ok(ml_write_lock_take(&b, 0, &taken, &err), err);
    assert_false(taken);
    assert_ok(ml_write_lock_take(&b, 0.01, &taken, &err), err);
    assert_false(taken);
    assert_int_equal(ml_write_lock_owner(&b), getpid());
    ml_write_lock_leave(&a);
    assert_ok(ml_write_lock_take(&b, 0, &taken, &err), err);
    assert_true(taken);
    ml_write_lock_close(&b); /* leaves */
    assert_ok(ml_write_lock_take(&a, 0, &taken, &err), err);
    assert_true(taken);
    ml_write_lock_close(&a);
    ml_write_lock_close(&a);
}

/* A child that is killed while it holds the lock leaves it free. */
static void a_killed_owner(void **state)
{
    struct ml_write_lock lock;
    struct ml_error err = {0};
    bool taken = false;
    int pipe_ends[2], status;
    char byte;
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t child = fork();
    if (child == 0) {
        if (ml_write_lock_open(&lock, path, NULL) == 0 &&
            ml_write_lock_take(&lock, 0, &taken, NULL) == 0 && taken)
            (void)!write(pipe_ends[1], "x", 1);
        alarm(60); /* ends by itself if the test fails */
        pause();
    }
    assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
    assert_ok(ml_write_lock_open(&lock, path, &err), err);
    assert_ok(ml_write_lock_take(&lock, 0, &taken, &err), err);
    assert_false(taken);
    assert_int_equal(ml_write_lock_owner(&lock), child);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_ok(ml_write_lock_take(&lock, 0, &taken, &err), err);
    assert_true(taken);
    ml_write_lock_close(&lock);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

/* One that takes and leaves without pause cannot keep out another that waits: the child gets its
 * turns although the parent always wants the lock back at once. */
static void a_busy_writer_lets_others_in(void **state)
{
    struct ml_write_lock lock;
    struct ml_error err = {0};
    bool taken = false;
    int status;
    pid_t child = fork();
    if (child == 0) {
        int turns = 0;
        if (ml_write_lock_open(&lock, path, NULL) == 0)
            for (; turns < 5; turns++) {
                if (ml_write_lock_take(&lock, 60, &taken, NULL) != 0 || !taken)
                    break;
                ml_write_lock_leave(&lock);
            }
        _exit(turns == 5 ? 0 : 1);
    }
    assert_ok(ml_write_lock_open(&lock, path, &err), err);
    while (waitpid(child, &status, WNOHANG) == 0) {
        assert_ok(ml_write_lock_take(&lock, 60, &taken, &err), err);
        assert_true(taken);
        usleep(200);
        ml_write_lock_leave(&lock);
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ml_write_lock_close(&lock);
}

static void no_place_for_it(void **state)
{
    struct ml_write_lock lock = {-1};
    struct ml_error err = {0};
    assert_fails(ml_write_lock_open(&lock, "/nowhere/at/all/lock", &err), ML_ERR_IO, "/nowhere",
                 err);
    assert_int_equal(lock.file, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_handles_of_one_process, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_killed_owner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_busy_writer_lets_others_in, set_up, tear_down),
        cmocka_unit_test(no_place_for_it),
    };
    return cmocka_run_group_tests_name("write_lock", tests, NULL, NULL);
}
