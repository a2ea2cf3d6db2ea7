#include "scratch.h"

#include <math.h>

#include "store/datasets.h"
#include "store/labels.h"
#include "store/queues.h"

static char folder[SCRATCH_PATH];
static struct ml_workspace *ws;
static struct ml_arena arena;
static int64_t records[4], dataset;

static int set_up(void **state)
{
    struct ml_error err = {0};
    struct ml_dataset d;
    scratch_make(folder);
    ml_arena_init(&arena, 0);
    const struct ml_workspace_options fresh = scratch_options();
    assert_ok(ml_workspace_open(&ws, folder, &fresh, &err), err);
    for (int i = 0; i < 4; i++) {
        char source[16];
        snprintf(source, sizeof source, "/%d", i);
        const struct ml_record r = {.kind = "text", .type = "text/plain", .source = source};
        assert_ok(ml_records_add(ws, &r, source, strlen(source), &records[i], NULL, &err), err);
    }
    const int64_t order[] = {records[2], records[0], records[1]};
    const struct ml_dataset_spec spec = {.name = "d", .ids = order, .id_count = 3};
    assert_ok(ml_datasets_create(ws, &spec, &d, NULL, &err), err);
    dataset = d.id;
    return 0;
}

static int tear_down(void **state)
{
    ml_workspace_close(ws);
    ml_arena_clear(&arena);
    scratch_remove(folder);
    return 0;
}

static int64_t add(int record, const char *who, const char *kind, const char *value)
{
    const bool model = who[0] == '@';
    const struct ml_label label = {.record = records[record],
                                   .queue = "q",
                                   .annotator = model ? "" : who,
                                   .model = model ? who + 1 : "",
                                   .kind = kind,
                                   .value = value,
                                   .confidence = model ? 0.25 : NAN,
                                   .seconds = 2};
    struct ml_error err = {0};
    int64_t id = 0;
    assert_ok(ml_labels_add(ws, &label, &id, &err), err);
    return id;
}

/* What a filter lets through, as "record:value ..." with records counted from 0. */
static void lists(const struct ml_label_filter *filter, const char *expected)
{
    struct ml_error err = {0};
    struct ml_label_cursor *cursor;
    struct ml_label label;
    char text[512] = "";
    int64_t count = -1, n = 0;
    int got;
    assert_ok(ml_labels_open(&cursor, ws, filter, &err), err);
    while ((got = ml_labels_next(cursor, &label, &err)) == 1) {
        for (int i = 0; i < 4; i++)
            if (records[i] == label.record)
                snprintf(text + strlen(text), sizeof text - strlen(text), "%s%d:%s", n ? " " : "",
                         i, label.value);
        n++;
    }
    assert_int_equal(got, 0);
    ml_labels_close(cursor);
    assert_string_equal(text, expected);
    assert_ok(ml_labels_count(ws, filter, &count, &err), err);
    assert_int_equal(count, n);
}

static void replacing_and_undoing(void **state)
{
    struct ml_error err = {0};
    const struct ml_label_filter all = {.queue = "q"}, ever = {.queue = "q", .with_replaced = true};
    int64_t record = 0;
    add(0, "anna", "choice", "\"a\"");
    add(0, "bo", "choice", "\"b\"");
    add(0, "anna", "choice", "\"c\"");
    lists(&all, "0:\"b\" 0:\"c\"");
    lists(&ever, "0:\"a\" 0:\"b\" 0:\"c\"");
    assert_ok(ml_labels_undo(ws, "q", "anna", &record, &err), err);
    assert_int_equal(record, records[0]);
    lists(&all, "0:\"a\" 0:\"b\"");
    assert_ok(ml_labels_undo(ws, "q", "anna", &record, &err), err);
    lists(&all, "0:\"b\"");
    record = -5;
    assert_fails(ml_labels_undo(ws, "q", "anna", &record, &err), ML_ERR_NOT_FOUND, "anna", err);
    assert_int_equal(record, -5);
    add(0, "@m1", "choice", "\"x\"");
    add(0, "@m2", "choice", "\"y\"");
    add(0, "@m1", "choice", "\"z\"");
    lists(&all, "0:\"b\" 0:\"y\" 0:\"z\"");
    lists(&(struct ml_label_filter){.queue = "q", .people = true}, "0:\"b\"");
    lists(&(struct ml_label_filter){.queue = "q", .annotator = ""}, "0:\"y\" 0:\"z\"");
}

static void filters_and_progress(void **state)
{
    struct ml_error err = {0};
    struct ml_label_progress p;
    struct ml_annotator *people;
    size_t count;
    add(0, "anna", "choice", "\"a\"");
    add(0, "bo", "choice", "\"b\"");
    add(1, "anna", ML_LABEL_SKIP, "null");
    add(2, "bo", "choice", "\"c\"");
    add(3, "bo", "choice", "\"d\"");
    add(2, "@m", "choice", "\"m\"");
    lists(&(struct ml_label_filter){.queue = "q", .annotator = "anna"}, "0:\"a\"");
    lists(&(struct ml_label_filter){.queue = "q", .annotator = "anna", .with_skips = true},
          "0:\"a\" 1:null");
    lists(&(struct ml_label_filter){.queue = "q", .record = records[0]}, "0:\"a\" 0:\"b\"");
    lists(&(struct ml_label_filter){.dataset = dataset}, "2:\"c\" 2:\"m\" 0:\"a\" 0:\"b\"");
    lists(&(struct ml_label_filter){.dataset = dataset, .queue = "none"}, "");
    lists(NULL, "0:\"a\" 0:\"b\" 2:\"c\" 2:\"m\" 3:\"d\"");
    assert_ok(ml_labels_progress(ws, "q", dataset, 2, &p, &err), err);
    assert_int_equal(p.records, 3);
    assert_int_equal(p.begun, 2);
    assert_int_equal(p.done, 1);
    assert_int_equal(p.labels, 3);
    assert_int_equal(p.skips, 1);
    assert_int_equal(p.proposals, 1);
    assert_ok(ml_labels_progress(ws, "other", dataset, 2, &p, &err), err);
    assert_int_equal(p.labels, 0);
    assert_ok(ml_labels_annotators(ws, "q", &arena, &people, &count, &err), err);
    assert_int_equal(count, 2);
    assert_string_equal(people[0].name, "anna");
    assert_int_equal(people[0].labels, 1);
    assert_int_equal(people[0].skips, 1);
    assert_true(people[1].seconds == 6);
}

