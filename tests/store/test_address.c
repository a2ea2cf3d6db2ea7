#include "scratch.h"

#include <sys/stat.h>

#include "store/address.h"

static char folder[SCRATCH_PATH], path[SCRATCH_PATH + 32];
static struct ml_arena arena;

static int set_up(void **state)
{
    scratch_make(folder);
    snprintf(path, sizeof path, "%s/maliang.url", folder);
    ml_arena_init(&arena, 0);
    return 0;
}

static int tear_down(void **state)
{
    ml_arena_clear(&arena);
    scratch_remove(folder);
    return 0;
}

static void put(const char *text, size_t n)
{
    struct ml_error err = {0};
    assert_ok(ml_file_write(path, text, n, &err), err);
}

static void written_and_read(void **state)
{
    struct ml_error err = {0};
    struct ml_address got,
        address = {.database = "postgresql://u:geheim@h/d", .blobs = "s3://bucket/prefix"};
    struct stat info;
    assert_ok(ml_address_read(&got, &arena, folder, &err), err);
    assert_null(got.database);
    assert_null(got.blobs);
    assert_ok(ml_address_write(&address, folder, &err), err);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_ok(ml_address_read(&got, &arena, folder, &err), err);
    assert_true(ml_address_equal(&got, &address));
    got.blobs = NULL;
    assert_false(ml_address_equal(&got, &address));
    assert_ok(ml_address_write(&got, folder, &err), err); /* over the old one */
    assert_ok(ml_address_read(&address, &arena, folder, &err), err);
    assert_true(ml_address_equal(&got, &address));
}

static void by_hand(void **state)
{
    static const char text[] = "# rows\r\n\r\n  postgres://h/d \t\r\n# bytes\ns3://b";
    struct ml_error err = {0};
    struct ml_address got;
    put(text, sizeof text - 1);
    assert_ok(ml_address_read(&got, &arena, folder, &err), err);
    assert_string_equal(got.database, "postgres://h/d");
    assert_string_equal(got.blobs, "s3://b");
}

static void mistakes(void **state)
{
    struct ml_error err = {0};
    struct ml_address got;
    static const char *const passwords[] = {"postgresql://u:geheim@h/d\n",
                                            "postgresql://h/d?password=geheim\n"};
    put("\nmysql://u:geheim@h/d\n", 22);
    assert_int_equal(ml_address_read(&got, &arena, folder, &err), ML_ERR_FORMAT);
    assert_non_null(strstr(err.message, "maliang.url:2"));
    assert_null(strstr(err.message, "geheim"));
    err = (struct ml_error){0};
    put("s3://a\ns3://b\n", 14);
    assert_fails(ml_address_read(&got, &arena, folder, &err), ML_ERR_FORMAT, ":2: a second", err);
    put("s3://a\0b", 8);
    assert_fails(ml_address_read(&got, &arena, folder, &err), ML_ERR_FORMAT, "not a text", err);
    for (size_t i = 0; i < 2; i++) {
        put(passwords[i], strlen(passwords[i]));
        assert_int_equal(chmod(path, 0640), 0);
        assert_fails(ml_address_read(&got, &arena, folder, &err), ML_ERR_STATE, "chmod 600", err);
        assert_int_equal(chmod(path, 0600), 0);
        assert_ok(ml_address_read(&got, &arena, folder, &err), err);
    }
    char *long_one = ml_arena_calloc(&arena, 20000, 1);
    memset(long_one, '#', 20000);
    put(long_one, 20000);
    assert_fails(ml_address_read(&got, &arena, folder, &err), ML_ERR_LIMIT, "maliang.url", err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(written_and_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(by_hand, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mistakes, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
