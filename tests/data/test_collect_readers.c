/* A folder with all kinds of files through ml_collect: what becomes of each, and again. */
#include "data_material.h"
#include "media_make.h"
#include "zip_make.h"

#include <sqlite3.h>

#include "data/child.h"
#include "data/collect_impl.h"
#include "data/emoji.h"

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

static int collect_path(const char *path, const struct ml_collect_options *options,
                        struct ml_error *err)
{
    const char *const paths[] = {path};
    return ml_collect(ws, paths, 1, options, &report, err);
}

static void collect(void)
{
    struct ml_error err = {0};
    assert_ok(collect_path(m.folder, NULL, &err), err);
}

/* The record number `index` (from 0, in order of ids) of the source that ends in `tail`; its bytes
 * are borrowed from `view`. */
static struct ml_record record_of(const char *tail, int index, struct ml_arena *arena,
                                  struct ml_blob_view *view, const char **bytes, size_t *n)
{
    struct ml_error err = {0};
    struct ml_record_cursor *cursor;
    struct ml_record record;
    int64_t id = 0;
    assert_ok(ml_records_open(&cursor, ws, NULL, &err), err);
    while (!id && ml_records_next(cursor, &record, &err) == 1) {
        size_t length = strlen(record.source), end = strlen(tail);
        if (length >= end && strcmp(record.source + length - end, tail) == 0 && index-- == 0)
            id = record.id;
    }
    ml_records_close(cursor);
    if (!id)
        fail_msg("no record of %s", tail);
    assert_ok(ml_records_get(ws, id, arena, &record, &err), err);
    assert_ok(ml_records_read(ws, &record, view, bytes, n, &err), err);
    return record;
}

/* "kind type [title] meta lineage = bytes" of a record; bytes of media are left out. */
static void holds(const char *tail, int index, const char *expected)
{
    struct ml_arena arena;
    struct ml_blob_view view = {0};
    struct ml_buffer told = {0};
    struct ml_error err = {0};
    const char *bytes;
    size_t n;
    ml_arena_init(&arena, 0);
    struct ml_record r = record_of(tail, index, &arena, &view, &bytes, &n);
    bool text = strcmp(r.kind, "text") == 0;
    assert_ok(ml_buffer_printf(&told, &err, "%s %s [%s] %s %s = %.*s", r.kind, r.type, r.title,
                               r.meta, r.lineage, text ? (int)n : 0, bytes),
              err);
    assert_string_equal(told.data, expected);
    ml_buffer_clear(&told);
    ml_blob_view_clear(&view);
    ml_arena_clear(&arena);
}

static void put_archives(void)
{
    struct made_archive inner, outer;
    struct ml_buffer png = {0};
    media_png(&png, 8, 8, 50);
    made_begin(&inner, archive_write_set_format_ustar, archive_write_add_filter_gzip);
    made_put(&inner, "deep/诗.csv", "title,text\nA,first\nB,second\n");
    made_end(&inner);
    made_begin(&outer, archive_write_set_format_zip, NULL);
    made_put(&outer, "../climbs.txt", "no");
    made_put(&outer, "a.txt", "text in an archive\n");
    made_put_bytes(&outer, "inner.tar.gz", inner.bytes, inner.size);
    made_put(&outer, "set/001.caption", "一只猫\n");
    made_put_bytes(&outer, "set/001.png", png.data, png.size);
    made_put(&outer, "set/002.txt", "a text of its own\n");
    made_end(&outer);
    material_put(&m, "outer.zip", outer.bytes, outer.size);
    made_free(&inner);
    made_free(&outer);
    ml_buffer_clear(&png);
}

