#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/files.h"

/* Each test gets an empty folder and leaves nothing behind. */
struct place {
    char folder[64], file[128];
};

static int enter(void **state)
{
    static struct place place;
    strcpy(place.folder, "/tmp/maliang-files-XXXXXX");
    if (!mkdtemp(place.folder))
        return -1;
    snprintf(place.file, sizeof place.file, "%s/a.txt", place.folder);
    *state = &place;
    return 0;
}

static int leave(void **state)
{
    struct place *place = *state;
    return ml_dir_remove(place->folder, NULL);
}

static int count_entry(void *arg, const char *path, uint64_t bytes, struct ml_error *err)
{
    ++*(int *)arg;
    return 0;
}

/* Entries of the folder, hidden ones too: no temporary file may stay. */
static int entries(const char *folder)
{
    char command[128];
    int count = -1;
    snprintf(command, sizeof command, "ls -A %s | wc -l", folder);
    FILE *pipe = popen(command, "r");
    if (!pipe || fscanf(pipe, "%d", &count) != 1)
        count = -1;
    if (pipe)
        pclose(pipe);
    return count;
}

static void assert_file_is(const char *path, const char *text)
{
    struct ml_arena arena;
    char *got = NULL;
    size_t size = 0;
    ml_arena_init(&arena, 0);
    assert_int_equal(ml_file_read(&arena, path, 1 << 20, &got, &size, NULL), 0);
    assert_string_equal(got, text);
    assert_int_equal(size, strlen(text));
    ml_arena_clear(&arena);
}

static void a_file_comes_back_as_written(void **state)
{
    struct place *place = *state;
    struct ml_error err = {0};
    assert_int_equal(ml_file_write(place->file, "神笔\n", 7, &err), 0);
    assert_file_is(place->file, "神笔\n");
    assert_int_equal(ml_file_write(place->file, "", 0, &err), 0);
    assert_file_is(place->file, "");
    assert_int_equal(entries(place->folder), 1);
}

static void a_reader_sees_the_old_file_until_commit(void **state)
{
    struct place *place = *state;
    struct ml_writer writer = {0};
    struct ml_error err = {0};
    assert_int_equal(ml_file_write(place->file, "old", 3, &err), 0);
    assert_int_equal(ml_writer_open(&writer, place->file, &err), 0);
    assert_int_equal(ml_writer_put(&writer, "new", 3, &err), 0);
    assert_int_equal(ml_writer_put(&writer, NULL, 0, &err), 0);
    assert_file_is(place->file, "old");
    int seen = 0; /* the temporary file is hidden from walks */
    assert_int_equal(ml_dir_walk(place->folder, count_entry, &seen, &err), 0);
    assert_int_equal(seen, 1);
    assert_int_equal(ml_writer_commit(&writer, &err), 0);
    assert_file_is(place->file, "new");
    ml_writer_abort(&writer); /* accepts a committed writer */
    assert_file_is(place->file, "new");
    assert_int_equal(entries(place->folder), 1);
}

static void abort_leaves_everything_as_it_was(void **state)
{
    struct place *place = *state;
    struct ml_writer writer = {0};
    assert_int_equal(ml_file_write(place->file, "old", 3, NULL), 0);
    assert_int_equal(ml_writer_open(&writer, place->file, NULL), 0);
    assert_int_equal(ml_writer_put(&writer, "new", 3, NULL), 0);
    ml_writer_abort(&writer);
    ml_writer_abort(&writer);
    ml_writer_abort(NULL);
    assert_file_is(place->file, "old");
    assert_int_equal(entries(place->folder), 1);
    struct ml_error err = {0};
    assert_int_equal(ml_writer_commit(&writer, &err), ML_ERR_STATE);
}

