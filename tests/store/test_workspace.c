#include "scratch.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/blobs.h"
#include "store/records.h"
#include "store/sql.h"

static char folder[SCRATCH_PATH], path[SCRATCH_PATH + 64];
static struct ml_workspace_options create;
static const struct ml_workspace_options impatient = {.wait_seconds = -1};

static int set_up(void **state)
{
    scratch_make(folder);
    snprintf(path, sizeof path, "%s/工作 间?100%%#", folder); /* what a URI would trip over */
    create = scratch_options();
    return 0;
}

static int tear_down(void **state)
{
    chmod(path, 0700);
    scratch_remove(folder);
    return 0;
}

static struct ml_workspace *open_new(void)
{
    struct ml_workspace *ws = NULL;
    struct ml_error err = {0};
    assert_ok(ml_workspace_open(&ws, path, &create, &err), err);
    return ws;
}

static void add_text(struct ml_workspace *ws, const char *source, const char *text)
{
    struct ml_record record = {.kind = "text", .type = "text/plain", .source = source};
    struct ml_error err = {0};
    assert_ok(ml_records_add(ws, &record, text, strlen(text), NULL, NULL, &err), err);
}

static int64_t count(struct ml_workspace *ws)
{
    struct ml_error err = {0};
    int64_t n = -1;
    assert_ok(ml_records_count(ws, NULL, &n, NULL, &err), err);
    return n;
}

static void create_and_open_again(void **state)
{
    struct ml_error err = {0};
    struct ml_arena arena;
    struct ml_workspace *ws = open_new();
    ml_arena_init(&arena, 0);
    assert_int_equal(ml_workspace_folder(ws)[0], '/');
    char *inside = ml_workspace_path(ws, &arena, "models/x");
    assert_string_equal(ml_workspace_relative(ws, &arena, inside), "models/x");
    assert_string_equal(ml_workspace_relative(ws, &arena, "/else/where"), "/else/where");
    assert_string_equal(ml_workspace_path(ws, &arena, "/else/where"), "/else/where");
    assert_true(ml_path_is_dir(ml_workspace_path(ws, &arena, "models")));
    assert_true(ml_path_is_dir(ml_workspace_path(ws, &arena, "runs")));
    add_text(ws, "/a", "one");
    ml_workspace_close(ws);
    assert_true(ml_workspace_is_one(path));
    assert_false(ml_workspace_is_one(folder));
    assert_ok(ml_workspace_open(&ws, path, NULL, &err), err);
    assert_int_equal(count(ws), 1);
    ml_workspace_close(ws);
    ml_workspace_close(NULL);
    ml_arena_clear(&arena);
}

static void what_is_not_a_workspace(void **state)
{
    struct ml_workspace *ws = NULL;
    struct ml_error err = {0};
    char file[SCRATCH_PATH + 128];
    assert_fails(ml_workspace_open(&ws, path, NULL, &err), ML_ERR_NOT_FOUND, "no such workspace",
                 err);
    assert_ok(ml_dir_make(path, &err), err);
    assert_fails(ml_workspace_open(&ws, path, NULL, &err), ML_ERR_FORMAT, "not a workspace", err);
    snprintf(file, sizeof file, "%s/thesis.txt", path);
    assert_ok(ml_file_write(file, "x", 1, &err), err);
    assert_fails(ml_workspace_open(&ws, path, &create, &err), ML_ERR_FORMAT, "thesis.txt", err);
    assert_fails(ml_workspace_open(&ws, file, NULL, &err), ML_ERR_FORMAT, "a file", err);
    assert_int_not_equal(ml_workspace_open(&ws, file, &create, &err), 0);
    err = (struct ml_error){0};
    /* Bytes that are no database, and a database of something else. */
    snprintf(file, sizeof file, "%s/maliang.db", path);
    char noise[4096];
    memset(noise, 'n', sizeof noise);
    assert_ok(ml_file_write(file, noise, sizeof noise, &err), err);
    assert_fails(ml_workspace_open(&ws, path, NULL, &err), ML_ERR_FORMAT, "damaged", err);
    struct ml_db *db;
    unlink(file);
    assert_ok(ml_db_open(&db, file, ML_DB_CREATE, &err), err);
    assert_ok(ml_db_exec(db, "CREATE TABLE other(x)", &err), err);
    ml_db_close(db);
    assert_fails(ml_workspace_open(&ws, path, NULL, &err), ML_ERR_FORMAT, "not one of a workspace",
                 err);
    assert_null(ws);
}

