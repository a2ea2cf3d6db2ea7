#include "export_fixture.h"

#include "data/export_webdataset.h"
#include "data/tar_write.h"

static struct export_fixture fixture;
static struct ml_arena arena;

static int set_up(void **state)
{
    export_open(&fixture);
    ml_arena_init(&arena, 0);
    return 0;
}

static int tear_down(void **state)
{
    export_close(&fixture);
    ml_arena_clear(&arena);
    return 0;
}

/* ---- tar, read by the rules of POSIX.1-2001 (pax, "ustar interchange format") ---- */

struct member {
    char name[1100];
    const char *bytes;
    uint64_t size;
};

static uint64_t octal(const char *digits, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n && digits[i] >= '0' && digits[i] <= '7'; i++)
        value = value * 8 + (uint64_t)(digits[i] - '0');
    return value;
}

static void check_header(const unsigned char *h)
{
    uint64_t sum = 0;
    for (int i = 0; i < 512; i++)
        sum += i >= 148 && i < 156 ? ' ' : h[i];
    assert_int_equal(octal((const char *)h + 148, 8), sum);
    assert_memory_equal(h + 257, "ustar\00000", 8);
    assert_int_equal(octal((const char *)h + 136, 12), 0); /* time */
    assert_int_equal(octal((const char *)h + 108, 8), 0);  /* owner */
}

static int read_tar(const char *tar, size_t n, struct member *members, int max)
{
    int count = 0;
    char path[1100] = "";
    assert_int_equal(n % 10240, 0);
    for (size_t at = 0; at + 512 <= n;) {
        const char *h = tar + at;
        if (!*h) { /* nothing but zeros to the end */
            for (; at < n; at++)
                assert_int_equal(tar[at], 0);
            return count;
        }
        check_header((const unsigned char *)h);
        uint64_t size = octal(h + 124, 12);
        if (h[156] == 'x') {
            size_t length = (size_t)atoi(h + 512);
            const char *value = strchr(h + 512, '=') + 1;
            assert_int_equal(h[512 + length - 1], '\n');
            assert_non_null(strstr(h + 512, " path="));
            snprintf(path, sizeof path, "%.*s", (int)(h + 512 + length - 1 - value), value);
        } else {
            assert_int_equal(h[156], '0');
            assert_true(count < max);
            struct member *m = &members[count++];
            snprintf(m->name, sizeof m->name, "%.*s", *path ? 1099 : 100, *path ? path : h);
            m->bytes = h + 512;
            m->size = size;
            path[0] = '\0';
        }
        at += 512 + (size + 511) / 512 * 512;
    }
    fail_msg("the archive has no end");
    return 0;
}

static void names(void **state)
{
    struct ml_error err = {0};
    struct ml_export_file file;
    static struct member members[8];
    char hundred[101], longer[902], plain[512];
    size_t n;
    memset(hundred, 'a', 100);
    hundred[100] = '\0';
    memset(longer, 'b', 901);
    longer[400] = '/';
    longer[901] = '\0';
    memset(plain, 'x', sizeof plain);
    assert_ok(ml_export_file_open(&file, fixture.out, false, &err), err);
    assert_ok(ml_tar_put(&file, hundred, "", 0, &err), err);
    assert_ok(ml_tar_put(&file, longer, "one", 3, &err), err);
    assert_ok(ml_tar_put(&file, "图/画.png", plain, sizeof plain, &err), err);
    assert_ok(ml_tar_put(&file, "last", plain, 511, &err), err);
    memset(plain, 'n', sizeof plain);
    assert_fails(ml_tar_put(&file, "", plain, 1, &err), ML_ERR_LIMIT, "1 to 1000", err);
    assert_ok(ml_tar_end(&file, &err), err);
    assert_ok(ml_export_file_commit(&file, NULL, &err), err);
    char *tar = export_read(&arena, fixture.out, &n);
    assert_int_equal(read_tar(tar, n, members, 8), 4);
    assert_string_equal(members[0].name, hundred);
    assert_int_equal(members[0].size, 0);
    assert_string_equal(members[1].name, longer);
    assert_memory_equal(members[1].bytes, "one", 3);
    assert_string_equal(members[2].name, "图/画.png");
    assert_int_equal(members[2].size, 512);
    assert_string_equal(members[3].name, "last");
    assert_int_equal(members[3].size, 511);
}

/* ---- shards ---- */

static char *shard(int i, size_t *n)
{
    char path[SCRATCH_PATH + 64];
    snprintf(path, sizeof path, "%s/data-%06d.tar", fixture.out, i);
    return export_read(&arena, path, n);
}

static void is_named(const struct member *m, const char *ending)
{
    if (strlen(m->name) != 8 + 1 + 12 + 1 + strlen(ending) || strcmp(m->name + 22, ending) != 0)
        fail_msg("%s is not KEY.%s", m->name, ending);
}