static void mistakes(void **state)
{
    struct ml_error err = {0};
    struct ml_label label = {.record = records[0],
                             .queue = "q",
                             .annotator = "a",
                             .kind = "choice",
                             .value = "1",
                             .confidence = NAN,
                             .seconds = NAN};
    struct ml_label bad = label;
    bad.value = "{";
    assert_fails(ml_labels_add(ws, &bad, NULL, &err), ML_ERR_FORMAT, "value", err);
    bad = label;
    bad.confidence = 1.5;
    assert_fails(ml_labels_add(ws, &bad, NULL, &err), ML_ERR_ARG, "confidence", err);
    bad = label;
    bad.annotator = NULL;
    assert_fails(ml_labels_add(ws, &bad, NULL, &err), ML_ERR_ARG, "annotator", err);
    bad = label;
    bad.record = 999;
    assert_fails(ml_labels_add(ws, &bad, NULL, &err), ML_ERR_NOT_FOUND, "999", err);
    bad = label;
    bad.queue = "";
    assert_fails(ml_labels_add(ws, &bad, NULL, &err), ML_ERR_ARG, "queue", err);
    lists(NULL, "");
    assert_ok(ml_labels_add(ws, &label, NULL, &err), err);
    struct ml_label_cursor *cursor;
    struct ml_label read;
    assert_ok(ml_labels_open(&cursor, ws, NULL, &err), err);
    assert_int_equal(ml_labels_next(cursor, &read, &err), 1);
    assert_true(isnan(read.confidence) && isnan(read.seconds) && read.created > 0);
    assert_string_equal(read.model, "");
    ml_labels_close(cursor);
}

static void queues(void **state)
{
    struct ml_error err = {0};
    struct ml_queue_entry entry = {.name = "mood", .dataset = "d@1", .task = "kind: choice\n"},
                          read, *list;
    size_t count;
    assert_ok(ml_queues_add(ws, &entry, &err), err);
    assert_ok(ml_queues_add(ws, &entry, &err), err);
    struct ml_queue_entry other = entry;
    other.task = "kind: rating\n";
    assert_fails(ml_queues_add(ws, &other, &err), ML_ERR_STATE, "another task", err);
    other.name = "a/b";
    assert_fails(ml_queues_add(ws, &other, &err), ML_ERR_ARG, "queue", err);
    other.name = "情感";
    assert_ok(ml_queues_add(ws, &other, &err), err);
    assert_ok(ml_queues_get(ws, "mood", &arena, &read, &err), err);
    assert_string_equal(read.task, entry.task);
    assert_string_equal(read.dataset, "d@1");
    assert_fails(ml_queues_get(ws, "modo", &arena, &read, &err), ML_ERR_NOT_FOUND, "\"mood\"", err);
    assert_fails(ml_queues_get(ws, "xyzxyz", &arena, &read, &err), ML_ERR_NOT_FOUND, "label start",
                 err);
    assert_ok(ml_queues_list(ws, &arena, &list, &count, &err), err);
    assert_int_equal(count, 2);
    assert_string_equal(list[0].name, "mood");
    assert_string_equal(list[1].name, "情感");
}

static void out_of_memory(void **state)
{
    struct ml_error err = {0};
    struct ml_mem_stats before, after;
    const struct ml_label label = {.record = records[0],
                                   .queue = "q",
                                   .annotator = "a",
                                   .kind = "multi",
                                   .value = "[\"a\"]",
                                   .confidence = NAN,
                                   .seconds = NAN};
    struct ml_queue_entry entry = {.name = "first", .dataset = "d@1", .task = "kind: text\n"};
    assert_ok(ml_labels_add(ws, &label, NULL, &err), err); /* compiles the statements */
    assert_ok(ml_queues_add(ws, &entry, &err), err);
    entry.name = "mood";
    ml_mem_get_stats(&before);
    for (uint64_t n = 1; n < 200; n++) {
        ml_mem_fail_at(n);
        int status = ml_labels_add(ws, &label, NULL, &err);
        if (status == 0)
            status = ml_queues_add(ws, &entry, &err);
        ml_mem_get_stats(&after);
        ml_mem_fail_at(0);
        assert_int_equal(status, err.code);
        if (status == 0)
            break;
        assert_int_equal(status, ML_ERR_MEMORY);
        err = (struct ml_error){0};
    }
    ml_mem_get_stats(&after);
    assert_int_equal(before.live_blocks, after.live_blocks);
    lists(NULL, "0:[\"a\"]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(replacing_and_undoing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(filters_and_progress, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mistakes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(queues, set_up, tear_down),
        cmocka_unit_test_setup_teardown(out_of_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("labels", tests, NULL, NULL);
}
