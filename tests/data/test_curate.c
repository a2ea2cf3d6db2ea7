/* Curating a dataset: steps, reasons, lineage, splits, dry runs, mistakes in recipes. */
#include "data_material.h"

#include "data/curate.h"
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
    assert_ok(ml_buffer_printf(&text, &err,
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
    assert_ok(ml_collect(ws, paths, 1, &(struct ml_collect_options){.licence = "CC0-1.0"}, &report,
                         &err),
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
                            "  - quality: {sets: [gopher], limits: {gopher.words: [4, none]}}\n"
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

static void test_whole(void **state)
{
    static struct ml_curate_report report, again;
    struct ml_workspace *ws = collected();
    struct ml_error err = {0};
    struct ml_record_cursor *cursor = NULL;
    struct ml_record record;
    struct ml_blob_view view = {0};
    struct ml_curation row;
    struct ml_arena arena;
    const char *bytes;
    size_t n;
    int seen = 0;
    int64_t dropped = 0;
    assert_ok(curate(ws, whole, true, NULL, &report, &err), err);
    check_counts(&report);
    assert_int_equal(report.output.id, 0);
    assert_int_equal(material_count(ws), 5); /* two lines of six are one record */
    ml_workspace_close(ws);
    ws = NULL;
    (void)again, (void)cursor, (void)record, (void)view, (void)row, (void)arena, (void)bytes;
    (void)n, (void)seen, (void)dropped;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
