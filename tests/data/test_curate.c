/* Curating a dataset: steps, reasons, lineage, splits, dry runs, mistakes in recipes. */
#include "data_material.h"

#include "data/curation.h"
#include "store/curations.h"

static struct material m;

static const char painter[] =
    "The painter had a brush that could bring to life whatever he drew with it, and he drew a bird "
    "and it flew away over the roofs of the village. People came from far away to see what he "
    "would paint next, and he painted oxen for those that had none.";

static int set_up(void **state)
{
    struct ml_buffer text = {0};
    struct ml_error err = {0};
    material_make(&m);
    assert_ok(
        ml_buffer_printf(&text, &err,
                         "{\"text\":\"%s\",\"phone\":13812345678}\n"
                         "{\"text\":\"%s\"}\n"
                         "{\"text\":\"%s Nobody else did.\"}\n"
                         "{\"text\":\"Write to a.b@example.org or wait for the next of the "
                         "many letters that have been sent.\"}\n"
                         "{\"text\":\"Longtemps, je me suis couch\xC3\xA9 de bonne heure.\"}\n"
                         "{\"text\":\"\xE4\xBB\x8E\xE5\x89\x8D\xE6\x9C\x89\xE4\xB8\xAA\xE5"
                         "\xAD\xA9\xE5\xAD\x90\xE5\x8F\xAB\xE9\xA9\xAC\xE8\x89\xAF\xE3\x80"
                         "\x82\"}\n",
                         painter, painter, painter),
        err);
    material_put(&m, "a.jsonl", text.data, text.size);
    ml_buffer_clear(&text);
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(m.root);
    return 0;
}

static struct ml_workspace *collected(void)
{
    struct ml_workspace *ws = material_workspace(&m);
    struct ml_error err = {0};
    struct ml_collect_report report;
    struct ml_dataset dataset;
    const char *const paths[] = {m.folder};
    assert_ok(
        ml_collect(ws, paths, 1, &(struct ml_collect_options){.licence = "CC0-1.0"}, &report, &err),
        err);
    assert_ok(ml_collect_dataset(ws, "raw", paths, 1, &dataset, NULL, &err), err);
    return ws;
}

static int curate(struct ml_workspace *ws, const char *recipe, bool dry_run, struct ml_pool *pool,
                  struct ml_curate_report *report, struct ml_error *err)
{
    struct ml_curate_recipe *parsed = NULL;
    struct ml_arena arena;
    const struct ml_curate_options options = {.dry_run = dry_run, .pool = pool};
    ml_arena_init(&arena, 0);
    int status = ml_curate_recipe_parse(&parsed, &arena, recipe, strlen(recipe), "r.yaml", err);
    if (status == 0)
        status = ml_curate(ws, parsed, &options, report, err);
    ml_arena_clear(&arena);
    return status;
}

static const char whole[] = "input: raw\n"
                            "output: clean\n"
                            "steps:\n"
                            "  - normalise:\n"
                            "  - language: {keep: [en, zh], least: 0.5}\n"
                            "  - licence: {allow: [CC0-1.0]}\n"
                            "  - consent\n"
                            "  - quality: {sets: [gopher], limits: {gopher.words: [4, none], "
                            "gopher.stop_words: [1, none]}}\n"
                            "  - exact_duplicates:\n"
                            "  - near_duplicates: {threshold: 0.6}\n"
                            "  - redact: {mode: mask}\n";

static const struct ml_curate_step_report *step_of(const struct ml_curate_report *r,
                                                   const char *name)
{
    for (int i = 0; i < r->step_count; i++)
        if (strcmp(r->steps[i].name, name) == 0)
            return &r->steps[i];
    fail_msg("no step %s", name);
    return NULL;
}

static void check_counts(const struct ml_curate_report *r)
{
    assert_int_equal(r->records, 6);
    assert_int_equal(step_of(r, "language")->dropped, 1);
    assert_string_equal(step_of(r, "language")->reasons[0].why, "language fr");
    assert_non_null(strstr(step_of(r, "language")->reasons[0].examples[0], "Longtemps"));
    assert_int_equal(step_of(r, "licence")->dropped, 0);
    assert_int_equal(step_of(r, "exact_duplicates")->dropped, 1);
    assert_int_equal(step_of(r, "near_duplicates")->dropped, 1);
    assert_int_equal(step_of(r, "redact")->changed, 2);
    assert_int_equal(r->kept, 3);
}

static int check_record(struct ml_workspace *ws, const struct ml_record *record,
                        struct ml_blob_view *view)
{
    struct ml_error err = {0};
    const char *bytes;
    size_t n;
    assert_ok(ml_records_read(ws, record, view, &bytes, &n, &err), err);
    assert_null(memmem(bytes, n, "a.b@example.org", 15));
    assert_null(strstr(record->meta, "13812345678"));
    assert_string_equal(record->source, "curate:clean");
    assert_string_equal(record->licence, "CC0-1.0");
    assert_non_null(strstr(record->lineage, "[{\"op\":\"collect\"}"));
    assert_non_null(strstr(record->lineage, "a.jsonl\""));
    assert_non_null(strstr(record->lineage, "\"op\":\"language\",\"language\":"));
    return strstr(record->lineage, "{\"op\":\"redact\",\"changed\":true}") != NULL;
}

