#include "data_material.h"

#include "data/dataset_text.h"

static struct material m;
static struct ml_workspace *ws;

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

static struct ml_dataset collected(const char *name)
{
    struct ml_collect_report report;
    struct ml_dataset dataset = {0};
    struct ml_error err = {0};
    char path[SCRATCH_PATH + 256];
    snprintf(path, sizeof path, "%s/%s", m.folder, name);
    const char *const paths[] = {path};
    assert_ok(ml_collect(ws, paths, 1, NULL, &report, &err), err);
    assert_ok(ml_collect_dataset(ws, name, paths, 1, &dataset, NULL, &err), err);
    return dataset;
}

static struct ml_dataset_text opened(const struct ml_dataset *dataset,
                                     const struct ml_dataset_text_options *options)
{
    struct ml_dataset_text text = {0};
    struct ml_error err = {0};
    assert_ok(ml_dataset_text_open(&text, ws, dataset, options, &err), err);
    return text;
}

static bool is(const struct ml_dataset_document *d, const char *text)
{
    return d->size == strlen(text) && memcmp(d->text, text, d->size) == 0;
}

static const struct ml_dataset_document *find(const struct ml_dataset_document *list, int64_t n,
                                              const struct ml_dataset_document *one)
{
    for (int64_t i = 0; i < n; i++)
        if (list[i].size == one->size && memcmp(list[i].text, one->text, one->size) == 0)
            return &list[i];
    return NULL;
}

static void plain(void **state)
{
    material_text(&m, "a.jsonl",
                  "{\"text\":\"one\"}\n{\"text\":\"two\",\"x\":1}\n"
                  "{\"text\":\"one\",\"x\":2}\n");
    struct ml_dataset d = collected("a.jsonl");
    struct ml_dataset_text all = opened(&d, NULL);
    assert_int_equal(all.train_count, 3);
    assert_int_equal(all.validation_count, 0);
    assert_true(is(&all.train[0], "one") && is(&all.train[1], "two") && is(&all.train[2], "one"));
    assert_null(all.train[0].literals);
    assert_int_equal(all.train[2].record, 3);
    ml_dataset_text_close(&all);
    struct ml_dataset_text once = opened(&d, &(struct ml_dataset_text_options){.dedup = true});
    assert_int_equal(once.train_count, 2);
    assert_int_equal(once.repeated, 1);
    ml_dataset_text_close(&once);
    ml_dataset_text_close(&once);
    ml_dataset_text_close(NULL);
}

/* Which side a text is on depends on it alone: not on its number, its file, or who else is there.
 */
static void the_split_stays(void **state)
{
    const struct ml_dataset_text_options options = {.validation = 0.2};
    material_lines(&m, "some.jsonl", 200, "诗");
    material_lines(&m, "more.jsonl", 400, "诗");
    struct ml_dataset some = collected("some.jsonl"), more = collected("more.jsonl");
    struct ml_dataset_text a = opened(&some, &options), b = opened(&more, &options);
    assert_int_equal(a.train_count + a.validation_count, 200);
    assert_in_range(a.validation_count, 20, 60);
    assert_in_range(b.validation_count, 50, 110);
    for (int64_t i = 0; i < a.validation_count; i++)
        assert_non_null(find(b.validation, b.validation_count, &a.validation[i]));
    for (int64_t i = 0; i < a.train_count; i++)
        assert_non_null(find(b.train, b.train_count, &a.train[i]));
    ml_dataset_text_close(&a);
    ml_dataset_text_close(&b);
}