static void left_half_made(void **state)
{
    struct ml_workspace *ws = NULL;
    struct ml_error err = {0};
    char file[SCRATCH_PATH + 128];
    const struct ml_workspace_options reader = {.read_only = true};
    snprintf(file, sizeof file, "%s/blobs", path);
    assert_ok(ml_dir_make(file, &err), err);
    snprintf(file, sizeof file, "%s/%s", path, scratch_server() ? "maliang.url" : "maliang.db");
    const char *text = scratch_server() ? create.database_url : "";
    assert_ok(ml_file_write(file, text, strlen(text), &err), err);
    assert_fails(ml_workspace_open(&ws, path, NULL, &err), ML_ERR_FORMAT, "half made", err);
    assert_fails(ml_workspace_open(&ws, path, &reader, &err), ML_ERR_UNSUPPORTED, "half made", err);
    ml_workspace_close(open_new());
    assert_ok(ml_workspace_open(&ws, path, NULL, &err), err);
    ml_workspace_close(ws);
}

static void from_a_newer_program(void **state)
{
    struct ml_workspace *ws = open_new();
    struct ml_error err = {0};
    struct ml_db *db;
    char file[SCRATCH_PATH + 128];
    const struct ml_workspace_options reader = {.read_only = true};
    ml_workspace_close(ws);
    ws = NULL;
    snprintf(file, sizeof file, "%s/maliang.db", path);
    const char *where = scratch_server() ? create.database_url : file;
    assert_ok(ml_db_open(&db, where, ML_DB_WRITE, &err), err);
    assert_ok(ml_db_exec(db, "UPDATE meta SET value = '1000000'", &err), err);
    ml_db_close(db);
    assert_fails(ml_workspace_open(&ws, path, NULL, &err), ML_ERR_UNSUPPORTED, "newer version",
                 err);
    assert_fails(ml_workspace_open(&ws, path, &create, &err), ML_ERR_UNSUPPORTED, "1000000", err);
    assert_fails(ml_workspace_open(&ws, path, &reader, &err), ML_ERR_UNSUPPORTED, "update", err);
    assert_null(ws);
}

static void transactions(void **state)
{
    struct ml_workspace *ws = open_new();
    struct ml_error err = {0};
    assert_ok(ml_workspace_begin(ws, &err), err);
    add_text(ws, "/a", "one");
    assert_int_equal(ml_workspace_end(ws, ML_ERR_CANCELLED, &err), ML_ERR_CANCELLED);
    assert_int_equal(count(ws), 0);
    /* A nested failure undoes the whole, even when the outer pair means to keep it. */
    assert_ok(ml_workspace_begin(ws, &err), err);
    add_text(ws, "/a", "one");
    assert_ok(ml_workspace_begin(ws, &err), err);
    add_text(ws, "/b", "two");
    assert_int_equal(ml_workspace_end(ws, ML_ERR_NUMERIC, &err), ML_ERR_NUMERIC);
    assert_fails(ml_workspace_end(ws, 0, &err), ML_ERR_STATE, "nothing of this batch", err);
    assert_int_equal(count(ws), 0);
    assert_ok(ml_workspace_begin(ws, &err), err);
    add_text(ws, "/a", "one");
    assert_ok(ml_workspace_end(ws, 0, &err), err);
    /* Closing undoes what was not ended. */
    assert_ok(ml_workspace_begin(ws, &err), err);
    add_text(ws, "/b", "two");
    ml_workspace_close(ws);
    assert_ok(ml_workspace_open(&ws, path, NULL, &err), err);
    assert_int_equal(count(ws), 1);
    ml_workspace_close(ws);
}

