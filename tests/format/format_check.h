/* What the tests of file formats share: a folder of their own, and checks of messages. */
#ifndef TESTS_FORMAT_CHECK_H
#define TESTS_FORMAT_CHECK_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/files.h"

struct folder {
    char path[256];
    char file[4][320]; /* room for the paths that a test builds */
};

static inline int folder_setup(void **state)
{
    static struct folder folder;
    const char *root = getenv("TMPDIR");
    memset(&folder, 0, sizeof folder);
    snprintf(folder.path, sizeof folder.path, "%s/maliang-format-XXXXXX", root ? root : "/tmp");
    *state = &folder;
    return mkdtemp(folder.path) ? 0 : -1;
}

static inline int folder_teardown(void **state)
{
    struct folder *folder = *state;
    return ml_dir_remove(folder->path, NULL);
}

static inline const char *in_folder(void **state, int slot, const char *name)
{
    struct folder *folder = *state;
    snprintf(folder->file[slot], sizeof folder->file[slot], "%s/%s", folder->path, name);
    return folder->file[slot];
}

static inline void assert_message(const struct ml_error *err, int code, const char *part)
{
    if (err->code != code || !strstr(err->message, part) || strchr(err->message, '\n'))
        fail_msg("wanted %d \"...%s...\", got %d \"%s\"", code, part, err->code, err->message);
}

static inline uint64_t live_blocks(void)
{
    struct ml_mem_stats stats;
    ml_mem_get_stats(&stats);
    return stats.live_blocks;
}

/* Runs `work` with the first, second, ... allocation failing until it passes untouched; every
 * failure must leave a message and no block behind. Returns how many failures it lived through. */
static inline int each_allocation_fails(int (*work)(void *arg, struct ml_error *err), void *arg)
{
    for (uint64_t n = 1; n < 100000; n++) {
        struct ml_mem_stats stats;
        struct ml_error err = {0};
        uint64_t before = live_blocks();
        ml_mem_fail_at(n);
        int rc = work(arg, &err);
        ml_mem_get_stats(&stats);
        ml_mem_fail_at(0);
        assert_int_equal(live_blocks(), before);
        if (stats.allocations < n) {
            assert_int_equal(rc, 0);
            return (int)n - 1;
        }
        assert_true(rc < 0);
        assert_true(err.code < 0 && err.message[0] != '\0');
    }
    fail_msg("allocations never ended");
    return 0;
}

/* From here on a file cannot grow past `bytes` (as on a full disk); RLIM_INFINITY lifts it. */
static inline void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Files in the folder, temporary ones included. */
static inline int count_files(const char *folder)
{
    char command[400];
    int count = -1;
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", folder);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    return count;
}

#endif
