#include "data_material.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct material m;
static struct ml_workspace *ws;
static struct ml_collect_report report;

static int set_up(void **state)
{
    material_make(&m);
    ws = material_workspace(&m);
    return 0;
}

static int tear_down(void **state)
{
    ml_workspace_close(ws);
    scratch_remove(m.root);
    return 0;
}

static int collect(const char *name, const struct ml_collect_options *options, struct ml_error *err)
{
    char path[SCRATCH_PATH + 256];
    snprintf(path, sizeof path, "%s%s%s", m.folder, *name ? "/" : "", name);
    const char *const paths[] = {path};
    return ml_collect(ws, paths, 1, options, &report, err);
}

static void everything(void **state)
{
    struct ml_error err = {0};
    char link[SCRATCH_PATH + 64], target[SCRATCH_PATH + 64];
    material_text(&m, "唐诗/春晓.txt", "\xEF\xBB\xBF春眠不觉晓\r\n处处闻啼鸟\r\n");
    material_text(&m, "notes.md", "# A heading\n\ntext\n");
    material_text(&m, "poems.jsonl",
                  "{\"text\":\"a\",\"title\":\"T\",\"author\":\"A\"}\n\nnonsense\n"
                  "{\"text\":\"b\"}\n{\"text\":\"b\"}\n");
    material_text(&m, "fortunes/literature", "one\n%\ntwo\n%\nthree\n%\n");
    material_put(&m, "fortunes/literature.dat", "\0\0\0\2\0\0\0\3", 8);
    material_text(&m, "README", "plain text without an ending\n");
    material_text(&m, "moon.txt", "\xB4\xB2\xC7\xB0\xC3\xF7\xD4\xC2\xB9\xE2\n");
    material_text(&m, "unknown.gbk", "\xB4\xB2\xC7\xB0\xC3\xF7\xD4\xC2\xB9\xE2\n");
    material_text(&m, "empty.txt", "");
    material_text(&m, "blank.txt", " \n\n");
    material_text(&m, "letter.rtf", "{\\rtf1 a}\n");
    material_text(&m, "big.txt",
                  "0123456789012345678901234567890123456789"
                  "0123456789012345678901234567890123456789");
    material_text(&m, ".hidden", "no");
    material_text(&m, ".folder/x.txt", "no");
    snprintf(link, sizeof link, "%s/link.txt", m.folder);
    snprintf(target, sizeof target, "%s/README", m.folder);
    assert_int_equal(symlink(target, link), 0);
    snprintf(link, sizeof link, "%s/loop", m.folder);
    assert_int_equal(symlink(m.folder, link), 0);
    const struct ml_collect_options options = {.max_file_bytes = 70, .licence = "CC0-1.0"};
    /* 12 visible files; poems.jsonl is above the small limit, like big.txt. */
    assert_ok(collect("", &options, &err), err);
    assert_int_equal(report.files, 12);
    assert_int_equal(report.skipped[ML_SKIP_TOO_LARGE].count, 2);
    assert_int_equal(report.skipped[ML_SKIP_EMPTY].count, 2);
    assert_int_equal(report.skipped[ML_SKIP_BINARY].count, 1);
    assert_int_equal(report.skipped[ML_SKIP_FORMAT].count, 1);
    assert_int_equal(report.skipped[ML_SKIP_ENCODING].count, 1);
    assert_non_null(strstr(report.skipped[ML_SKIP_BINARY].examples[0], "literature.dat"));
    assert_int_equal(report.added, 7);
    assert_ok(collect("", &(struct ml_collect_options){.licence = "CC0-1.0"}, &err), err);
    assert_int_equal(report.present, 7);
    assert_int_equal(report.added, 3); /* two lines and the big file */
    assert_int_equal(report.repeated, 1);
    assert_int_equal(report.skipped[ML_SKIP_BAD_LINE].count, 1);
    assert_non_null(strstr(report.skipped[ML_SKIP_BAD_LINE].examples[0], "poems.jsonl:3: "));
    /* Once more: nothing new, and the bad line is named again. */
    assert_ok(collect("", NULL, &err), err);
    assert_int_equal(report.added, 0);
    assert_int_equal(report.present, 10);
    assert_int_equal(report.replaced, 0);
    assert_int_equal(report.skipped[ML_SKIP_BAD_LINE].count, 1);
    assert_int_equal(material_verify(ws), 10);
}