static void two_handles(void **state)
{
    struct ml_workspace *a = open_new(), *b = NULL, *reader = NULL;
    struct ml_error err = {0};
    assert_ok(ml_workspace_open(&b, path, &impatient, &err), err);
    assert_ok(
        ml_workspace_open(&reader, path, &(struct ml_workspace_options){.read_only = true}, &err),
        err);
    add_text(a, "/a", "one");
    add_text(b, "/b", "two");
    add_text(a, "/c", "three");
    assert_int_equal(count(a), 3);
    assert_int_equal(count(b), 3);
    assert_int_equal(count(reader), 3);
    assert_ok(ml_workspace_begin(a, &err), err);
    add_text(a, "/d", "four");
    assert_fails(ml_workspace_begin(b, &err), ML_ERR_STATE, "another handle", err);
    assert_int_equal(count(b), 3); /* readers are not held up, and see what was kept */
    assert_fails(ml_workspace_begin(reader, &err), ML_ERR_STATE, "reading only", err);
    assert_ok(ml_workspace_end(a, 0, &err), err);
    assert_int_equal(count(reader), 4);
    add_text(b, "/e", "five");
    ml_workspace_close(a);
    assert_int_equal(count(b), 5);
    ml_workspace_close(b);
    assert_int_equal(count(reader), 5);
    ml_workspace_close(reader);
}

static void two_processes(void **state)
{
    struct ml_workspace *ws = NULL;
    struct ml_error err = {0};
    int ends[2], status;
    char byte;
    ml_workspace_close(open_new()); /* SQLite's handles must not be taken over a fork */
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct ml_workspace *own = NULL;
        if (ml_workspace_open(&own, path, NULL, NULL) == 0 && ml_workspace_begin(own, NULL) == 0)
            (void)!write(ends[1], "x", 1);
        alarm(60); /* ends by itself if the test fails */
        pause();
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_ok(ml_workspace_open(&ws, path, &impatient, &err), err);
    char owner[32];
    snprintf(owner, sizeof owner, "process %ld", (long)child);
    assert_fails(ml_workspace_begin(ws, &err), ML_ERR_STATE, owner, err);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    ml_workspace_close(ws);
    ws = NULL; /* a server takes a moment to see that its client died */
    assert_ok(ml_workspace_open(&ws, path, NULL, &err), err);
    add_text(ws, "/a", "one");
    assert_int_equal(count(ws), 1);
    ml_workspace_close(ws);
    close(ends[0]);
    close(ends[1]);
}

