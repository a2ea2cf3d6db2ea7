#include "reader_sink.h"
#include "zip_make.h"

#include "data/archive_members.h"

static struct sunk s;

static void each_format(void **state)
{
    static const struct {
        const char *uri;
        int (*form)(struct archive *), (*filter)(struct archive *);
    } forms[] = {
        {"a.zip", archive_write_set_format_zip, NULL},
        {"a.7z", archive_write_set_format_7zip, NULL},
        {"a.tar", archive_write_set_format_ustar, NULL},
        {"a.tar.gz", archive_write_set_format_pax_restricted, archive_write_add_filter_gzip},
        {"a.tar.bz2", archive_write_set_format_gnutar, archive_write_add_filter_bzip2},
        {"a.txz", archive_write_set_format_ustar, archive_write_add_filter_xz},
        {"a.tar.zst", archive_write_set_format_ustar, archive_write_add_filter_zstd},
        {"no ending", archive_write_set_format_zip, NULL},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct ml_error err = {0};
        struct made_archive made;
        made_begin(&made, forms[i].form, forms[i].filter);
        made_put_other(&made, "dir/", AE_IFDIR, NULL);
        made_put(&made, "dir/a.txt", "one");
        made_put(&made, ".hidden/b.txt", "no");
        made_put(&made, "dir/empty", "");
        made_end(&made);
        assert_ok(sunk_read(&s, forms[i].uri, made.bytes, made.size, NULL, &err), err);
        assert_string_equal(sunk_text(&s.members), "dir/a.txt=one\ndir/empty=\n");
        assert_int_equal(s.left_out_count, 0);
        made_free(&made);
    }
    sunk_clear(&s);
}

static void single_files(void **state)
{
    struct ml_error err = {0};
    struct made_archive made;
    made_begin(&made, archive_write_set_format_raw, archive_write_add_filter_gzip);
    made_put(&made, "x", "{\"text\":\"a\"}\n");
    made_end(&made);
    assert_ok(sunk_read(&s, "/d/poems.jsonl.gz", made.bytes, made.size, NULL, &err), err);
    assert_string_equal(sunk_text(&s.members), "poems.jsonl={\"text\":\"a\"}\n\n");
    assert_ok(sunk_read(&s, "noname", made.bytes, made.size, NULL, &err), err);
    assert_string_equal(sunk_text(&s.members), "noname={\"text\":\"a\"}\n\n");
    assert_fails(sunk_read(&s, "a.gz", made.bytes, made.size / 2, NULL, &err), ML_ERR_FORMAT,
                 "a.gz: cannot be unpacked", err);
    made_free(&made);
    assert_fails(sunk_read(&s, "a.zip", "just text", 9, NULL, &err), ML_ERR_FORMAT, "a.zip: not an",
                 err);
    sunk_clear(&s);
}

/* Chinese names: UTF-8 whatever the program's locale is, and GB18030 without a word about it. */
static void chinese_names(void **state)
{
    struct ml_error err = {0};
    struct made_archive made;
    made_begin(&made, archive_write_set_format_ustar, NULL);
    made_put(&made, "唐诗/春晓.txt", "1");
    made_put(&made, "\xCC\xC6\xCA\xAB.txt", "2");
    made_put(&made, "caf\xE9.txt", "3");
    made_end(&made);
    assert_ok(sunk_read(&s, "a.tar", made.bytes, made.size, NULL, &err), err);
    assert_string_equal(sunk_text(&s.members), "唐诗/春晓.txt=1\n唐诗.txt=2\ncaf%E9.txt=3\n");
    made_free(&made);
    static const unsigned char zip[] = /* made by Python's zipfile: 唐诗.txt, flagged as UTF-8 */
        "PK\3\4\x14\0\0\x08\0\0\0\0\x21\0\xb7\xef\xdc\x83\1\0\0\0\1\0\0\0\x0a\0\0\0"
        "\xe5\x94\x90\xe8\xaf\x97.txt1"
        "PK\1\2\x14\3\x14\0\0\x08\0\0\0\0\x21\0\xb7\xef\xdc\x83\1\0\0\0\1\0\0\0\x0a\0\0\0\0\0\0\0\0"
        "\0"
        "\0\0\x80\1\0\0\0\0\xe5\x94\x90\xe8\xaf\x97."
        "txtPK\5\6\0\0\0\0\1\0\1\0\x38\0\0\0\x29\0\0\0\0";
    assert_ok(sunk_read(&s, "a.zip", zip, sizeof zip, NULL, &err), err);
    assert_string_equal(sunk_text(&s.members), "唐诗.txt=1\n");
    sunk_clear(&s);
}