static void what_records_hold(void **state)
{
    struct ml_error err = {0};
    struct ml_record_cursor *cursor;
    struct ml_record record;
    struct ml_blob_view view = {0};
    const char *bytes;
    size_t n;
    material_text(&m, "a.jsonl",
                  "{\"text\":\"x\",\"title\":\"T\",\"author\":\"作者\",\"n\":3}\r\n");
    material_text(&m, "b 名.txt", "\xB4\xB2\xC7\xB0\xC3\xF7\xD4\xC2\xB9\xE2\r\n");
    material_text(&m, "c.md", "# 标题\nbody\n");
    material_text(&m, "d", "one\n%\ntwo\n%\n");
    assert_ok(collect("", &(struct ml_collect_options){.licence = "MIT", .consent = "given"}, &err),
              err);
    static const struct {
        const char *type, *title, *meta, *lineage, *bytes;
    } expected[] = {
        {"application/json", "T", "{\"author\":\"作者\",\"n\":3}", "[{\"op\":\"collect\"}]",
         "{\"text\":\"x\",\"title\":\"T\",\"author\":\"作者\",\"n\":3}"},
        {"text/plain", "b 名", "{}", "[{\"op\":\"collect\",\"from\":\"GB18030\"}]", "床前明月光\n"},
        {"text/plain", "标题", "{}", "[{\"op\":\"collect\",\"reader\":\"markdown 1\"}]",
         "# 标题\nbody\n"},
        {"text/plain", "", "{}", "[{\"op\":\"collect\"}]", "one"},
        {"text/plain", "", "{}", "[{\"op\":\"collect\"}]", "two"},
    };
    assert_ok(ml_records_open(&cursor, ws, NULL, &err), err);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(ml_records_next(cursor, &record, &err), 1);
        assert_string_equal(record.kind, "text");
        assert_string_equal(record.type, expected[i].type);
        assert_string_equal(record.title, expected[i].title);
        assert_string_equal(record.meta, expected[i].meta);
        assert_string_equal(record.lineage, expected[i].lineage);
        assert_string_equal(record.licence, "MIT");
        assert_string_equal(record.consent, "given");
        assert_ok(ml_records_read(ws, &record, &view, &bytes, &n, &err), err);
        assert_int_equal(n, strlen(expected[i].bytes));
        assert_memory_equal(bytes, expected[i].bytes, n);
    }
    assert_int_equal(ml_records_next(cursor, &record, &err), 0);
    ml_records_close(cursor);
    ml_blob_view_clear(&view);
    /* Another licence goes over what is there. */
    assert_ok(collect("d", &(struct ml_collect_options){.licence = "CC0-1.0"}, &err), err);
    assert_int_equal(report.present, 2);
    struct ml_arena arena;
    ml_arena_init(&arena, 0);
    assert_ok(ml_records_get(ws, 5, &arena, &record, &err), err);
    assert_string_equal(record.licence, "CC0-1.0");
    assert_string_equal(record.consent, "given");
    ml_arena_clear(&arena);
}