/* Runs the check in a child that is not root, since root may write anywhere. */
static int as_nobody(int (*check)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(0);
        _exit(check());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

static int check_read_only(void)
{
    struct ml_workspace *ws = NULL;
    struct ml_error err = {0};
    int64_t n = 0;
    if (ml_workspace_open(&ws, path, NULL, &err) != ML_ERR_IO ||
        !strstr(err.message, "cannot be written"))
        return 1;
    err = (struct ml_error){0};
    if (ml_workspace_open(&ws, path, &(struct ml_workspace_options){.read_only = true}, &err) != 0)
        return 2;
    if (ml_records_count(ws, NULL, &n, NULL, &err) != 0 || n != 1)
        return 3;
    ml_workspace_close(ws);
    char beside[SCRATCH_PATH + 128];
    snprintf(beside, sizeof beside, "%s/new", path);
    ws = NULL;
    if (ml_workspace_open(&ws, beside, &create, &err) != ML_ERR_IO ||
        !strstr(err.message, "ermission"))
        return 4;
    return 0;
}

static void a_place_that_cannot_be_written(void **state)
{
    struct ml_workspace *ws = open_new();
    add_text(ws, "/a", "one");
    ml_workspace_close(ws);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(chmod(path, 0555), 0);
    assert_int_equal(as_nobody(check_read_only), 0);
}

/* A full disk, played by a limit on the size of files: one message, and what was there is there. */
static void a_full_disk(void **state)
{
    struct ml_workspace *ws = open_new();
    add_text(ws, "/a", "one");
    ml_workspace_close(ws);
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct ml_error err = {0};
        struct ml_record record = {.kind = "text", .type = "text/plain", .source = "/big"};
        static char big[300000];
        memset(big, 'x', sizeof big);
        signal(SIGXFSZ, SIG_IGN);
        if (ml_workspace_open(&ws, path, NULL, &err) != 0)
            _exit(1);
        if (setrlimit(RLIMIT_FSIZE, &(struct rlimit){100000, 100000}) != 0)
            _exit(0);
        if (ml_records_add(ws, &record, big, sizeof big, NULL, NULL, &err) != ML_ERR_IO)
            _exit(2);
        if (!strstr(err.message, "blob") || strchr(err.message, '\n'))
            _exit(3);
        /* Rows until the database's own files meet the limit. */
        err = (struct ml_error){0};
        int failed = 0;
        record.title = memset(big, 't', 2000);
        big[2000] = '\0';
        for (int i = 0; i < 200 && !failed; i++) {
            char source[32];
            snprintf(source, sizeof source, "/row/%d", i);
            record.source = source;
            failed = ml_records_add(ws, &record, source, strlen(source), NULL, NULL, &err);
        }
        if (failed != ML_ERR_IO || !strstr(err.message, "maliang.db"))
            _exit(4);
        ml_workspace_close(ws);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    struct ml_error err = {0};
    assert_ok(ml_workspace_open(&ws, path, NULL, &err), err);
    assert_in_range(count(ws), 1, 200);
    add_text(ws, "/after", "fine again");
    ml_workspace_close(ws);
}

/* The n-th allocation fails, for every n, in making, adding and opening. */
static void every_allocation_fails(void **state)
{
    struct ml_mem_stats before, after;
    ml_mem_get_stats(&before);
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        struct ml_workspace *ws = NULL;
        struct ml_error err = {0};
        struct ml_record record = {.kind = "text", .type = "text/plain", .source = "/a"};
        struct ml_arena arena;
        int64_t id = 0;
        ml_arena_init(&arena, 1);
        ml_mem_fail_at(n);
        int status = ml_workspace_open(&ws, path, &create, &err);
        if (status == 0)
            status = ml_records_add(ws, &record, "one", 3, &id, NULL, &err);
        if (status == 0)
            status = ml_records_get(ws, id, &arena, &record, &err);
        ml_mem_get_stats(&after);
        done = after.allocations < n;
        ml_mem_fail_at(0);
        if (done)
            assert_ok(status, err);
        else
            assert_int_equal(status, ML_ERR_MEMORY);
        assert_int_equal(status, err.code);
        ml_workspace_close(ws);
        ml_arena_clear(&arena);
        ml_mem_get_stats(&after);
        assert_int_equal(after.live_blocks, before.live_blocks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(create_and_open_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(left_half_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(from_a_newer_program, set_up, tear_down),
        cmocka_unit_test_setup_teardown(transactions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_handles, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_processes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_allocation_fails, set_up, tear_down),
    };
    const struct CMUnitTest files_only[] = {
        cmocka_unit_test_setup_teardown(what_is_not_a_workspace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_place_that_cannot_be_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk, set_up, tear_down),
    };
    int failed = cmocka_run_group_tests_name("workspace", tests, NULL, NULL);
    if (!scratch_server())
        failed += cmocka_run_group_tests_name("workspace in a file", files_only, NULL, NULL);
    return failed;
}