static void check_dataset(struct ml_workspace *ws, const struct ml_dataset *dataset)
{
    struct ml_record_cursor *cursor = NULL;
    struct ml_record record;
    struct ml_blob_view view = {0};
    struct ml_error err = {0};
    int count = 0, redacted = 0;
    assert_ok(
        ml_records_open(&cursor, ws, &(struct ml_record_filter){.dataset = dataset->id}, &err),
        err);
    for (; ml_records_next(cursor, &record, &err) > 0; count++)
        redacted += check_record(ws, &record, &view);
    ml_records_close(cursor);
    ml_blob_view_clear(&view);
    assert_int_equal(count, 3);
    assert_int_equal(redacted, 2);
}

static void test_whole(void **state)
{
    static struct ml_curate_report report, again;
    struct ml_workspace *ws = collected();
    struct ml_error err = {0};
    struct ml_curation row;
    struct ml_arena arena;
    int64_t dropped = 0;
    ml_arena_init(&arena, 0);
    assert_ok(curate(ws, whole, true, NULL, &report, &err), err);
    check_counts(&report);
    assert_int_equal(report.output.id, 0);
    assert_int_equal(material_count(ws), 6);
    assert_ok(curate(ws, whole, false, NULL, &report, &err), err);
    check_counts(&report);
    assert_int_equal(report.output.records, 3);
    assert_int_equal(material_count(ws), 9);
    check_dataset(ws, &report.output);
    assert_ok(ml_curations_of(ws, report.output.id, &arena, &row, &err), err);
    assert_string_equal(row.recipe, whole);
    assert_non_null(strstr(row.report, "\"language fr\":1"));
    assert_ok(ml_curations_dropped(ws, row.id, &dropped, &err), err);
    assert_int_equal(dropped, 3);
    /* again: the same records, so the same dataset */
    assert_ok(curate(ws, whole, false, NULL, &again, &err), err);
    assert_int_equal(again.output.id, report.output.id);
    assert_int_equal(material_count(ws), 9);
    ml_arena_clear(&arena);
    ml_workspace_close(ws);
}

/* Threads change nothing: the same manifest. */
static void test_threads(void **state)
{
    static struct ml_curate_report one, four;
    struct ml_pool *pool = NULL;
    struct ml_error err = {0};
    assert_ok(ml_pool_new(&pool, 4, &err), err);
    material_lines(&m, "b.jsonl", 3000, "the bird and the brush that painted it with");
    struct ml_workspace *ws = collected();
    const char *recipe = "input: raw\noutput: x\nsteps:\n  - normalise\n  - language\n"
                         "  - near_duplicates: {threshold: 0.95}\n  - split: {validation: 0.2}\n";
    assert_ok(curate(ws, recipe, false, NULL, &one, &err), err);
    assert_ok(curate(ws, recipe, false, pool, &four, &err), err);
    assert_string_equal(one.output.hash, four.output.hash);
    assert_string_equal(one.validation.hash, four.validation.hash);
    assert_int_equal(one.output.id, four.output.id);
    ml_workspace_close(ws);
    ml_pool_free(pool);
}

/* Relatives stay together, and each value has its share. */
static void test_split(void **state)
{
    static struct ml_curate_report report;
    struct ml_buffer text = {0};
    struct ml_error err = {0};
    for (int i = 0; i < 400; i++)
        assert_ok(ml_buffer_printf(&text, &err,
                                   "{\"text\":\"%d%d one a%d b%d c%d d%d e%d f%d g%d h%d%s\","
                                   "\"class\":\"%s\"}\n",
                                   i / 2, i / 2, i / 2, i / 2, i / 2, i / 2, i / 2, i / 2, i / 2,
                                   i / 2, i % 2 ? " again" : "", i / 2 % 4 ? "most" : "few"),
                  err);
    material_put(&m, "c.jsonl", text.data, text.size);
    ml_buffer_clear(&text);
    struct ml_workspace *ws = collected();
    assert_ok(curate(ws,
                     "input: raw\noutput: s\nsteps:\n  - split: {validation: 0.1, test: 0.1, by: "
                     "class}\n",
                     false, NULL, &report, &err),
              err);
    assert_int_equal(report.kept, 406);
    assert_int_equal(report.split[0] + report.split[1] + report.split[2], 406);
    assert_true(report.split[1] >= 36 && report.split[1] <= 46);
    assert_true(report.split[2] >= 36 && report.split[2] <= 46);
    assert_string_equal(report.validation.name, "s-validation");
    assert_int_equal(report.test.records, report.split[2]);
    /* the pairs 2 k and 2 k + 1 are in one split */
    int side[200];
    memset(side, -1, sizeof side);
    const struct ml_dataset *sets[] = {&report.output, &report.validation, &report.test};
    for (int k = 0; k < 3; k++) {
        struct ml_record_cursor *cursor = NULL;
        struct ml_blob_view view = {0};
        struct ml_record record;
        const char *bytes;
        size_t n;
        assert_ok(
            ml_records_open(&cursor, ws, &(struct ml_record_filter){.dataset = sets[k]->id}, &err),
            err);
        while (ml_records_next(cursor, &record, &err) > 0) {
            int number;
            assert_ok(ml_records_read(ws, &record, &view, &bytes, &n, &err), err);
            const char *at = memmem(bytes, n, " a", 2);
            if (!strstr(record.meta, "class") || !at || sscanf(at, " a%d", &number) != 1)
                continue;
            assert_true(side[number] == -1 || side[number] == k);
            side[number] = k;
        }
        ml_records_close(cursor);
        ml_blob_view_clear(&view);
    }
    ml_workspace_close(ws);
}

