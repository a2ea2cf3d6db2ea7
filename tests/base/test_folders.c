#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/files.h"

struct place {
    char folder[64];
    struct ml_arena arena;
};

static int enter(void **state)
{
    static struct place place;
    strcpy(place.folder, "/tmp/maliang-folders-XXXXXX");
    if (!mkdtemp(place.folder))
        return -1;
    ml_arena_init(&place.arena, 0);
    *state = &place;
    return 0;
}

static int leave(void **state)
{
    struct place *place = *state;
    int status = ml_path_exists(place->folder) ? ml_dir_remove(place->folder, NULL) : 0;
    ml_arena_clear(&place->arena);
    return status;
}

static char *at(struct place *place, const char *name)
{
    char *path = ml_path_join(&place->arena, place->folder, name);
    assert_non_null(path);
    return path;
}

static void put(struct place *place, const char *name)
{
    assert_int_equal(ml_file_write(at(place, name), name, strlen(name), NULL), 0);
}

static void paths_are_joined_with_one_slash(void **state)
{
    struct place *place = *state;
    assert_string_equal(ml_path_join(&place->arena, "a", "b"), "a/b");
    assert_string_equal(ml_path_join(&place->arena, "a/", "b"), "a/b");
    assert_string_equal(ml_path_join(&place->arena, "/", "b"), "/b");
    assert_string_equal(ml_path_join(&place->arena, "", "b"), "b");
}

static void folders_are_made_with_their_parents(void **state)
{
    struct place *place = *state;
    struct ml_error err = {0};
    assert_int_equal(ml_dir_make(at(place, "x/y//z/"), &err), 0);
    assert_true(ml_path_is_dir(at(place, "x/y/z")));
    assert_int_equal(ml_dir_make(at(place, "x/y/z"), &err), 0);
    assert_int_equal(ml_dir_make("/", &err), 0);
    put(place, "file");
    assert_true(ml_path_exists(at(place, "file")));
    assert_false(ml_path_is_dir(at(place, "file")));
    assert_int_equal(ml_dir_make(at(place, "file/inside"), &err), ML_ERR_IO);
    assert_non_null(strstr(err.message, "is a file"));
    ml_mem_fail_at(1);
    assert_int_equal(ml_dir_make("/tmp", NULL), ML_ERR_MEMORY);
    ml_mem_fail_at(0);
}

static void removal_takes_links_but_not_what_they_point_to(void **state)
{
    struct place *place = *state;
    struct ml_error err = {0};
    assert_int_equal(ml_dir_make(at(place, "keep"), NULL), 0);
    put(place, "keep/precious");
    assert_int_equal(ml_dir_make(at(place, "gone/deep/er"), NULL), 0);
    put(place, "gone/deep/er/file");
    put(place, "gone/.hidden");
    assert_int_equal(symlink(at(place, "keep"), at(place, "gone/link")), 0);
    assert_int_equal(symlink("nowhere", at(place, "gone/dangling")), 0);
    assert_int_equal(ml_dir_remove(at(place, "gone"), &err), 0);
    assert_false(ml_path_exists(at(place, "gone")));
    assert_true(ml_path_exists(at(place, "keep/precious")));
    assert_int_equal(symlink(at(place, "keep"), at(place, "link")), 0);
    assert_true(ml_dir_remove(at(place, "link"), &err) < 0);
    assert_true(ml_path_exists(at(place, "keep/precious")));
    err = (struct ml_error){0};
    assert_int_equal(ml_dir_remove(at(place, "never"), &err), ML_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "never"));
}

struct seen {
    struct ml_buffer text;
    size_t root;
    int stop_after;
};

static int note(void *arg, const char *path, uint64_t bytes, struct ml_error *err)
{
    struct seen *seen = arg;
    if (ml_buffer_printf(&seen->text, err, "%s %d\n", path + seen->root, (int)bytes))
        return ML_ERR_MEMORY;
    return --seen->stop_after == 0 ? 7 : 0;
}

static void make_tree(struct place *place)
{
    ml_dir_make(at(place, "a"), NULL);
    ml_dir_make(at(place, ".git"), NULL);
    ml_dir_make(at(place, "empty"), NULL);
    put(place, "a/x");
    put(place, "a-b");
    put(place, "a0");
    put(place, "文");
    put(place, ".hidden");
    put(place, ".git/config");
    assert_int_equal(symlink("a0", at(place, "link")), 0);
    assert_int_equal(symlink("..", at(place, "a/up")), 0);
    assert_int_equal(mkfifo(at(place, "pipe"), 0600), 0);
}