static void mode_and_link_of_the_target_stay(void **state)
{
    struct place *place = *state;
    char link[128];
    struct stat info;
    snprintf(link, sizeof link, "%s/link", place->folder);
    assert_int_equal(ml_file_write(place->file, "old", 3, NULL), 0);
    assert_int_equal(chmod(place->file, 0640), 0);
    assert_int_equal(symlink("a.txt", link), 0);
    assert_int_equal(ml_file_write(link, "new", 3, NULL), 0);
    assert_file_is(place->file, "new");
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(stat(place->file, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
}

/* A limit on the size of files stands for a full disk: small writes meet it when the stream is
 * flushed, large ones at once. */
static void check_full_disk(struct place *place, size_t bytes)
{
    static char text[1 << 16];
    struct ml_error err = {0};
    struct rlimit old, tight;
    struct ml_mem_stats before, after;
    assert_int_equal(ml_file_write(place->file, "old", 3, &err), 0);
    ml_mem_get_stats(&before);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    tight = old;
    tight.rlim_cur = 100;
    setrlimit(RLIMIT_FSIZE, &tight);
    int status = ml_file_write(place->file, text, bytes, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    ml_mem_get_stats(&after);
    assert_int_equal(status, ML_ERR_IO);
    assert_non_null(strstr(err.message, place->file));
    assert_non_null(strstr(err.message, "File too large"));
    assert_non_null(strstr(err.message, "nothing was replaced"));
    assert_file_is(place->file, "old");
    assert_int_equal(entries(place->folder), 1);
    assert_int_equal(after.live_blocks, before.live_blocks);
}

static void a_full_disk_at_write_loses_nothing(void **state)
{
    check_full_disk(*state, 1 << 16);
}

static void a_full_disk_at_flush_loses_nothing(void **state)
{
    check_full_disk(*state, 200);
}

static void a_put_that_failed_is_not_committed(void **state)
{
    struct place *place = *state;
    static char text[1 << 16];
    struct ml_error err = {0};
    struct rlimit old, tight;
    struct ml_writer writer = {0};
    assert_int_equal(ml_writer_open(&writer, place->file, &err), 0);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    tight = old;
    tight.rlim_cur = 100;
    setrlimit(RLIMIT_FSIZE, &tight);
    assert_int_equal(ml_writer_put(&writer, text, sizeof text, &err), ML_ERR_IO);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(ml_writer_commit(&writer, &err), ML_ERR_IO);
    assert_int_equal(entries(place->folder), 0);
}

static void a_full_device_is_one_message(void **state)
{
    struct ml_error err = {0};
    if (access("/dev/full", W_OK) != 0)
        skip();
    assert_int_equal(ml_file_write("/dev/full", "text", 4, &err), ML_ERR_IO);
    assert_non_null(strstr(err.message, "/dev/full"));
    assert_non_null(strstr(err.message, "No space left on device"));
    struct stat info; /* the device itself was not replaced by a file */
    assert_int_equal(stat("/dev/full", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
    assert_int_equal(ml_file_write("/dev/null", "text", 4, NULL), 0);
}

static void places_that_cannot_be_written(void **state)
{
    struct place *place = *state;
    struct ml_error err = {0};
    char path[128];
    snprintf(path, sizeof path, "%s/none/x", place->folder);
    assert_int_equal(ml_file_write(path, "x", 1, &err), ML_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, path));
    err = (struct ml_error){0};
    assert_int_equal(ml_file_write(place->folder, "x", 1, &err), ML_ERR_ARG);
    assert_non_null(strstr(err.message, "folder"));
    assert_int_equal(entries(place->folder), 0);
}

static void a_very_long_name_can_be_written(void **state)
{
    struct place *place = *state;
    char path[400];
    size_t n = (size_t)snprintf(path, sizeof path, "%s/", place->folder);
    memset(path + n, 'n', 255);
    path[n + 255] = '\0';
    assert_int_equal(ml_file_write(path, "x", 1, NULL), 0);
    assert_file_is(path, "x");
}

static void reading_keeps_the_limit(void **state)
{
    struct place *place = *state;
    struct ml_arena arena;
    struct ml_error err = {0};
    char *text = (char *)place;
    size_t size = 77;
    ml_arena_init(&arena, 0);
    assert_int_equal(ml_file_write(place->file, "12345", 5, NULL), 0);
    assert_int_equal(ml_file_read(&arena, place->file, 4, &text, &size, &err), ML_ERR_LIMIT);
    assert_ptr_equal(text, place);
    assert_int_equal(size, 77);
    assert_non_null(strstr(err.message, "limit of 4 bytes"));
    assert_int_equal(ml_file_read(&arena, place->file, 5, &text, NULL, NULL), 0);
    assert_string_equal(text, "12345");
    /* /dev/zero says that it is empty and never ends */
    assert_int_equal(ml_file_read(&arena, "/dev/zero", 100000, &text, &size, NULL), ML_ERR_LIMIT);
    assert_int_equal(ml_file_read(&arena, "/proc/self/stat", 100000, &text, &size, NULL), 0);
    assert_true(size > 10);
    ml_arena_clear(&arena);
}

static void reading_what_is_not_there(void **state)
{
    struct place *place = *state;
    struct ml_arena arena;
    struct ml_file_map map;
    struct ml_error err = {0};
    char *text;
    ml_arena_init(&arena, 0);
    assert_int_equal(ml_file_read(&arena, place->file, 9, &text, NULL, &err), ML_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "No such file"));
    assert_int_equal(ml_file_read(&arena, place->folder, 9, &text, NULL, NULL), ML_ERR_ARG);
    assert_int_equal(ml_file_map_open(&map, place->file, NULL), ML_ERR_NOT_FOUND);
    assert_int_equal(ml_file_map_open(&map, place->folder, NULL), ML_ERR_ARG);
    assert_int_equal(ml_file_map_open(&map, "/dev/null", NULL), ML_ERR_ARG);
    ml_arena_clear(&arena);
}

static void a_map_shows_the_bytes(void **state)
{
    struct place *place = *state;
    struct ml_file_map map = {0};
    assert_int_equal(ml_file_write(place->file, "abc\0d", 5, NULL), 0);
    assert_int_equal(ml_file_map_open(&map, place->file, NULL), 0);
    assert_int_equal(map.size, 5);
    assert_memory_equal(map.data, "abc\0d", 5);
    ml_file_map_close(&map);
    assert_null(map.data);
    assert_int_equal(ml_file_write(place->file, "", 0, NULL), 0);
    assert_int_equal(ml_file_map_open(&map, place->file, NULL), 0);
    assert_int_equal(map.size, 0);
    assert_null(map.data);
    ml_file_map_close(&map);
    ml_file_map_close(NULL);
}

static void lines_are_read_one_by_one(void **state)
{
    struct place *place = *state;
    struct ml_buffer line = {0};
    struct ml_error err = {0};
    char text[1300] = "one\r\n\n\0z\n";
    memset(text + 9, 'w', 1200);
    assert_int_equal(ml_file_write(place->file, text, 9 + 1200, NULL), 0);
    FILE *file = fopen(place->file, "r");
    assert_non_null(file);
    assert_int_equal(ml_line_read(file, 1200, &line, &err), 1);
    assert_string_equal(line.data, "one");
    assert_int_equal(ml_line_read(file, 1200, &line, &err), 1);
    assert_int_equal(line.size, 0);
    assert_int_equal(ml_line_read(file, 1200, &line, &err), 1);
    assert_int_equal(line.size, 2);
    assert_memory_equal(line.data, "\0z", 3);
    assert_int_equal(ml_line_read(file, 1200, &line, &err), 1); /* the last needs no newline */
    assert_int_equal(line.size, 1200);
    assert_int_equal(ml_line_read(file, 1200, &line, &err), 0);
    fseek(file, 9, SEEK_SET);
    assert_int_equal(ml_line_read(file, 1199, &line, &err), ML_ERR_LIMIT);
    fclose(file);
    ml_buffer_clear(&line);
}

static void every_allocation_may_fail(void **state)
{
    struct place *place = *state;
    struct ml_mem_stats before, after;
    ml_mem_get_stats(&before);
    for (uint64_t n = 1;; n++) {
        struct ml_error err = {0};
        struct ml_arena arena;
        char *text = NULL;
        ml_arena_init(&arena, 0);
        ml_mem_fail_at(n);
        int status = ml_file_write(place->file, "text", 4, &err);
        if (status == 0)
            status = ml_file_read(&arena, place->file, 100, &text, NULL, &err);
        ml_mem_fail_at(0);
        ml_arena_clear(&arena);
        ml_mem_get_stats(&after);
        assert_int_equal(after.live_blocks, before.live_blocks);
        assert_true(entries(place->folder) <= 1);
        if (status == 0)
            break;
        assert_int_equal(status, ML_ERR_MEMORY);
        assert_non_null(strstr(err.message, "out of memory"));
        assert_true(n < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_comes_back_as_written, enter, leave),
        cmocka_unit_test_setup_teardown(a_reader_sees_the_old_file_until_commit, enter, leave),
        cmocka_unit_test_setup_teardown(abort_leaves_everything_as_it_was, enter, leave),
        cmocka_unit_test_setup_teardown(mode_and_link_of_the_target_stay, enter, leave),
        cmocka_unit_test_setup_teardown(a_full_disk_at_write_loses_nothing, enter, leave),
        cmocka_unit_test_setup_teardown(a_full_disk_at_flush_loses_nothing, enter, leave),
        cmocka_unit_test_setup_teardown(a_put_that_failed_is_not_committed, enter, leave),
        cmocka_unit_test(a_full_device_is_one_message),
        cmocka_unit_test_setup_teardown(places_that_cannot_be_written, enter, leave),
        cmocka_unit_test_setup_teardown(a_very_long_name_can_be_written, enter, leave),
        cmocka_unit_test_setup_teardown(reading_keeps_the_limit, enter, leave),
        cmocka_unit_test_setup_teardown(reading_what_is_not_there, enter, leave),
        cmocka_unit_test_setup_teardown(a_map_shows_the_bytes, enter, leave),
        cmocka_unit_test_setup_teardown(lines_are_read_one_by_one, enter, leave),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, enter, leave),
    };
    return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