static void test_decontaminate(void **state)
{
    static struct ml_curate_report report;
    struct ml_error err = {0};
    char exam[SCRATCH_PATH + 64];
    struct ml_dataset dataset;
    struct ml_collect_report collected_report;
    material_text(&m, "exam/q.txt",
                  "a brush that could bring to life whatever he drew with it, and he drew a bird");
    struct ml_workspace *ws = collected();
    snprintf(exam, sizeof exam, "%s/exam", m.folder);
    const char *const paths[] = {exam};
    assert_ok(ml_collect(ws, paths, 1, NULL, &collected_report, &err), err);
    assert_ok(ml_collect_dataset(ws, "exam", paths, 1, &dataset, NULL, &err), err);
    assert_ok(curate(ws,
                     "input: raw\noutput: d\nsteps:\n  - decontaminate: {against: exam, run: 13}\n",
                     true, NULL, &report, &err),
              err);
    assert_int_equal(report.steps[0].dropped, 4); /* three painters and the exam itself */
    ml_workspace_close(ws);
}

static void test_mistakes(void **state)
{
    static const char *const recipes[][2] = {
        {"steps:\n  - normalize:\n", "r.yaml:2: there is no step \"normalize\"; did you mean "
                                     "\"normalise\"?"},
        {"steps:\n  - language: {keeep: [zh]}\n", "did you mean \"keep\"?"},
        {"steps:\n  - language: {least: 2}\n", "r.yaml:2: least is a number from 0 to 1"},
        {"steps:\n  - quality: {limits: {gopher.wrods: [1, 2]}}\n",
         "did you mean \"gopher.words\""},
        {"steps:\n  - redact: {kinds: [emial]}\n", "did you mean \"email\""},
        {"steps:\n  - near_duplicates: 0.7\n", "a map"},
        {"steps: []\n", "at least one step"},
        {"setps:\n  - normalise\n", "did you mean \"steps\"?"},
        {"input: raw\nsteps:\n  - normalise\n", "name it as output"},
        {"input: raw\noutput: raw\nsteps:\n  - normalise\n", "a name of its own"},
        {"input: rwa\noutput: x\nsteps:\n  - normalise\n", "did you mean \"raw\""},
        {"input: raw\noutput: x\nsteps:\n  - language: {keep: ko}\n", "no record is left"},
        {"input: raw\noutput: x\nsteps:\n  - decontaminate: {against: exam}\n", "exam"},
    };
    static struct ml_curate_report report;
    struct ml_workspace *ws = collected();
    for (size_t i = 0; i < sizeof recipes / sizeof recipes[0]; i++) {
        struct ml_error err = {0};
        assert_true(curate(ws, recipes[i][0], false, NULL, &report, &err) < 0);
        if (!strstr(err.message, recipes[i][1]))
            fail_msg("\"%s\" is not in \"%s\"", recipes[i][1], err.message);
    }
    assert_int_equal(material_count(ws), 6);
    ml_workspace_close(ws);
}

/* The n-th allocation fails, for every n: one message and no leak. */
static void test_out_of_memory(void **state)
{
    static struct ml_curate_report report;
    struct ml_mem_stats before, after;
    ml_mem_get_stats(&before);
    ml_workspace_close(collected());
    bool done = false;
    for (uint64_t n = 1; !done; n += 1 + n / 20) {
        struct ml_error err = {0};
        struct ml_workspace *ws = material_workspace(&m);
        ml_mem_fail_at(n);
        int status = curate(ws, whole, false, NULL, &report, &err);
        ml_mem_get_stats(&after);
        done = after.allocations < n;
        ml_mem_fail_at(0);
        if (status && status != ML_ERR_MEMORY)
            fail_msg("allocation %d: %s", (int)n, err.message);
        ml_workspace_close(ws);
    }
    ml_mem_get_stats(&after);
    assert_int_equal(after.live_blocks, before.live_blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_split, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_decontaminate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mistakes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_out_of_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