static void a_walk_goes_in_byte_order_of_the_paths(void **state)
{
    struct place *place = *state;
    struct seen seen = {.root = strlen(place->folder) + 1};
    make_tree(place);
    assert_int_equal(ml_dir_walk(place->folder, note, &seen, NULL), 0);
    assert_string_equal(seen.text.data, "a-b 3\na/x 3\na0 2\n文 3\n");
    ml_buffer_clear(&seen.text);
}

static void a_walk_stops_when_told(void **state)
{
    struct place *place = *state;
    struct seen seen = {.root = strlen(place->folder) + 1, .stop_after = 2};
    make_tree(place);
    assert_int_equal(ml_dir_walk(place->folder, note, &seen, NULL), 7);
    assert_string_equal(seen.text.data, "a-b 3\na/x 3\n");
    ml_buffer_clear(&seen.text);
}

static void a_walk_of_one_file_or_of_nothing(void **state)
{
    struct place *place = *state;
    struct ml_error err = {0};
    struct seen seen = {.root = strlen(place->folder) + 1};
    put(place, "one");
    assert_int_equal(ml_dir_walk(at(place, "one"), note, &seen, &err), 0);
    assert_string_equal(seen.text.data, "one 3\n");
    assert_int_equal(ml_dir_walk(at(place, "two"), note, &seen, &err), ML_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "two"));
    ml_buffer_clear(&seen.text);
}

static void a_walk_of_many_files_and_of_great_depth(void **state)
{
    struct place *place = *state;
    struct ml_error err = {0};
    struct seen seen = {.root = strlen(place->folder) + 1};
    char path[1024];
    for (int i = 0; i < 300; i++) {
        snprintf(path, sizeof path, "%03d", (i * 7) % 300);
        put(place, path);
    }
    assert_int_equal(ml_dir_walk(place->folder, note, &seen, &err), 0);
    assert_int_equal(seen.text.size, 300 * 6);
    assert_memory_equal(seen.text.data, "000 3\n001 3\n002 3\n", 18);
    ml_buffer_clear(&seen.text);
    path[0] = '\0';
    for (int i = 0; i < 140; i++)
        strcat(path, "d/");
    assert_int_equal(ml_dir_make(at(place, path), NULL), 0);
    assert_int_equal(ml_dir_walk(place->folder, note, &seen, &err), ML_ERR_LIMIT);
    assert_non_null(strstr(err.message, "folders deep"));
    ml_buffer_clear(&seen.text);
    /* Too deep for one removal too, which says so; from further down it works. */
    assert_int_equal(ml_dir_remove(place->folder, NULL), ML_ERR_LIMIT);
    path[2 * 70] = '\0';
    assert_int_equal(ml_dir_remove(at(place, path), NULL), 0);
}

static void every_allocation_of_a_walk_may_fail(void **state)
{
    struct place *place = *state;
    struct ml_mem_stats before, after;
    make_tree(place);
    ml_mem_get_stats(&before);
    for (uint64_t n = 1;; n++) {
        struct ml_error err = {0};
        struct seen seen = {.root = strlen(place->folder) + 1};
        ml_mem_fail_at(n);
        int status = ml_dir_walk(place->folder, note, &seen, &err);
        ml_mem_fail_at(0);
        ml_buffer_clear(&seen.text);
        ml_mem_get_stats(&after);
        assert_int_equal(after.live_blocks, before.live_blocks);
        if (status == 0)
            break;
        assert_int_equal(status, ML_ERR_MEMORY);
        assert_non_null(strstr(err.message, "out of memory"));
        assert_true(n < 100);
    }
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(paths_are_joined_with_one_slash),
        IN_PLACE(folders_are_made_with_their_parents),
        IN_PLACE(removal_takes_links_but_not_what_they_point_to),
        IN_PLACE(a_walk_goes_in_byte_order_of_the_paths),
        IN_PLACE(a_walk_stops_when_told),
        IN_PLACE(a_walk_of_one_file_or_of_nothing),
        IN_PLACE(a_walk_of_many_files_and_of_great_depth),
        IN_PLACE(every_allocation_of_a_walk_may_fail),
    };
    return cmocka_run_group_tests_name("folders", tests, NULL, NULL);
}