static void everything(void **state)
{
    struct ml_buffer png = {0}, wav = {0};
    media_png(&png, 32, 16, 40);
    media_wav(&wav, 8000, 800);
    material_put(&m, "pictures/cat.png", png.data, png.size);
    material_text(&m, "pictures/cat.txt", "a cat on a mat\n");
    material_text(&m, "pictures/cat.json", "{\"author\":\"A\",\"text\":\"not this\"}");
    material_put(&m, "sounds/voice.wav", wav.data, wav.size);
    material_text(&m, "sounds/voice.lab", "你好");
    material_text(&m, "sounds/other.txt", "no sound has this name\n");
    material_text(&m, "page.md", "---\ntitle: T\nauthor: B\n---\nbody\n");
    material_text(&m, "table.csv", "title,text,n\nA,one,1\nB,two,2\nC,,3\n");
    material_text(&m, "list.json", "[{\"text\":\"j\",\"k\":true}]");
    material_text(&m, "film.srt", "00:01 --> 00:02\nspoken\n");
    material_text(&m, "liar.png", "no picture");
    material_text(&m, "broken.json", "{");
    material_text(&m, "letter.rtf", "{\\rtf1}");
    put_archives();
    collect();
    assert_int_equal(report.files, 14);
    assert_int_equal(report.added, 13);
    assert_int_equal(report.skipped[ML_SKIP_DAMAGED].count, 2);
    assert_int_equal(report.skipped[ML_SKIP_FORMAT].count, 1);
    assert_int_equal(report.skipped[ML_SKIP_PART].count, 2);
    assert_non_null(strstr(report.skipped[ML_SKIP_PART].examples[0],
                           "outer.zip: ../climbs.txt: its name climbs out of the archive"));
    assert_non_null(
        strstr(report.skipped[ML_SKIP_PART].examples[1], "table.csv: line 4: its text is empty"));
    assert_non_null(
        strstr(report.skipped[ML_SKIP_DAMAGED].examples[0], "/broken.json: not valid JSON"));
    holds("/table.csv", 0,
          "text text/plain [A] {\"n\":\"1\"} [{\"op\":\"collect\",\"reader\":\"csv 1\"}] = one");
    holds("/table.csv", 1,
          "text text/plain [B] {\"n\":\"2\"} [{\"op\":\"collect\",\"reader\":\"csv 1\"}] = two");
    holds("/page.md", 0,
          "text text/plain [T] {\"author\":\"B\"} "
          "[{\"op\":\"collect\",\"reader\":\"markdown 1\"}] = body\n");
    holds(
        "/cat.png", 0,
        "image image/png [cat] {\"width\":32,\"height\":16,\"caption\":\"a cat on a mat\","
        "\"author\":\"A\",\"text\":\"not this\"} [{\"op\":\"collect\",\"reader\":\"media 1\"}] = ");
    holds("/voice.wav", 0,
          "audio audio/wav [voice] {\"seconds\":0.1,\"rate\":8000,\"channels\":1,"
          "\"transcript\":\"你好\"} [{\"op\":\"collect\",\"reader\":\"media 1\"}] = ");
    holds("/outer.zip!/a.txt", 0,
          "text text/plain [a] {} [{\"op\":\"collect\"}] = text in an archive\n");
    holds("/outer.zip!/inner.tar.gz!/deep/诗.csv", 1,
          "text text/plain [B] {} [{\"op\":\"collect\",\"reader\":\"csv 1\"}] = second");
    holds("/outer.zip!/set/001.png", 0,
          "image image/png [001] {\"width\":8,\"height\":8,\"caption\":\"一只猫\"} "
          "[{\"op\":\"collect\",\"reader\":\"media 1\"}] = ");
    holds("/outer.zip!/set/002.txt", 0,
          "text text/plain [002] {} [{\"op\":\"collect\"}] = a text of its own\n");
    /* Again: nothing is new, and what was left out is told again. */
    collect();
    assert_int_equal(report.added, 0);
    assert_int_equal(report.present, 13);
    assert_int_equal(report.replaced, 0);
    assert_int_equal(report.skipped[ML_SKIP_PART].count, 2);
    assert_int_equal(material_verify(ws), 13);
    ml_buffer_clear(&png);
    ml_buffer_clear(&wav);
}

/* Only what changed is added; a caption that someone wrote later is taken up. */
static void what_changes(void **state)
{
    struct ml_buffer png = {0};
    media_png(&png, 4, 4, 10);
    material_put(&m, "p.png", png.data, png.size);
    material_text(&m, "t.csv", "title,text\nA,one\nB,two\n");
    collect();
    assert_int_equal(report.added, 3);
    material_text(&m, "p.txt", "新的说明");
    material_text(&m, "t.csv", "title,text\nA,one\nC,three\n");
    collect();
    assert_int_equal(report.added, 1);
    assert_int_equal(report.present, 2);
    assert_int_equal(report.replaced, 1);
    holds("/p.png", 0,
          "image image/png [p] {\"width\":4,\"height\":4,\"caption\":\"新的说明\"} "
          "[{\"op\":\"collect\",\"reader\":\"media 1\"}] = ");
    material_text(&m, "t.csv", "title,text\nRenamed,one\nC,three\n");
    collect();
    assert_int_equal(report.added, 0);
    holds("/t.csv", 0,
          "text text/plain [Renamed] {} [{\"op\":\"collect\",\"reader\":\"csv 1\"}] = "
          "one");
    ml_buffer_clear(&png);
}