static void one_shard(void **state)
{
    struct ml_error err = {0};
    struct ml_export_result result;
    static struct member m[16];
    char hash[ML_HASH_HEX];
    size_t n;
    assert_ok(ml_export_webdataset(fixture.ws, &fixture.dataset, fixture.out, NULL, &result, &err),
              err);
    assert_int_equal(result.records, 5);
    assert_int_equal(result.files, 1);
    char *tar = shard(0, &n);
    assert_int_equal(result.bytes, n);
    ml_hash_text(tar, n, hash);
    assert_string_equal(result.hash, hash);
    assert_int_equal(read_tar(tar, n, m, 16), 11);
    is_named(&m[0], "txt");
    is_named(&m[1], "json");
    assert_memory_equal(m[0].bytes, "秦川雄帝宅\n函谷壮皇居", m[0].size);
    assert_memory_equal(m[0].name, m[1].name, 22);
    is_named(&m[4], "jpg");
    is_named(&m[5], "txt");
    is_named(&m[6], "json");
    assert_int_equal(m[4].size, EXPORT_PICTURE_BYTES);
    assert_memory_equal(m[4].bytes, export_picture, EXPORT_PICTURE_BYTES);
    assert_memory_equal(m[5].bytes, "a fox", 5);
    json_t *value = NULL;
    assert_ok(ml_json_parse(&value, m[6].bytes, m[6].size, "json", &err), err);
    assert_string_equal(json_string_value(json_object_get(value, "type")), "image/jpeg");
    assert_null(json_object_get(value, "text"));
    json_decref(value);
    export_leaves_nothing(&fixture, "out");
}

static void many_shards(void **state)
{
    struct ml_error err = {0};
    struct ml_export_result result;
    const struct ml_export_options options = {.shard_bytes = 3000};
    static struct member m[16];
    char again[SCRATCH_PATH + 32], command[2 * SCRATCH_PATH + 64];
    size_t n;
    int files = 0;
    assert_ok(
        ml_export_webdataset(fixture.ws, &fixture.dataset, fixture.out, &options, &result, &err),
        err);
    assert_int_equal(result.files, 3);
    assert_string_equal(result.hash, "");
    for (int i = 0; i < result.files; i++) {
        char *tar = shard(i, &n);
        files += read_tar(tar, n, m, 16);
    }
    assert_int_equal(files, 11);
    snprintf(again, sizeof again, "%s/again/", fixture.root);
    assert_ok(ml_dir_make(again, &err), err); /* an empty folder may be replaced */
    assert_ok(ml_export_webdataset(fixture.ws, &fixture.dataset, again, &options, &result, &err),
              err);
    snprintf(command, sizeof command, "diff -r '%s' '%s'", fixture.out, again);
    assert_int_equal(system(command), 0);
}

static volatile int stop;
static void stop_at_three(void *arg, int64_t done, int64_t total)
{
    stop = done == 3;
}

static void whole_or_not_at_all(void **state)
{
    struct ml_error err = {0};
    struct ml_export_result result = {.files = -1};
    const struct ml_export_options options = {
        .shard_bytes = 1, .cancel = &stop, .progress = stop_at_three};
    assert_fails(
        ml_export_webdataset(fixture.ws, &fixture.dataset, fixture.out, &options, &result, &err),
        ML_ERR_CANCELLED, "stopped", err);
    assert_int_equal(result.files, -1);
    export_leaves_nothing(&fixture, "none");
    assert_ok(ml_file_write(fixture.out, "before", 6, &err), err);
    assert_fails(
        ml_export_webdataset(fixture.ws, &fixture.dataset, fixture.out, NULL, &result, &err),
        ML_ERR_STATE, "there already", err);
    export_leaves_nothing(&fixture, "out");
}

static void out_of_memory(void **state)
{
    struct ml_error err = {0};
    struct ml_export_result result;
    struct ml_mem_stats before, after;
    const struct ml_export_options options = {.shard_bytes = 3000};
    assert_ok(ml_export_webdataset(fixture.ws, &fixture.dataset, fixture.out, NULL, &result, &err),
              err);
    assert_ok(ml_dir_remove(fixture.out, &err), err);
    ml_mem_get_stats(&before);
    for (uint64_t at = 1;; at++) {
        ml_mem_fail_at(at);
        int status = ml_export_webdataset(fixture.ws, &fixture.dataset, fixture.out, &options,
                                          &result, &err);
        ml_mem_fail_at(0);
        ml_mem_get_stats(&after);
        assert_int_equal(before.live_blocks, after.live_blocks);
        if (status == 0)
            break;
        assert_int_equal(status, ML_ERR_MEMORY);
        assert_false(ml_path_exists(fixture.out));
        err = (struct ml_error){0};
    }
    export_leaves_nothing(&fixture, "out");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_shard, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_shards, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whole_or_not_at_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(out_of_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("export_webdataset", tests, NULL, NULL);
}
