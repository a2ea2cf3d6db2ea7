/* A locked-up tool: what it may do, and what it may not. The tools are those of every system. */
#include "scratch.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "data/child.h"
#include "maliang_config.h"

static struct ml_child_end end;

static int run(const char *const *arguments, const char *input, struct ml_buffer *out,
               const struct ml_child *how, struct ml_error *err)
{
    char path[300];
    const char *list[8] = {path};
    for (int i = 1; i < 8 && arguments[i - 1] && arguments[i]; i++)
        list[i] = arguments[i];
    if (!ml_child_find(arguments[0], path, sizeof path))
        skip();
    struct ml_child child = how ? *how : (struct ml_child){0};
    child.arguments = list;
    child.input = input;
    child.input_bytes = strlen(input);
    out->size = 0;
    return ml_child_run(&child, out, &end, err);
}

#define RUN(out, input, how, ...)                                                                  \
    do {                                                                                           \
        struct ml_error err_ = {0};                                                                \
        assert_ok(run((const char *const[]){__VA_ARGS__, NULL}, input, out, how, &err_), err_);    \
    } while (0)

static int open_fds(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void reading_and_writing(void **state)
{
    struct ml_buffer out = {0};
    int before = open_fds();
    RUN(&out, "春眠不觉晓", NULL, "cat");
    assert_int_equal(end.exit_code, 0);
    assert_string_equal(out.data, "春眠不觉晓");
    assert_string_equal(end.said, "");
    RUN(&out, "", NULL, "cat", "/no/such/file");
    assert_int_equal(end.exit_code, 1);
    assert_non_null(strstr(end.said, "/no/such/file"));
    assert_null(strchr(end.said, '\n'));
    /* More than a pipe holds, both ways. */
    size_t n = 3 << 20;
    char *large = malloc(n + 1);
    memset(large, 'x', n);
    large[n] = '\0';
    RUN(&out, large, NULL, "cat");
    assert_int_equal(out.size, n);
    free(large);
    ml_buffer_clear(&out);
    assert_int_equal(open_fds(), before);
}

static void what_is_refused(void **state)
{
    struct ml_buffer out = {0};
    char folder[SCRATCH_PATH], file[SCRATCH_PATH + 16], copy[SCRATCH_PATH + 32];
    scratch_make(folder);
    snprintf(file, sizeof file, "%s/file", folder);
    snprintf(copy, sizeof copy, "of=%s", file);
    /* No file is written, */
    RUN(&out, "x", NULL, "dd", copy, "status=none");
    assert_int_not_equal(end.exit_code, 0);
#ifdef MALIANG_HAVE_SECCOMP
    assert_false(ml_path_exists(file));
    /* no folder made, */
    RUN(&out, "", NULL, "mkdir", file);
    assert_int_not_equal(end.exit_code, 0);
    assert_false(ml_path_exists(file));
    /* no program started: neither beside it nor in its place, */
    RUN(&out, "", NULL, "sh", "-c", "cat /dev/null; echo done");
    assert_int_not_equal(end.exit_code, 0);
    assert_null(strstr(out.size ? out.data : "", "done"));
    RUN(&out, "", NULL, "env", "echo", "hello");
    assert_int_not_equal(end.exit_code, 0);
    assert_int_equal(out.size, 0);
    /* and no process is killed. */
    char number[20];
    snprintf(number, sizeof number, "%d", (int)getpid());
    RUN(&out, "", NULL, "sh", "-c", "kill -USR1 $PPID; echo $?");
    assert_string_not_equal(out.data, "0\n");
#endif
    ml_buffer_clear(&out);
    scratch_remove(folder);
}

/* Nothing of ours is there: no open files, no variables. */
static void what_it_sees(void **state)
{
    struct ml_buffer out = {0};
    int secret = open("/dev/null", O_RDONLY); /* not closed on exec */
    assert_true(secret >= 0);
    assert_int_equal(setenv("MALIANG_SECRET", "x", 1), 0);
    RUN(&out, "", NULL, "ls", "/proc/self/fd");
    assert_int_equal(end.exit_code, 0);
    assert_string_equal(out.data, "0\n1\n2\n3\n"); /* 3 is the folder itself */
    RUN(&out, "", NULL, "cat", "/proc/self/environ");
    assert_int_equal(end.exit_code, 0);
    assert_non_null(memmem(out.data, out.size, "LC_ALL", 6));
    assert_null(memmem(out.data, out.size, "SECRET", 6));
    close(secret);
    ml_buffer_clear(&out);
}

static void limits(void **state)
{
    struct ml_buffer out = {0};
    RUN(&out, "", &(struct ml_child){.seconds = 0.2}, "sleep", "30");
    assert_true(end.late);
    assert_int_equal(end.signal, SIGKILL);
    RUN(&out, "", &(struct ml_child){.max_out_bytes = 100000}, "yes");
    assert_true(end.large);
    assert_true(out.size < 400000);
    /* Memory: a sort that may not have it. */
    RUN(&out, "b\na\n", &(struct ml_child){.memory_bytes = 1 << 20}, "sort");
    assert_true(end.exit_code != 0);
    ml_buffer_clear(&out);
}

static void no_tool(void **state)
{
    struct ml_error err = {0};
    struct ml_buffer out = {0};
    char path[100];
    assert_false(ml_child_find("no-such-tool", path, sizeof path));
    assert_false(ml_child_find("cat", path, 3)); /* no room for its path */
    const char *const missing[] = {"/no/such/tool", NULL};
    assert_fails(ml_child_run(&(struct ml_child){.arguments = missing}, &out, &end, &err),
                 ML_ERR_IO, "/no/such/tool: cannot be opened", err);
    const char *const folder[] = {"/tmp", NULL};
    assert_fails(ml_child_run(&(struct ml_child){.arguments = folder}, &out, &end, &err), ML_ERR_IO,
                 "cannot be started", err);
    /* A folder of PATH that is not absolute is not looked at. */
    char *before = strdup(getenv("PATH"));
    setenv("PATH", ".:bin", 1);
    assert_false(ml_child_find("cat", path, sizeof path));
    setenv("PATH", before, 1);
    free(before);
    ml_buffer_clear(&out);
}

static void allocations(void **state)
{
    struct ml_mem_stats before, after;
    int fds = open_fds();
    const char *const cat[] = {"cat", NULL};
    ml_mem_get_stats(&before);
    for (uint64_t n = 1;; n++) {
        struct ml_error err = {0};
        struct ml_buffer out = {0};
        ml_mem_fail_at(n);
        int status = run(cat, "text", &out, NULL, &err);
        ml_mem_get_stats(&after);
        ml_mem_fail_at(0);
        ml_buffer_clear(&out);
        if (after.allocations < n) {
            assert_ok(status, err);
            break;
        }
        assert_int_equal(status, ML_ERR_MEMORY);
        ml_mem_get_stats(&after);
        assert_int_equal(after.live_blocks, before.live_blocks);
        assert_int_equal(open_fds(), fds);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_and_writing),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(what_it_sees),
        cmocka_unit_test(limits),
        cmocka_unit_test(no_tool),
        cmocka_unit_test(allocations),
    };
    return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