/* The same text again, under other fields, never straddles the split. */
static void copies_do_not_straddle(void **state)
{
    struct ml_buffer text = {0};
    struct ml_error err = {0};
    for (int i = 0; i < 300; i++)
        assert_ok(ml_buffer_printf(&text, &err, "{\"text\":\"poem %d\",\"n\":%d}\n", i % 100, i),
                  err);
    material_put(&m, "copies.jsonl", text.data, text.size);
    ml_buffer_clear(&text);
    struct ml_dataset d = collected("copies.jsonl");
    struct ml_dataset_text t = opened(&d, &(struct ml_dataset_text_options){.validation = 0.3});
    assert_int_equal(t.train_count + t.validation_count, 300);
    assert_int_equal(t.validation_count % 3, 0);
    for (int64_t i = 0; i < t.validation_count; i++)
        assert_null(find(t.train, t.train_count, &t.validation[i]));
    ml_dataset_text_close(&t);
}

/* A few documents with a template: one to measure at least, one to learn from at least. */
static void few_documents(void **state)
{
    for (int i = 0; i < 8; i++) {
        char line[128];
        snprintf(line, sizeof line, "{\"text\":\"a%d\"}\n{\"text\":\"b%d\"}\n", i, i);
        material_text(&m, "few.jsonl", line);
        struct ml_dataset d = collected("few.jsonl");
        const struct ml_dataset_text_options options = {.validation = i % 2 ? 0.001 : 0.999,
                                                        .template = "{text}"};
        struct ml_dataset_text t = opened(&d, &options);
        assert_int_equal(t.train_count, 1);
        assert_int_equal(t.validation_count, 1);
        ml_dataset_text_close(&t);
    }
    material_text(&m, "one.jsonl", "{\"text\":\"single\"}\n");
    struct ml_dataset d = collected("one.jsonl");
    struct ml_dataset_text t =
        opened(&d, &(struct ml_dataset_text_options){.validation = 0.5, .template = "{text}"});
    assert_int_equal(t.train_count, 1);
    assert_int_equal(t.validation_count, 0);
    ml_dataset_text_close(&t);
}

/* One long document: its end is held out, cut between two characters. */
static void a_novel(void **state)
{
    char text[3001];
    for (int i = 0; i < 1000; i++)
        memcpy(text + 3 * i, "春", 4);
    material_text(&m, "novel.txt", text);
    struct ml_dataset d = collected("novel.txt");
    struct ml_dataset_text t =
        opened(&d, &(struct ml_dataset_text_options){.validation = 0.1003, .dedup = true});
    assert_int_equal(t.train_count, 1);
    assert_int_equal(t.validation_count, 1);
    assert_int_equal(t.train[0].size + t.validation[0].size, 3000);
    assert_in_range(t.validation[0].size, 290, 310);
    assert_int_equal(t.train[0].size % 3, 0);
    ml_dataset_text_close(&t);
}

static const char poems[] =
    "{\"title\":\"登鸛雀樓\",\"author\":\"王之渙\",\"text\":"
    "\"白日依山盡，黃河入海流。\\n欲窮千里目，更上一層樓。\"}\n"
    "{\"title\":\"\",\"text\":\"床前看月光，疑是地上霜。\\n舉頭望山月，低頭思故鄉。\"}\n"
    "{\"title\":\"短\",\"text\":\"白日依山盡，黃河入海流。\"}\n"
    "{\"text\":\"an ordinary sentence\",\"year\":712,\"weight\":0.1,\"form\":\"prose\"}\n";

