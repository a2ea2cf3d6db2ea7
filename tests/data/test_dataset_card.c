#include "export_fixture.h"

#include "data/dataset_card.h"

static struct export_fixture fixture;
static struct ml_dataset_facts facts;

static int set_up(void **state)
{
    struct ml_error err = {0};
    export_open(&fixture);
    assert_ok(ml_dataset_facts_open(&facts, fixture.ws, &fixture.dataset, NULL, &err), err);
    return 0;
}

static int tear_down(void **state)
{
    ml_dataset_facts_close(&facts);
    export_close(&fixture);
    return 0;
}

static void row_is(const struct ml_tally *tally, size_t i, const char *name, int64_t count)
{
    assert_true(i < tally->count);
    assert_string_equal(tally->rows[i].name, name);
    assert_int_equal(tally->rows[i].count, count);
}

static void counts(void **state)
{
    row_is(&facts.kinds, 0, "text", 4);
    row_is(&facts.kinds, 1, "image", 1);
    assert_int_equal(facts.kinds.rows[1].bytes, EXPORT_PICTURE_BYTES);
    row_is(&facts.licences, 0, "", 2);
    row_is(&facts.licences, 1, "CC-BY-4.0", 2);
    row_is(&facts.consents, 0, "", 3);
    row_is(&facts.sources, 0, "https://example.org", 2);
    row_is(&facts.sources, 1, "诗/", 2);
    row_is(&facts.sources, 2, "pictures/", 1);
    row_is(&facts.operations, 0, "collect", 3);
    row_is(&facts.operations, 1, "redact", 1);
    assert_int_equal(facts.operations.rows[1].bytes, 1);
    row_is(&facts.splits, 0, "", 4);
    row_is(&facts.splits, 1, "train", 1);
    assert_int_equal(facts.texts, 4);
    assert_int_equal(facts.captions, 1);
    assert_int_equal(facts.characters, 11 + 27 + 10 + 27);
    assert_int_equal(facts.shortest, 10);
    assert_int_equal(facts.median, 27);
    assert_int_equal(facts.repeated, 1);
    assert_int_equal(facts.found_languages, 4);
    assert_true(ml_tally_of(&facts.languages, "zh") == 1);
    assert_int_equal(facts.queue_count, 1);
    assert_int_equal(facts.queues[0].labels, 2);
    assert_int_equal(facts.queues[0].records, 1);
    assert_int_equal(facts.queues[0].annotators, 2);
    assert_int_equal(facts.queues[0].proposals, 1);
    row_is(&facts.queues[0].answers, 0, "glad", 2);
    assert_int_equal(facts.curation.id, 0);
}

static void has(const struct ml_buffer *card, const char *text)
{
    if (!strstr(card->data, text))
        fail_msg("not in the card: %s\n%s", text, card->data);
}

static void cards(void **state)
{
    struct ml_error err = {0};
    struct ml_buffer en = {0}, zh = {0}, again = {0};
    assert_ok(ml_dataset_card(&en, &facts, false, &err), err);
    assert_ok(ml_dataset_card(&zh, &facts, true, &err), err);
    assert_ok(ml_dataset_card(&again, &facts, false, &err), err);
    assert_string_equal(en.data, again.data);
    has(&en,
        "---\npretty_name: \"诗与画\"\nlicense: \"other\"\nlanguage:\n- \"en\"\n- \"zh\"\nsize_");
    has(&en, "size_categories:\n- n<1K\n---\n\n# 诗与画, version 1\n\n5 records, ");
    has(&en, fixture.dataset.hash);
    has(&en, "| kind | records | size |\n|---|---:|---:|\n| text | 4 |");
    has(&en, "| *not stated* | 2 |");
    has(&en, "| CC-BY-4.0 | 2 |");
    has(&en, "| denied: robots\\|none \\<b\\> | 1 |");
    has(&en, "| collect | 3 | 0 |\n| redact | 1 | 1 |\n");
    has(&en, "| mood | choice | 2 | 2 | 1 | 1 |\n\nAnswers in mood: glad 2.\n");
    has(&en, "- 1 of 5 records come with a statement against training on them.\n");
    has(&en, "- 1 of 5 records have the same bytes as another one.\n");
    assert_null(strstr(en.data, "/home/someone"));
    has(&zh, "# 诗与画 第 1 版\n\n共 5 条记录");
    has(&zh, "| *未说明* | 2 |");
    has(&zh, "队列 mood 的回答：glad 2。\n");
    has(&zh, "- 1/5 条记录的来源声明不同意用于训练。\n");
    assert_null(strstr(zh.data, "## What"));
    ml_buffer_clear(&en);
    ml_buffer_clear(&zh);
    ml_buffer_clear(&again);
}

static void out_of_memory(void **state)
{
    struct ml_error err = {0};
    struct ml_mem_stats before, after;
    ml_mem_get_stats(&before);
    for (uint64_t at = 1;; at++) {
        struct ml_dataset_facts f = {0};
        struct ml_buffer card = {0};
        ml_mem_fail_at(at);
        int status = ml_dataset_facts_open(&f, fixture.ws, &fixture.dataset, NULL, &err);
        if (status == 0)
            status = ml_dataset_card(&card, &f, false, &err);
        ml_mem_fail_at(0);
        ml_dataset_facts_close(&f);
        ml_buffer_clear(&card);
        ml_mem_get_stats(&after);
        assert_int_equal(before.live_blocks, after.live_blocks);
        if (status == 0)
            break;
        assert_int_equal(status, ML_ERR_MEMORY);
        err = (struct ml_error){0};
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cards, set_up, tear_down),
        cmocka_unit_test_setup_teardown(out_of_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("dataset_card", tests, NULL, NULL);
}
