#include "export_fixture.h"

#include "data/label_exchange.h"

static struct export_fixture fixture;
static struct ml_arena arena;
static struct ml_label_queue queue, again; /* the second is empty, with the same task */
static struct ml_exchange_read report;

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

static void start(const char *task)
{
    struct ml_error err = {0};
    assert_ok(ml_label_queue_start(fixture.ws, "q", "诗与画", task, "task", &err), err);
    assert_ok(ml_label_queue_start(fixture.ws, "again", "诗与画", task, "task", &err), err);
    assert_ok(ml_label_queue_open(&queue, fixture.ws, "q", &arena, &err), err);
    assert_ok(ml_label_queue_open(&again, fixture.ws, "again", &arena, &err), err);
}

static void label(int record, const char *who, const char *value)
{
    struct ml_error err = {0};
    bool skip = strcmp(value, "null") == 0;
    const struct ml_label l = {.record = fixture.ids[record],
                               .queue = "q",
                               .annotator = who[0] == '@' ? "" : who,
                               .model = who[0] == '@' ? who + 1 : "",
                               .kind = skip ? ML_LABEL_SKIP : ml_label_kind_name(queue.task.kind),
                               .value = value,
                               .confidence = who[0] == '@' ? 0.375 : NAN,
                               .seconds = 2.5,
                               .created = 1700000000 + record};
    assert_ok(ml_labels_add(fixture.ws, &l, NULL, &err), err);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* All that stands in a queue as sorted lines, but for what a format has no place for. */
static char *labels_of(const char *name, bool bare)
{
    struct ml_error err = {0};
    struct ml_label_cursor *cursor;
    struct ml_label l;
    char *all = ml_arena_calloc(&arena, 1, 65536), lines[16][1024];
    size_t count = 0;
    const struct ml_label_filter filter = {.queue = name, .with_skips = !bare};
    assert_ok(ml_labels_open(&cursor, fixture.ws, &filter, &err), err);
    for (; ml_labels_next(cursor, &l, &err) == 1; count++) {
        char *line = lines[count], rest[64] = "";
        assert_true(count < 16);
        if (!bare)
            snprintf(rest, sizeof rest, " %lld %g", (long long)(*l.annotator ? l.created : 0),
                     *l.annotator ? l.seconds : 0);
        snprintf(line, sizeof lines[0], "%lld %s/%s %s %s %g%s\n", (long long)l.record, l.annotator,
                 l.model, l.kind, l.value, *l.annotator ? 0 : l.confidence, rest);
    }
    qsort(lines, count, sizeof lines[0], by_text);
    for (size_t i = 0; i < count; i++)
        strcat(all, lines[i]);
    ml_labels_close(cursor);
    return all;
}

static void import(const char *path, enum ml_exchange format)
{
    struct ml_error err = {0};
    assert_ok(ml_label_import(fixture.ws, &again, path, format, NULL, &report, &err), err);
}

/* Out of one queue, into the other: the same labels. Once more changes nothing. */
static void round_trip(enum ml_exchange format, bool bare)
{
    struct ml_error err = {0};
    struct ml_exchange_written written, twice;
    size_t n, m;
    assert_ok(ml_label_export(fixture.ws, &queue, fixture.out, format, &written, &err), err);
    char *first = export_read(&arena, fixture.out, &n);
    assert_int_equal(written.bytes, n);
    assert_int_equal(written.records, 5);
    assert_ok(ml_label_export(fixture.ws, &queue, fixture.out, format, &twice, &err), err);
    assert_string_equal(first, export_read(&arena, fixture.out, &m));
    import(fixture.out, format);
    if (report.left_out)
        fail_msg("left out: %s", report.examples[0]);
    assert_string_equal(labels_of("q", bare), labels_of("again", bare));
    int64_t added = report.labels + report.proposals + report.skips;
    assert_true(added > 0);
    import(fixture.out, format);
    assert_int_equal(report.labels + report.proposals + report.skips, 0);
    assert_int_equal(report.present, added);
}

static void choices(void **state)
{
    start("kind: choice\nlabels: ['=glad', sad]\n");
    label(0, "anna", "\"=glad\"");
    label(0, "bo, \"the\" second", "\"sad\"");
    label(1, "anna", "null");
    label(1, "@m1", "\"sad\"");
    label(4, "anna", "\"sad\""); /* the same bytes as record 1, another source */
    round_trip(ML_EXCHANGE_STUDIO, false);
}

static void choices_as_table(void **state)
{
    start("kind: choice\nlabels: ['=glad', sad]\n");
    label(0, "anna", "\"=glad\"");
    label(0, "+bo, \"the\" second", "\"sad\"");
    label(1, "'@cem", "null");
    label(1, "@m1", "\"sad\"");
    label(4, "anna", "\"sad\"");
    round_trip(ML_EXCHANGE_CSV, false);
    size_t n;
    char *table = export_read(&arena, fixture.out, &n);
    assert_non_null(strstr(table, "anna,choice,'=glad,,"));
    assert_non_null(strstr(table, ",\"'+bo, \"\"the\"\" second\","));
    assert_non_null(strstr(table, ",''@cem,skip,,"));
}

static void several(void **state)
{
    for (int format = 0; format < 2; format++) {
        start("kind: multi\nlabels: [a, b, c]\n");
        label(0, "anna", "[\"a\",\"c\"]");
        label(1, "anna", "[]");
        round_trip(format ? ML_EXCHANGE_CSV : ML_EXCHANGE_STUDIO, false);
        tear_down(state);
        set_up(state);
    }
}

static void ratings_and_texts(void **state)
{
    for (int format = 0; format < 4; format++) {
        bool text = format % 2;
        start(text ? "kind: text\n" : "kind: rating\n");
        label(2, "anna", text ? "\"-一只 \\\"fox\\\",\\nand\\na tab\\t|\"" : "4");
        label(2, "@m1", text ? "\"x\"" : "1");
        round_trip(format / 2 ? ML_EXCHANGE_CSV : ML_EXCHANGE_STUDIO, false);
        tear_down(state);
        set_up(state);
    }
}

/* Record 3 is "The moon 🌙". */
static void spans(void **state)
{
    for (int format = 0; format < 2; format++) {
        start("kind: span\nlabels: [PER, LOC]\n");
        label(3, "anna",
              "[{\"start\":4,\"end\":8,\"label\":\"LOC\"},{\"start\":9,\"end\":10,"
              "\"label\":\"PER\"}]");
        label(1, "anna", "[]");
        round_trip(format ? ML_EXCHANGE_CSV : ML_EXCHANGE_STUDIO, false);
        if (!format) {
            size_t n;
            assert_non_null(strstr(export_read(&arena, fixture.out, &n),
                                   "{\"start\":9,\"end\":10,\"text\":\"🌙\",\"labels\":[\"PER\"]}"));
        }
        tear_down(state);
        set_up(state);
    }
}

static void boxes(void **state)
{
    static const char two[] =
        "{\"width\":640,\"height\":480,\"boxes\":[{\"x\":1,\"y\":2,\"width\":101,\"height\":7,"
        "\"label\":\"dog\"},{\"x\":10.5,\"y\":0,\"width\":333,\"height\":479,\"label\":\"cat\"}]}";
    for (int format = 0; format < 3; format++) {
        start("kind: box\nlabels: [cat, dog]\n");
        label(2, "anna", two);
        if (format != ML_EXCHANGE_STUDIO) /* without a box it does not know the picture's size */
            label(2, "bo", "{\"width\":640,\"height\":480,\"boxes\":[]}");
        label(2, "@m1", two);
        round_trip((enum ml_exchange)format, format == ML_EXCHANGE_COCO);
        tear_down(state);
        set_up(state);
    }
}

static void captions(void **state)
{
    start("kind: text\n");
    label(2, "anna", "\"一只狐狸\"");
    label(2, "@m1", "\"a fox\"");
    round_trip(ML_EXCHANGE_COCO, true);
    start("kind: text\n");
    struct ml_exchange_written written;
    struct ml_error err = {0};
    assert_ok(ml_label_queue_start(fixture.ws, "c", "诗与画", "kind: rating\n", "t", &err), err);
    assert_ok(ml_label_queue_open(&queue, fixture.ws, "c", &arena, &err), err);
    assert_fails(ml_label_export(fixture.ws, &queue, fixture.out, ML_EXCHANGE_COCO, &written, &err),
                 ML_ERR_UNSUPPORTED, "kind rating", err);
}

/* ---- files of other programs ---- */

static void given(const char *text, enum ml_exchange format)
{
    struct ml_error err = {0};
    assert_ok(ml_file_write(fixture.out, text, strlen(text), &err), err);
    import(fixture.out, format);
}

static void studio_of_others(void **state)
{
    start("kind: span\nlabels: [PER, LOC]\n");
    /* Found by the text. Offsets once in UTF-16 (version 1.0), once in characters. */
    given("[{\"id\": 7, \"data\": {\"text\": \"The moon \\ud83c\\udf19 \"},\n"
          "  \"annotations\": [{\"completed_by\": {\"id\": 3, \"email\": \"a@b.c\"}, "
          "\"lead_time\": 1.5,"
          "    \"created_at\": \"2023-11-14T22:13:20.123456Z\", \"was_cancelled\": false,\n"
          "    \"result\": [{\"from_name\": \"x\", \"to_name\": \"text\", \"type\": \"labels\","
          "      \"value\": {\"start\": 9, \"end\": 11, \"text\": \"\\ud83c\\udf19\", \"labels\": "
          "[\"PER\"]}},"
          "      {\"type\": \"choices\", \"value\": {\"choices\": [\"x\"]}}]},"
          "    {\"completed_by\": 12, \"result\": [{\"type\": \"labels\","
          "      \"value\": {\"start\": 9, \"end\": 10, \"text\": \"\\ud83c\\udf19\", \"labels\": "
          "[\"PER\"]}}]},"
          "    {\"completed_by\": 13, \"was_cancelled\": true, \"result\": []}],"
          "  \"predictions\": [{\"model_version\": \"m\", \"score\": 0.5, \"result\": []}]},\n"
          " {\"data\": {\"text\": \"nowhere\"}, \"annotations\": [{\"result\": []}]},"
          " {\"annotations\": []}, 5]",
          ML_EXCHANGE_STUDIO);
    assert_int_equal(report.labels, 2);
    assert_int_equal(report.skips, 1);
    assert_int_equal(report.proposals, 1);
    assert_int_equal(report.left_out, 3);
    assert_non_null(strstr(report.examples[0], "no record"));
    char *found = labels_of("again", false);
    assert_non_null(strstr(found, "a@b.c/ span [{\"start\":9,\"end\":10,\"label\":\"PER\"}] 0 "
                                  "1700000000 1.5\n"));
    assert_non_null(strstr(found, "user 12/ span [{\"start\":9,\"end\":10,\"label\":\"PER\"}]"));
    assert_non_null(strstr(found, "user 13/ skip null"));
    assert_non_null(strstr(found, "/m span [] 0.5"));
}

static void studio_of_pictures(void **state)
{
    start("kind: choice\nlabels: [fox, cat]\n");
    given("[{\"data\": {\"image\": \"/data/upload/3/1a2b3c4d-fox.jpeg?x=1\"}, \"annotations\": ["
          "  {\"result\": [{\"type\": \"choices\", \"value\": {\"choices\": [\"fox\"]}}]},"
          "  {\"result\": [{\"type\": \"choices\", \"value\": {\"choices\": [\"fox\", \"cat\"]}}]},"
          "  {\"result\": [{\"type\": \"choices\", \"value\": {\"choices\": [\"dog\"]}}]},"
          "  {\"result\": []}, {}]}]",
          ML_EXCHANGE_STUDIO);
    assert_int_equal(report.labels, 1);
    assert_int_equal(report.left_out, 4);
    assert_non_null(strstr(report.examples[0], "several values"));
    assert_non_null(strstr(report.examples[1], "no label \"dog\""));
    assert_non_null(strstr(labels_of("again", true), "imported/ choice \"fox\""));
}

static void coco_of_others(void **state)
{
    start("kind: box\nlabels: [fox, cat]\n");
    given("{\"images\": [{\"id\": 9, \"file_name\": \"fox.jpeg\", \"width\": 640, \"height\": 480},"
          "  {\"id\": 10, \"file_name\": \"other.jpg\", \"width\": 1, \"height\": 1}, {}],"
          " \"annotations\": [{\"id\": 1, \"image_id\": 9, \"category_id\": 18, \"bbox\": [1, 2, "
          "3.5, 4]},"
          "  {\"id\": 2, \"image_id\": 9, \"category_id\": 17, \"bbox\": [0, 0, 640, 480], "
          "\"iscrowd\": 0},"
          "  {\"id\": 3, \"image_id\": 10, \"category_id\": 17, \"bbox\": [0, 0, 1, 1]},"
          "  {\"id\": 4, \"image_id\": 77}],"
          " \"categories\": [{\"id\": 17, \"name\": \"cat\"}, {\"id\": 18, \"name\": \"fox\"}]}",
          ML_EXCHANGE_STUDIO); /* it is looked at */
    assert_int_equal(report.labels, 1);
    assert_int_equal(report.left_out, 3);
    assert_non_null(
        strstr(labels_of("again", true),
               "imported/ box {\"width\":640,\"height\":480,\"boxes\":[{\"x\":0,\"y\":0,"
               "\"width\":640,\"height\":480,\"label\":\"cat\"},{\"x\":1,\"y\":2,"
               "\"width\":3.5,\"height\":4,\"label\":\"fox\"}]}"));
}

static void captions_of_others(void **state)
{
    start("kind: text\n");
    given("{\"images\": [{\"id\": 9, \"file_name\": \"fox.jpeg\"}], \"annotations\": ["
          "{\"image_id\": 9, \"caption\": \"one\"}, {\"image_id\": 9, \"caption\": \"two\"}, "
          "{\"image_id\": 9}]}",
          ML_EXCHANGE_COCO);
    assert_int_equal(report.labels, 2);
    assert_int_equal(report.left_out, 1);
    char *found = labels_of("again", true);
    assert_non_null(strstr(found, "imported/ text \"one\""));
    assert_non_null(strstr(found, "imported 2/ text \"two\""));
}

static void table_of_others(void **state)
{
    start("kind: multi\nlabels: [a, b]\n");
    given("\xef\xbb\xbftext;value;annotator\r\nThe moon \xf0\x9f\x8c\x99;a|b;anna\r\n"
          "The moon \xf0\x9f\x8c\x99;a|c;bo\r\nelse;a;bo\r\n",
          ML_EXCHANGE_CSV);
    assert_int_equal(report.labels, 1);
    assert_int_equal(report.left_out, 2);
    assert_non_null(strstr(labels_of("again", true), "anna/ multi [\"a\",\"b\"]"));
}

static void mistakes(void **state)
{
    struct ml_error err = {0};
    enum ml_exchange format;
    static const struct {
        const char *text, *why;
        enum ml_exchange format;
        int code;
    } bad[] = {
        {"[", "not valid JSON", ML_EXCHANGE_STUDIO, ML_ERR_FORMAT},
        {"5", "list of tasks", ML_EXCHANGE_STUDIO, ML_ERR_FORMAT},
        {"[]", "no labels in it", ML_EXCHANGE_STUDIO, ML_ERR_NOT_FOUND},
        {"[{\"data\": {}, \"annotations\": [{\"result\": []}]}]", "no label could be used",
         ML_EXCHANGE_STUDIO, ML_ERR_NOT_FOUND},
        {"{\"a\": 1}", "not COCO", ML_EXCHANGE_COCO, ML_ERR_FORMAT},
        {"{\"images\": [], \"annotations\": []}", "of kind multi", ML_EXCHANGE_COCO,
         ML_ERR_UNSUPPORTED},
        {"a,b\n1,2\n", "name the columns", ML_EXCHANGE_CSV, ML_ERR_FORMAT},
        {"", "empty", ML_EXCHANGE_CSV, ML_ERR_FORMAT},
    };
    start("kind: multi\nlabels: [a, b]\n");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        report.labels = -1;
        assert_ok(ml_file_write(fixture.out, bad[i].text, strlen(bad[i].text), &err), err);
        assert_fails(
            ml_label_import(fixture.ws, &again, fixture.out, bad[i].format, NULL, &report, &err),
            bad[i].code, bad[i].why, err);
        assert_int_equal(report.labels, -1);
    }
    assert_fails(ml_exchange_parse(&format, "coc", &err), ML_ERR_ARG, "did you mean coco?", err);
    assert_fails(ml_exchange_of_path(&format, "x.xml", &err), ML_ERR_ARG, ".json or .csv", err);
    assert_ok(ml_exchange_of_path(&format, "x.csv", &err), err);
    assert_int_equal(format, ML_EXCHANGE_CSV);
}