static void templates_and_forms(void **state)
{
    static const char *const form[] = {"form"};
    material_text(&m, "poems.jsonl", poems);
    struct ml_dataset d = collected("poems.jsonl");
    struct ml_dataset_text_options options = {
        .template = "<{form}>[{title}:]{text}", .require = form, .require_count = 1};
    struct ml_dataset_text t = opened(&d, &options);
    assert_int_equal(t.records, 4);
    assert_int_equal(t.without_field, 1);
    assert_int_equal(t.train_count, 3);
    assert_true(
        is(&t.train[0], "<五絕>登鸛雀樓:白日依山盡，黃河入海流。\n欲窮千里目，更上一層樓。"));
    assert_true(is(&t.train[1], "<五絕>床前看月光，疑是地上霜。\n舉頭望山月，低頭思故鄉。"));
    assert_true(
        is(&t.train[2], "<prose>an ordinary sentence")); /* what the record says goes first */
    const size_t *literals = t.train[2].literals;
    assert_int_equal(t.train[2].literals_bytes % (2 * sizeof(size_t)), 0);
    assert_int_equal(literals[0], 0);
    assert_int_equal(literals[1], 1);
    ml_dataset_text_close(&t);
    /* Numbers become text, each its own. */
    options = (struct ml_dataset_text_options){.template = "{year} {weight} {text}"};
    t = opened(&d, &options);
    assert_int_equal(t.train_count, 1);
    assert_true(is(&t.train[0], "712 0.1 an ordinary sentence"));
    ml_dataset_text_close(&t);
}

/* Renderings differ in what they leave out, and are the same each time; what measures has all. */
static void copies_and_drops(void **state)
{
    struct ml_buffer text = {0};
    struct ml_error err = {0};
    for (int i = 0; i < 100; i++)
        assert_ok(ml_buffer_printf(&text, &err, "{\"title\":\"T\",\"text\":\"poem %d\"}\n", i),
                  err);
    material_put(&m, "p.jsonl", text.data, text.size);
    ml_buffer_clear(&text);
    struct ml_dataset d = collected("p.jsonl");
    const struct ml_dataset_text_options options = {
        .template = "[{title}]{text}", .validation = 0.2, .copies = 4, .drop = 0.5, .seed = 7};
    struct ml_dataset_text t = opened(&d, &options), again = opened(&d, &options);
    assert_int_equal(t.train_count, 4 * (100 - t.validation_count));
    int64_t with = 0;
    for (int64_t i = 0; i < t.train_count; i++) {
        with += t.train[i].text[0] == 'T';
        assert_string_equal(t.train[i].text, again.train[i].text);
    }
    assert_in_range(with, t.train_count / 4, 3 * t.train_count / 4);
    for (int64_t i = 0; i < t.validation_count; i++)
        assert_int_equal(t.validation[i].text[0], 'T');
    ml_dataset_text_close(&t);
    ml_dataset_text_close(&again);
}

static void what_cannot_be(void **state)
{
    struct ml_error err = {0};
    struct ml_dataset_text t = {0};
    static const char *const typo[] = {"authr"}, *const year[] = {"year"};
    const volatile int stop = 1;
    material_text(&m, "poems.jsonl", poems);
    struct ml_dataset d = collected("poems.jsonl");
    struct ml_dataset_text_options options = {.require = typo, .require_count = 1};
    assert_fails(ml_dataset_text_open(&t, ws, &d, &options, &err), ML_ERR_NOT_FOUND,
                 "did you mean \"author\"", err);
    options = (struct ml_dataset_text_options){.template = "[{titel}]{text}"};
    assert_fails(ml_dataset_text_open(&t, ws, &d, &options, &err), ML_ERR_NOT_FOUND, "\"titel\"",
                 err);
    options = (struct ml_dataset_text_options){.template = "{moral}"};
    assert_fails(ml_dataset_text_open(&t, ws, &d, &options, &err), ML_ERR_NOT_FOUND,
                 "they have: text", err);
    options = (struct ml_dataset_text_options){
        .template = "{author} {year}", .require = year, .require_count = 1};
    assert_fails(ml_dataset_text_open(&t, ws, &d, &options, &err), ML_ERR_NOT_FOUND,
                 "4 lack a field", err);
    options = (struct ml_dataset_text_options){.template = "{text"};
    assert_int_not_equal(ml_dataset_text_open(&t, ws, &d, &options, &err), 0);
    err = (struct ml_error){0};
    options = (struct ml_dataset_text_options){.cancel = &stop};
    assert_fails(ml_dataset_text_open(&t, ws, &d, &options, &err), ML_ERR_CANCELLED, "stopped",
                 err);
    /* An optional field that nobody has, and that is no typing error, is left out. */
    options = (struct ml_dataset_text_options){.template = "[moral: {moral}]{text}"};
    t = opened(&d, &options);
    assert_int_equal(t.train_count, 4);
    ml_dataset_text_close(&t);
}

