/* A folder for one test case, and the cmocka headers in their order. */
#ifndef ML_TESTS_SCRATCH_H
#define ML_TESTS_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/files.h"
#include "store/workspace.h"

#define SCRATCH_PATH 512

/* Makes a fresh folder; remove it with scratch_remove. In memory where that can be had: the store
 * syncs a lot, and what a disk makes of that is not what is tested. */
static inline void scratch_make(char path[SCRATCH_PATH])
{
    const char *base = getenv("TMPDIR");
    if (!base || !*base)
        base = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(path, SCRATCH_PATH, "%.400s/maliang-test-XXXXXX", base);
    assert_non_null(mkdtemp(path));
}

static inline void scratch_remove(const char *path)
{
    struct ml_error err = {0};
    if (ml_dir_remove(path, &err) != 0)
        print_message("%s\n", err.message);
}

/* The server that tests run against (with_postgres.sh), or NULL: the database is a file. */
static inline const char *scratch_server(void)
{
    const char *server = getenv("MALIANG_TEST_DATABASE");
    return server && *server ? server : NULL;
}

/* Where a database of its own is for a test case: the file, or a fresh schema of the server. */
static inline const char *scratch_database(const char *file)
{
    static char url[SCRATCH_PATH];
    static int number;
    if (!scratch_server())
        return file;
    snprintf(url, sizeof url, "%s&schema=test_%ld_%d", scratch_server(), (long)getpid(), number++);
    return url;
}

/* For making a workspace whose rows lie there. */
static inline struct ml_workspace_options scratch_options(void)
{
    return (struct ml_workspace_options){.create = true, .database_url = scratch_database(NULL)};
}

#define assert_ok(call, err)                                                                       \
    do {                                                                                           \
        int status_ = (call);                                                                      \
        if (status_)                                                                               \
            fail_msg("%s: %d %s", #call, status_, (err).message);                                  \
    } while (0)

/* The call fails with this code, and its one line of message contains the text. */
#define assert_fails(call, code_, text, err)                                                       \
    do {                                                                                           \
        (err) = (struct ml_error){0};                                                              \
        assert_int_equal((call), (code_));                                                         \
        assert_int_equal((err).code, (code_));                                                     \
        if (!strstr((err).message, (text)))                                                        \
            fail_msg("\"%s\" does not say \"%s\"", (err).message, (text));                         \
        assert_null(strchr((err).message, '\n'));                                                  \
        (err) = (struct ml_error){0};                                                              \
    } while (0)

#endif
