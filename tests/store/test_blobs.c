#include "scratch.h"

#include <sys/stat.h>
#include <unistd.h>

#include "store/blobs.h"

static char folder[SCRATCH_PATH];
static struct ml_workspace *ws;
static struct ml_arena arena;

static int set_up(void **state)
{
    struct ml_error err = {0};
    const struct ml_workspace_options options = scratch_options();
    scratch_make(folder);
    ml_arena_init(&arena, 0);
    assert_ok(ml_workspace_open(&ws, folder, &options, &err), err);
    return 0;
}

static int tear_down(void **state)
{
    ml_workspace_close(ws);
    ml_arena_clear(&arena);
    scratch_remove(folder);
    return 0;
}

static void put_and_view(void **state)
{
    struct ml_error err = {0};
    char hash[ML_HASH_HEX], again[ML_HASH_HEX], empty[ML_HASH_HEX];
    struct ml_blob_view view = {0};
    assert_ok(ml_blobs_put(ws, "abc", 3, hash, &err), err);
    assert_ok(ml_blobs_put(ws, "abc", 3, again, &err), err);
    assert_ok(ml_blobs_put(ws, NULL, 0, empty, &err), err);
    assert_string_equal(hash, again);
    assert_string_equal(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_non_null(strstr(ml_blobs_path(ws, &arena, hash), "/blobs/ba/7816bf"));
    assert_ok(ml_blobs_view(ws, &view, hash, &err), err);
    assert_int_equal(view.map.size, 3);
    assert_memory_equal(view.map.data, "abc", 3);
    const void *before = view.map.data;
    assert_ok(ml_blobs_view(ws, &view, hash, &err), err);
    assert_ptr_equal(before, view.map.data);
    assert_ok(ml_blobs_view(ws, &view, empty, &err), err);
    assert_int_equal(view.map.size, 0);
    ml_blob_view_clear(&view);
    ml_blob_view_clear(NULL);
    assert_ok(ml_blobs_verify(ws, hash, &err), err);
    assert_ok(ml_blobs_verify(ws, empty, &err), err);
}

/* Damage is found, and putting the same bytes again repairs it. */
static void damage(void **state)
{
    struct ml_error err = {0};
    char hash[ML_HASH_HEX];
    struct ml_blob_view view = {0};
    assert_ok(ml_blobs_put(ws, "precious", 8, hash, &err), err);
    const char *path = ml_blobs_path(ws, &arena, hash);
    static const char *const damages[] = {"precioux", "prec", ""};
    for (size_t i = 0; i < 3; i++) {
        assert_ok(ml_file_write(path, damages[i], strlen(damages[i]), &err), err);
        assert_fails(ml_blobs_verify(ws, hash, &err), ML_ERR_FORMAT, "damaged", err);
        assert_ok(ml_blobs_put(ws, "precious", 8, hash, &err), err);
        assert_ok(ml_blobs_verify(ws, hash, &err), err);
    }
    unlink(path);
    assert_fails(ml_blobs_view(ws, &view, hash, &err), ML_ERR_NOT_FOUND, "collect its source again",
                 err);
    assert_ok(ml_blobs_put(ws, "precious", 8, hash, &err), err);
    assert_ok(ml_blobs_verify(ws, hash, &err), err);
    assert_fails(ml_blobs_view(ws, &view, "../../etc/passwd", &err), ML_ERR_ARG, "SHA-256", err);
}

/* What a writer left that lost its power: a file of the right name and size without a row. */
static void a_file_without_a_row_is_not_trusted(void **state)
{
    struct ml_error err = {0};
    char hash[ML_HASH_HEX];
    ml_hash_text("precious", 8, hash);
    const char *path = ml_blobs_path(ws, &arena, hash);
    char *inside = ml_arena_strdup(&arena, path);
    *strrchr(inside, '/') = '\0';
    assert_ok(ml_dir_make(inside, &err), err);
    assert_ok(ml_file_write(path, "\0\0\0\0\0\0\0\0", 8, &err), err);
    assert_ok(ml_blobs_put(ws, "precious", 8, hash, &err), err);
    assert_ok(ml_blobs_verify(ws, hash, &err), err);
}

/* More in one transaction than are synced one by one, and a rollback in between. */
static void many(void **state)
{
    struct ml_error err = {0};
    char hash[ML_HASH_HEX], text[16];
    for (int round = 0; round < 2; round++) {
        assert_ok(ml_workspace_begin(ws, &err), err);
        for (int i = 0; i < 40; i++) {
            int n = snprintf(text, sizeof text, "blob %d", i);
            assert_ok(ml_blobs_put(ws, text, (size_t)n, hash, &err), err);
        }
        assert_int_equal(ml_workspace_end(ws, round == 0 ? ML_ERR_CANCELLED : 0, &err),
                         round == 0 ? ML_ERR_CANCELLED : 0);
    }
    for (int i = 0; i < 40; i++) {
        int n = snprintf(text, sizeof text, "blob %d", i);
        ml_hash_text(text, (size_t)n, hash);
        assert_ok(ml_blobs_verify(ws, hash, &err), err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(put_and_view, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_without_a_row_is_not_trusted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("blobs", tests, NULL, NULL);
}