static void only_what_changed(void **state)
{
    struct ml_error err = {0};
    struct ml_dataset dataset;
    const char *const paths[] = {m.folder};
    bool made = false;
    material_text(&m, "a.jsonl", "{\"text\":\"1\"}\n{\"text\":\"2\"}\n{\"text\":\"3\"}\n");
    material_text(&m, "novel.txt", "first version\n");
    assert_ok(collect("", NULL, &err), err);
    assert_ok(ml_collect_dataset(ws, "d", paths, 1, &dataset, &made, &err), err);
    assert_true(made);
    assert_int_equal(dataset.records, 4);
    material_text(&m, "a.jsonl", "{\"text\":\"0\"}\n{\"text\":\"1\"}\n{\"text\":\"3\"}\n");
    material_text(&m, "novel.txt", "second version\n");
    assert_ok(collect("", NULL, &err), err);
    assert_int_equal(report.added, 2);
    assert_int_equal(report.present, 2);
    assert_int_equal(report.replaced, 2);
    assert_ok(ml_collect_dataset(ws, "d", paths, 1, &dataset, &made, &err), err);
    assert_true(made);
    assert_int_equal(dataset.version, 2);
    assert_int_equal(dataset.records, 4); /* not the old version of the novel */
    assert_ok(ml_collect_dataset(ws, "d", paths, 1, &dataset, &made, &err), err);
    assert_false(made);
    assert_int_equal(material_verify(ws), 6);
}

static void many_records(void **state)
{
    struct ml_error err = {0};
    material_lines(&m, "many.jsonl", 3500, "诗");
    assert_ok(collect("many.jsonl", NULL, &err), err);
    assert_int_equal(report.added, 3500);
    assert_int_equal(material_verify(ws), 3500);
    assert_ok(collect("many.jsonl", NULL, &err), err);
    assert_int_equal(report.present, 3500);
}

static void nothing_there(void **state)
{
    struct ml_error err = {0};
    assert_fails(collect("", NULL, &err), ML_ERR_NOT_FOUND, "no files there", err);
    assert_fails(collect("missing", NULL, &err), ML_ERR_NOT_FOUND, "no such file or folder", err);
    material_put(&m, "x.png", "\x89PNG\0\0", 6);
    material_put(&m, "y.bin", "\0\1\2", 3);
    assert_fails(collect("", NULL, &err), ML_ERR_NOT_FOUND, "1 binary files", err);
    assert_fails(collect("x.png", NULL, &err), ML_ERR_NOT_FOUND, "damaged", err);
    assert_int_equal(report.skipped[ML_SKIP_DAMAGED].count, 1);
    material_text(&m, "bad.jsonl", "nonsense\n[1]\n");
    assert_fails(collect("bad.jsonl", NULL, &err), ML_ERR_NOT_FOUND, "lines that are not records",
                 err);
    assert_fails(collect("bad.jsonl", NULL, &err), ML_ERR_NOT_FOUND, "lines that are not records",
                 err); /* also the second time */
    const char *const own[] = {m.workspace};
    assert_fails(ml_collect(ws, own, 1, NULL, &report, &err), ML_ERR_ARG, "workspace itself", err);
    assert_int_equal(material_count(ws), 0);
    assert_fails(ml_collect(ws, NULL, 0, NULL, &report, &err), ML_ERR_NOT_FOUND, "no path", err);
    /* One missing path: nothing is collected of the others either. */
    material_text(&m, "good.txt", "text\n");
    const char *const some[] = {m.folder, "/no/such/path"};
    assert_fails(ml_collect(ws, some, 2, NULL, &report, &err), ML_ERR_NOT_FOUND, "/no/such/path",
                 err);
    assert_int_equal(material_count(ws), 0);
}

/* A workspace within the folder is not material; a file named twice is one file. */
static void own_folder_and_twice(void **state)
{
    struct ml_error err = {0};
    material_text(&m, "a.txt", "text\n");
    char file[SCRATCH_PATH + 64];
    snprintf(file, sizeof file, "%s/../材料/a.txt", m.folder);
    const char *const paths[] = {m.root, m.folder, file};
    assert_ok(ml_collect(ws, paths, 3, NULL, &report, &err), err);
    assert_int_equal(report.files, 1);
    assert_int_equal(report.added, 1);
}