static void what_climbs_out(void **state)
{
    struct ml_error err = {0};
    struct made_archive made;
    made_begin(&made, archive_write_set_format_ustar, NULL);
    made_put(&made, "../up.txt", "x");
    made_put(&made, "a/../../up.txt", "x");
    made_put(&made, "/etc/passwd", "x");
    made_put(&made, "C:\\x.txt", "x");
    made_put(&made, "a\\..\\x.txt", "x");
    made_put_other(&made, "link", AE_IFLNK, "/etc/passwd");
    made_put_other(&made, "hard", 0, "good.txt");
    made_put_other(&made, "pipe", AE_IFIFO, NULL);
    made_put(&made, "./good..txt", "y");
    made_end(&made);
    assert_ok(sunk_read(&s, "a.tar", made.bytes, made.size, NULL, &err), err);
    assert_string_equal(sunk_text(&s.members), "good..txt=y\n");
    assert_string_equal(sunk_text(&s.left_out),
                        "../up.txt: its name climbs out of the archive\n"
                        "a/../../up.txt: its name climbs out of the archive\n"
                        "/etc/passwd: its name is an absolute path\n"
                        "C:\\x.txt: its name is an absolute path\n"
                        "a\\..\\x.txt: its name climbs out of the archive\n"
                        "link: it is a link\n"
                        "hard: it is a link\n"
                        "pipe: it is neither a file nor a folder\n");
    made_free(&made);
    sunk_clear(&s);
}

static void bombs(void **state)
{
    struct ml_error err = {0};
    struct made_archive made;
    size_t n = 4 << 20;
    char *zeros = calloc(1, n);
    assert_non_null(zeros);
    made_begin(&made, archive_write_set_format_zip, NULL);
    for (int i = 0; i < 12; i++)
        made_put_bytes(&made, i % 2 ? "b.bin" : "a.bin", zeros, n);
    made_end(&made);
    /* 48 MB from 50 kB. */
    assert_fails(sunk_read(&s, "a.zip", made.bytes, made.size, NULL, &err), ML_ERR_LIMIT,
                 "more than 250 times its size, like an archive bomb", err);
    assert_true(s.member_count < 6);
    assert_fails(sunk_read(&s, "a.zip", made.bytes, made.size,
                           &(struct ml_reader_limits){.max_out_bytes = 5 << 20}, &err),
                 ML_ERR_LIMIT, "more than 5242880 bytes", err);
    assert_fails(sunk_read(&s, "a.zip", made.bytes, made.size,
                           &(struct ml_reader_limits){.max_members = 2}, &err),
                 ML_ERR_LIMIT, "more than 2 members", err);
    made_free(&made);
    /* What is only passed over is counted too. */
    made_begin(&made, archive_write_set_format_ustar, archive_write_add_filter_gzip);
    for (int i = 0; i < 12; i++)
        made_put_bytes(&made, ".hidden", zeros, n);
    made_end(&made);
    assert_fails(sunk_read(&s, "a.tar.gz", made.bytes, made.size, NULL, &err), ML_ERR_LIMIT, "bomb",
                 err);
    made_free(&made);
    free(zeros);
    sunk_clear(&s);
}

static void encrypted(void **state)
{
    struct ml_error err = {0};
    struct made_archive made;
    if (!made_begin_locked(&made, archive_write_set_format_zip, NULL, "secret")) {
        archive_write_free(made.archive);
        made_free(&made);
        skip();
    }
    made_put(&made, "a.txt", "secret text");
    made_end(&made);
    assert_fails(sunk_read(&s, "a.zip", made.bytes, made.size, NULL, &err), ML_ERR_FORMAT,
                 "a.zip: the archive is encrypted; unpack it", err);
    assert_non_null(strstr(sunk_text(&s.left_out), "a.txt: it is encrypted"));
    made_free(&made);
    sunk_clear(&s);
}

/* Cut off anywhere, it gives whole members or a message, never half a member. */
static void cut_off(void **state)
{
    struct made_archive made;
    char text[600];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i * i % 23);
    made_begin(&made, archive_write_set_format_zip, NULL);
    made_put_bytes(&made, "a.txt", text, sizeof text);
    made_put_bytes(&made, "b.txt", text, sizeof text);
    made_end(&made);
    for (size_t n = 4; n < made.size; n += 7) {
        struct ml_error err = {0};
        int status = sunk_read(&s, "a.zip", made.bytes, n, NULL, &err);
        assert_true(status == 0 || status == ML_ERR_FORMAT);
        for (size_t i = 0; i < s.members.size; i++)
            assert_true((unsigned char)s.members.data[i] < 0x80);
    }
    made_free(&made);
    sunk_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_format),   cmocka_unit_test(single_files),
        cmocka_unit_test(chinese_names), cmocka_unit_test(what_climbs_out),
        cmocka_unit_test(bombs),         cmocka_unit_test(encrypted),
        cmocka_unit_test(cut_off),
    };
    return cmocka_run_group_tests_name("archive", tests, NULL, NULL);
}