/* Damage of the blob on disk is found before anything is trained on it. */
static void damage(void **state)
{
    struct ml_error err = {0};
    struct ml_dataset_text t = {0};
    struct ml_record record;
    struct ml_arena arena;
    ml_arena_init(&arena, 0);
    material_text(&m, "a.jsonl", "{\"text\":\"one\"}\n{\"text\":\"two\"}\n");
    struct ml_dataset d = collected("a.jsonl");
    assert_ok(ml_records_get(ws, 2, &arena, &record, &err), err);
    assert_ok(ml_file_write(ml_blobs_path(ws, &arena, record.blob),
                            "{\"text\":\"one\"}\n{\"text\":\"tow\"}\n", 30, &err),
              err);
    assert_fails(ml_dataset_text_open(&t, ws, &d, NULL, &err), ML_ERR_FORMAT, "record 2", err);
    collected("a.jsonl"); /* which repairs it */
    t = opened(&d, NULL);
    assert_int_equal(t.train_count, 2);
    ml_dataset_text_close(&t);
    ml_arena_clear(&arena);
}

/* What is held out is the same to the byte, and the originals stay among the copies. */
static void augmented(void **state)
{
    struct ml_buffer lines = {0};
    for (int i = 0; i < 100; i++)
        assert_int_equal(ml_buffer_printf(&lines, NULL,
                                          "{\"title\": \"T%d\", \"text\": \"the number of this "
                                          "one is %d and it is not another one\"}\n",
                                          i, i),
                         0);
    material_text(&m, "many.jsonl", lines.data);
    ml_buffer_clear(&lines);
    struct ml_dataset d = collected("many.jsonl");
    for (int with_template = 0; with_template < 2; with_template++) {
        struct ml_dataset_text_options options = {
            .validation = 0.2, .template = with_template ? "{title}: {text}" : NULL};
        struct ml_dataset_text plain = opened(&d, &options);
        options.augment = 0.1;
        struct ml_dataset_text more = opened(&d, &options), again = opened(&d, &options);
        assert_int_equal(more.train_count, plain.train_count * 16);
        assert_int_equal(more.validation_count, plain.validation_count);
        for (int64_t i = 0; i < plain.validation_count; i++)
            assert_true(is(&more.validation[i], plain.validation[i].text));
        int changed = 0;
        for (int64_t i = 0; i < more.train_count; i++) {
            assert_true(is(&again.train[i], more.train[i].text));
            changed += !find(plain.train, plain.train_count, &more.train[i]);
        }
        for (int64_t i = 0; i < plain.train_count; i++)
            assert_non_null(find(more.train, more.train_count, &plain.train[i]));
        assert_true(changed > more.train_count / 2);
        options.copies = 3;
        struct ml_dataset_text three = opened(&d, &options);
        assert_int_equal(three.train_count, plain.train_count * 3);
        ml_dataset_text_close(&three);
        ml_dataset_text_close(&again);
        ml_dataset_text_close(&more);
        ml_dataset_text_close(&plain);
    }
    struct ml_dataset_text none = {0};
    struct ml_error err = {0};
    const struct ml_dataset_text_options bad = {.augment = 0.1, .synonyms = "/no/such/file"};
    assert_fails(ml_dataset_text_open(&none, ws, &d, &bad, &err), ML_ERR_NOT_FOUND, "/no/such",
                 err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(plain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_split_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(copies_do_not_straddle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(few_documents, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_novel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(templates_and_forms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(copies_and_drops, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(augmented, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("dataset_text", tests, NULL, NULL);
}