/* Every allocation fails once: nothing half imported, no leak. */
static void out_of_memory(void **state)
{
    struct ml_error err = {0};
    struct ml_exchange_written written;
    struct ml_mem_stats before, after;
    start("kind: span\nlabels: [PER, LOC]\n");
    label(3, "anna", "[{\"start\":4,\"end\":8,\"label\":\"LOC\"}]");
    label(1, "anna", "[]");
    label(1, "@m", "[{\"start\":4,\"end\":8,\"label\":\"LOC\"}]");
    for (int format = 0; format < 3; format += 2) {
        for (int warm = 1; warm >= 0; warm--) {
            ml_mem_get_stats(&before);
            for (uint64_t at = 1;; at++) {
                ml_mem_fail_at(warm ? 0 : at);
                int status = ml_label_export(fixture.ws, &queue, fixture.out,
                                             (enum ml_exchange)format, &written, &err);
                if (status == 0)
                    status = ml_label_import(fixture.ws, &again, fixture.out,
                                             (enum ml_exchange)format, NULL, &report, &err);
                ml_mem_fail_at(0);
                ml_mem_get_stats(&after);
                if (!warm)
                    assert_int_equal(before.live_blocks, after.live_blocks);
                if (status == 0)
                    break;
                assert_int_equal(status, ML_ERR_MEMORY);
                err = (struct ml_error){0};
            }
            assert_int_equal(report.left_out, 0);
        }
        assert_string_equal(labels_of("q", true), labels_of("again", true));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(choices, set_up, tear_down),
        cmocka_unit_test_setup_teardown(choices_as_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ratings_and_texts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(spans, set_up, tear_down),
        cmocka_unit_test_setup_teardown(boxes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(captions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(studio_of_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(studio_of_pictures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(coco_of_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(captions_of_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(table_of_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mistakes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(out_of_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("label_exchange", tests, NULL, NULL);
}