/* Names that are no UTF-8 are spelt so that they are. */
static void strange_names(void **state)
{
    struct ml_error err = {0};
    struct ml_record_cursor *cursor;
    struct ml_record record;
    struct ml_dataset dataset;
    const char *const paths[] = {m.folder};
    material_text(&m, "caf\xE9/a\nb.txt", "text\n");
    assert_ok(collect("", NULL, &err), err);
    assert_ok(ml_records_open(&cursor, ws, NULL, &err), err);
    assert_int_equal(ml_records_next(cursor, &record, &err), 1);
    assert_non_null(strstr(record.source, "/材料/caf%E9/a\nb.txt"));
    ml_records_close(cursor);
    assert_ok(ml_collect_dataset(ws, "d", paths, 1, &dataset, NULL, &err), err);
    assert_int_equal(dataset.records, 1);
    material_put(&m, "caf\xE9/long-\xE4\xB8\xAD\xE4\xB8\xAD\xE4\xB8\xAD.bin", "\0", 1);
    assert_ok(collect("", NULL, &err), err);
    assert_int_equal(report.skipped[ML_SKIP_BINARY].count, 1);
}

struct stopper {
    int calls, at;
};

static int stop_at(void *arg, uint64_t files, uint64_t total, const char *path)
{
    struct stopper *s = arg;
    assert_true(files <= total);
    return ++s->calls == s->at;
}

static void stopping(void **state)
{
    struct ml_error err = {0};
    struct stopper s = {.at = 0};
    const struct ml_collect_options options = {.progress = stop_at, .arg = &s};
    material_lines(&m, "a.jsonl", 2500, "甲");
    material_lines(&m, "b.jsonl", 10, "乙");
    for (s.at = 1; s.at < 50; s.at++) {
        s.calls = 0;
        int status = collect("", &options, &err);
        if (status == 0)
            break;
        assert_int_equal(status, ML_ERR_CANCELLED);
        assert_non_null(strstr(err.message, "collecting again"));
        err = (struct ml_error){0};
        /* Only what was kept is reported. */
        assert_true((int64_t)(report.added + report.present) <= material_count(ws));
    }
    assert_in_range(s.at, 3, 49);
    assert_ok(collect("", NULL, &err), err);
    assert_int_equal(material_verify(ws), 2510);
}

/* What cannot be read is counted, and the rest goes on. */
static int check_unreadable(void)
{
    struct ml_error err = {0};
    struct ml_workspace *own = NULL;
    const char *const paths[] = {m.folder};
    if (ml_workspace_open(&own, m.workspace, &(struct ml_workspace_options){.create = true}, &err))
        return 1;
    if (ml_collect(own, paths, 1, NULL, &report, &err) != 0)
        return 2;
    if (report.added != 1 || report.skipped[ML_SKIP_UNREADABLE].count != 2)
        return 3;
    ml_workspace_close(own);
    return 0;
}

static void unreadable(void **state)
{
    char path[SCRATCH_PATH + 64];
    int status;
    material_text(&m, "fine.txt", "text\n");
    material_text(&m, "locked.txt", "text\n");
    material_text(&m, "locked/x.txt", "text\n");
    snprintf(path, sizeof path, "%s/locked.txt", m.folder);
    assert_int_equal(chmod(path, 0), 0);
    snprintf(path, sizeof path, "%s/locked", m.folder);
    assert_int_equal(chmod(path, 0), 0);
    ml_workspace_close(ws);
    ws = NULL;
    snprintf(m.workspace, sizeof m.workspace, "%s/own", m.root);
    assert_int_equal(chmod(m.root, 0777), 0);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(0);
        _exit(check_unreadable());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(chmod(path, 0700), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_records_hold, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_what_changed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_records, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(own_folder_and_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(strange_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopping, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unreadable, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("collect", tests, NULL, NULL);
}