static void nested_too_deep(void **state)
{
    struct ml_error err = {0};
    struct made_archive made[5];
    for (int i = 0; i < 5; i++) {
        made_begin(&made[i], archive_write_set_format_ustar, NULL);
        made_put(&made[i], "note.txt", "a note\n");
        if (i > 0)
            made_put_bytes(&made[i], "inner.tar", made[i - 1].bytes, made[i - 1].size);
        made_end(&made[i]);
    }
    material_put(&m, "outer.tar", made[4].bytes, made[4].size);
    collect();
    assert_int_equal(report.added, 3);
    assert_int_equal(report.skipped[ML_SKIP_PART].count, 1);
    assert_non_null(strstr(report.skipped[ML_SKIP_PART].examples[0], "more than three deep"));
    /* All levels together draw on one allowance. */
    const struct ml_collect_options few = {.limits = {.max_members = 3}};
    assert_ok(collect_path(m.folder, &few, &err), err);
    assert_int_equal(report.present, 2);
    assert_true(report.skipped[ML_SKIP_TOO_LARGE].count > 0);
    assert_int_equal(material_verify(ws), 3);
    for (int i = 0; i < 5; i++)
        made_free(&made[i]);
}

static void datasets(void **state)
{
    struct ml_error err = {0};
    struct ml_dataset dataset;
    char archive[SCRATCH_PATH + 64], query[SCRATCH_PATH + 128];
    sqlite3 *db;
    put_archives();
    snprintf(archive, sizeof archive, "%s/outer.zip", m.folder);
    snprintf(query, sizeof query, "sqlite:%s/x.db?table=t", m.folder);
    assert_int_equal(sqlite3_open(query + 7, &db), SQLITE_OK); /* a file of another name */
    sqlite3_close(db);
    snprintf(query, sizeof query, "%s/x.db", m.folder);
    assert_int_equal(sqlite3_open(query, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "CREATE TABLE t(text, n); INSERT INTO t VALUES('r', 1),"
                                  "('s', 2)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    snprintf(query, sizeof query, "sqlite:%s/../材料/x.db?table=t", m.folder);
    const char *const paths[] = {archive, query};
    assert_ok(ml_collect(ws, paths, 2, NULL, &report, &err), err);
    assert_int_equal(report.files, 2);
    assert_int_equal(report.added, 5 + 2);
    holds("/x.db?table=t", 1,
          "text text/plain [] {\"n\":2} [{\"op\":\"collect\",\"reader\":\"sqlite 1\"}] = s");
    assert_ok(ml_collect_dataset(ws, "both", paths, 2, &dataset, NULL, &err), err);
    assert_int_equal(dataset.records, 7);
    assert_ok(ml_collect_dataset(ws, "rows", paths + 1, 1, &dataset, NULL, &err), err);
    assert_int_equal(dataset.records, 2);
    assert_ok(ml_collect(ws, paths + 1, 1, NULL, &report, &err), err);
    assert_int_equal(report.present, 2);
    assert_fails(collect_path("sqlite:/no/such.db", NULL, &err), ML_ERR_NOT_FOUND, "no such file",
                 err);
    assert_fails(collect_path("emoji:/no/such.ttf", NULL, &err), ML_ERR_NOT_FOUND, "no such file",
                 err);
}

static void emoji(void **state)
{
    struct ml_error err = {0};
    if (!ml_path_exists(ML_EMOJI_FONT) || !ml_path_is_dir(ML_EMOJI_CLDR))
        skip();
    assert_ok(collect_path("emoji:", NULL, &err), err);
    assert_true(report.added > 1000);
    struct ml_arena arena;
    struct ml_blob_view view = {0};
    const char *bytes;
    size_t n;
    ml_arena_init(&arena, 0);
    struct ml_record r = record_of("/NotoColorEmoji.ttf", 0, &arena, &view, &bytes, &n);
    assert_string_equal(r.kind, "image");
    assert_string_equal(r.licence, "OFL-1.1");
    assert_memory_equal(bytes, "\x89PNG", 4);
    assert_non_null(strstr(r.meta, "caption_zh"));
    uint64_t first = report.added;
    assert_ok(collect_path("emoji:", NULL, &err), err);
    assert_int_equal(report.added, 0);
    assert_int_equal(report.present, first);
    ml_blob_view_clear(&view);
    ml_arena_clear(&arena);
}

/* Items that are no files, as the web brings them. */
static void items(void **state)
{
    struct ml_error err = {0};
    struct ml_collector c;
    const struct ml_collect_options options = {.licence = "CC-BY-4.0", .consent = "unknown"};
    report = (struct ml_collect_report){0};
    ml_collector_open(&c, ws, &options, &report);
    const struct ml_collect_item list[] = {
        {.uri = "https://example.org/data?format=1",
         .type = "text/csv",
         .bytes = "text,n\na,1\n",
         .size = 11,
         .consent = "given",
         .meta = "{\"from\":\"page\"}"},
        {.uri = "https://example.org/words", .type = "text/plain", .bytes = "words\n", .size = 6},
        {.uri = "https://example.org/empty", .size = 0},
    };
    int status = 0;
    for (size_t i = 0; i < 3 && status == 0; i++)
        status = ml_collect_item(&c, &list[i], &err);
    assert_ok(ml_collector_close(&c, status, &err), err);
    assert_int_equal(report.added, 2);
    assert_int_equal(report.skipped[ML_SKIP_EMPTY].count, 1);
    holds("format=1", 0,
          "text text/plain [data] {\"n\":\"1\",\"from\":\"page\"} "
          "[{\"op\":\"collect\",\"reader\":\"csv 1\"}] = a");
    struct ml_arena arena;
    struct ml_blob_view view = {0};
    const char *bytes;
    size_t n;
    ml_arena_init(&arena, 0);
    struct ml_record r = record_of("format=1", 0, &arena, &view, &bytes, &n);
    assert_string_equal(r.consent, "given");
    assert_string_equal(r.licence, "CC-BY-4.0");
    r = record_of("/words", 0, &arena, &view, &bytes, &n);
    assert_string_equal(r.consent, "unknown");
    ml_blob_view_clear(&view);
    ml_arena_clear(&arena);
}

/* Every allocation fails once: a message, no leak, and what is kept is sound. */
static void allocations(void **state)
{
    struct ml_mem_stats before, after;
    struct ml_buffer png = {0};
    media_png(&png, 4, 4, 10);
    put_archives();
    material_put(&m, "p.png", png.data, png.size);
    material_text(&m, "p.json", "{\"caption\":\"c\"}");
    material_text(&m, "t.csv", "title,text\nA,one\n");
    ml_buffer_clear(&png);
    ml_workspace_close(ws);
    ws = NULL;
    ml_mem_get_stats(&before);
    for (uint64_t n = 1;; n++) {
        struct ml_error err = {0}, ignored = {0};
        ws = material_workspace(&m);
        ml_mem_fail_at(n);
        int status = collect_path(m.folder, NULL, &err);
        ml_mem_get_stats(&after);
        ml_mem_fail_at(0);
        bool done = after.allocations < n;
        if (done)
            assert_ok(status, err);
        else if (status)
            assert_int_equal(status, ML_ERR_MEMORY);
        material_verify(ws);
        ml_workspace_close(ws);
        ws = NULL;
        ml_mem_get_stats(&after);
        assert_int_equal(after.live_blocks, before.live_blocks);
        if (done)
            break;
        if (n % 3 == 0)
            assert_ok(ml_dir_remove(m.workspace, &ignored), ignored);
    }
}

/* What a page says of itself goes into its record, whether it lies in a folder or an archive. */
static void what_pages_say(void **state)
{
    static const char denied[] = "<head><meta name=robots content=noai></head><p>not for machines";
    static const char free_[] = "<p>for everybody, as it says below"
                                "<a rel=license href=https://creativecommons.org/licenses/by/4.0/>";
    const struct ml_collect_options all = {.allow_denied = true};
    struct ml_error err = {0};
    struct ml_arena arena;
    struct ml_blob_view view = {0};
    const char *bytes;
    size_t n;
    ml_arena_init(&arena, 0);
    material_put(&m, "denied.html", denied, sizeof denied - 1);
    material_put(&m, "free.html", free_, sizeof free_ - 1);
    collect();
    assert_int_equal(report.added, 1);
    assert_int_equal(report.skipped[ML_SKIP_CONSENT].count, 1);
    assert_non_null(strstr(report.skipped[ML_SKIP_CONSENT].examples[0], "noai"));
    assert_string_equal(record_of("free.html", 0, &arena, &view, &bytes, &n).licence, "CC-BY-4.0");
    ml_blob_view_clear(&view);
    assert_ok(collect_path(m.folder, &all, &err), err);
    assert_int_equal(report.added, 1);
    assert_string_equal(record_of("denied.html", 0, &arena, &view, &bytes, &n).consent,
                        "denied: <meta name=robots> noai");
    ml_blob_view_clear(&view);
    ml_arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nested_too_deep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(datasets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(emoji, set_up, tear_down),
        cmocka_unit_test_setup_teardown(items, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_pages_say, set_up, tear_down),
        cmocka_unit_test_setup_teardown(allocations, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("collect_readers", tests, NULL, NULL);
}
