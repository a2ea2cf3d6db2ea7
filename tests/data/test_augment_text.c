/* Variants of texts (data/augment_text.h) and files of synonyms (data/synonyms.h). */
#include "data/augment_text.h"

#include <string.h>

#include "base/utf8.h"
#include "data_check.h"

static const char words[] = "\xEF\xBB\xBF# comment\n"
                            "happy, glad, in good spirits\r\n"
                            "Aa01A01= 高兴 快乐 愉快\n"
                            "Aa01A02# 桌子 椅子\n"
                            "brush pen\n"
                            "Ma Liang,\n"
                            "马良\n"
                            "\n"
                            "画，绘\n";

static struct ml_synonyms *synonyms(void)
{
    struct ml_synonyms *s = NULL;
    struct ml_error err = {0};
    assert_int_equal(ml_synonyms_parse(&s, words, sizeof words - 1, "words.txt", &err), 0);
    return s;
}

/* How many words of the scan the first known word has, and how many mean the same. */
static void knows(const struct ml_synonyms *s, const char *text, int parts, int count)
{
    struct ml_word_scan scan = {0};
    struct ml_synonym_group group = {0};
    assert_int_equal(ml_word_scan(&scan, text, strlen(text), NULL), 0);
    assert_int_equal(ml_synonyms_find(s, &scan, 0, &group), parts);
    assert_int_equal(group.count, count);
    ml_word_scan_clear(&scan);
}

static void test_synonyms(void **state)
{
    struct ml_synonyms *s = synonyms(), *none = s;
    struct ml_error err = {0};
    knows(s, "Happy days", 1, 3);
    knows(s, "in good spirits again", 3, 3);
    knows(s, "in good  spirits", 0, 0); /* two blanks: it may be a table */
    knows(s, "快乐的人", 2, 3);
    knows(s, "快", 0, 0);
    knows(s, "桌子", 0, 0); /* related, not the same */
    knows(s, "brush", 1, 2);
    knows(s, "ma liang", 2, 1);
    knows(s, "马良", 2, 1);
    knows(s, "绘", 1, 2);
    knows(NULL, "happy", 0, 0);
    ml_synonyms_free(s);
    assert_int_equal(ml_synonyms_parse(&none, "a b\nc \xFF", 8, "w.txt", &err), ML_ERR_FORMAT);
    assert_non_null(strstr(err.message, "w.txt: line 2"));
    assert_ptr_equal(none, s);
    assert_int_equal(ml_synonyms_load(&none, "/no/such/file", &err), ML_ERR_NOT_FOUND);
}

static const char *vary(struct ml_augment_work *w, const struct ml_augment_plan *plan,
                        const char *text, uint64_t seed)
{
    struct ml_rng rng;
    struct ml_error err = {0};
    ml_rng_init(&rng, 1, seed);
    if (ml_augment_text(w, plan, ML_AUGMENT_TRAIN, text, strlen(text), &rng, &err))
        fail_msg("%s", err.message);
    assert_true(ml_utf8_valid(w->out.data, w->out.size));
    return w->out.data;
}

/* Whatever the draw: numbers, names, punctuation and lines stay; the same draw gives the same. */
static void test_what_stays(void **state)
{
    static const char text[] = "Ma Liang was happy in 1998.\nHe drew 3 birds, and a brush.";
    struct ml_synonyms *s = synonyms();
    const struct ml_augment_plan plan = {.share = 0.2, .synonyms = s};
    struct ml_augment_work w = {0}, again = {0};
    int changed = 0, capitals = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        const char *out = vary(&w, &plan, text, seed);
        const char *line = strchr(out, '\n');
        assert_non_null(line);
        assert_true(strstr(out, "Ma Liang") && strstr(out, "Ma Liang") < line);
        assert_true(strstr(out, "1998") && strstr(out, "1998") < line);
        assert_non_null(strstr(line, "3"));
        assert_true(strchr(out, '.') < line);
        assert_null(strstr(out, "  "));
        changed += strcmp(out, text) != 0;
        capitals += strstr(out, "In good") != NULL;
        assert_string_equal(vary(&again, &plan, text, seed), out);
    }
    assert_true(changed > 300);
    assert_int_equal(capitals, 0);
    ml_augment_work_clear(&again);
    ml_augment_work_clear(&w);
    ml_synonyms_free(s);
}

static void test_chinese(void **state)
{
    static const char text[] = "马良很高兴，拿起笔画了一只鸟。鸟飞走了！";
    struct ml_synonyms *s = synonyms();
    const struct ml_augment_plan plan = {.share = 0.1, .synonyms = s};
    struct ml_augment_work w = {0};
    int glad = 0, drawn = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        const char *out = vary(&w, &plan, text, seed);
        assert_non_null(strstr(out, "马良"));
        assert_true(strstr(out, "，") < strstr(out, "。") && strstr(out, "！") != NULL);
        glad += strstr(out, "快乐") != NULL || strstr(out, "愉快") != NULL;
        drawn += strstr(out, "绘") != NULL;
        assert_null(strchr(out, ' '));
    }
    assert_true(glad > 20);
    assert_true(drawn > 20);
    ml_augment_work_clear(&w);
    ml_synonyms_free(s);
}

static void test_without_synonyms(void **state)
{
    const struct ml_augment_plan plan = {.share = 0.1};
    struct ml_augment_work w = {0};
    int swapped = 0, shorter = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        const char *out = vary(&w, &plan, "one two three four five six seven eight", seed);
        swapped += strlen(out) == 39 && strcmp(out, "one two three four five six seven eight") != 0;
        shorter += strlen(out) < 39;
    }
    assert_true(swapped > 50 && shorter > 20);
    assert_string_equal(vary(&w, &plan, "word", 3), "word");
    assert_string_equal(vary(&w, &plan, " 12, 13!\n", 3), " 12, 13!\n");
    vary(&w, &plan, "", 1);
    assert_int_equal(w.out.size, 0);
    ml_augment_work_clear(&w);
}

/* A long text of short lines: words change places within them (most that should), and the few words
 * that have synonyms are replaced and inserted once each, not again and again. */
static void test_long_text(void **state)
{
    enum { LINES = 2000 };
    struct ml_synonyms *s = synonyms();
    const struct ml_augment_plan with = {.share = 0.2, .synonyms = s}, without = {.share = 0.2};
    struct ml_augment_work w = {0};
    struct ml_buffer text = {0};
    int swapped = 0, replaced = 0, inserted = 0;
    for (int i = 0; i < LINES; i++)
        assert_int_equal(
            ml_buffer_printf(&text, NULL, "one two six %s ten\n", i % 500 ? "was" : "happy"), 0);
    for (uint64_t seed = 0; seed < 40; seed++) {
        const char *out = vary(&w, &without, text.data, seed);
        if (w.out.size == text.size) { /* swapped */
            int lines = 0;
            for (size_t at = 0; at < text.size;
                 at = (size_t)(strchr(text.data + at, '\n') - text.data) + 1) {
                const char *end = strchr(text.data + at, '\n');
                lines += memcmp(text.data + at, out + at, (size_t)(end - text.data) - at) != 0;
                assert_int_equal(out[end - text.data], '\n'); /* and none left its line */
            }
            assert_true(lines > LINES / 3);
            swapped++;
        }
        out = vary(&w, &with, text.data, seed);
        size_t glad = 0, happy = 0;
        for (const char *at = out; (at = strstr(at, "happy")); at++)
            happy++;
        for (const char *at = out; (at = strstr(at, "glad")); at++)
            glad++;
        for (const char *at = out; (at = strstr(at, "in good spirits")); at++)
            glad++;
        assert_true(glad <= 4 && happy <= 4);
        replaced += glad == 4 && happy == 0;
        inserted += glad == 4 && happy == 4;
    }
    assert_true(swapped > 5 && replaced > 2 && inserted > 2);
    ml_buffer_clear(&text);
    ml_augment_work_clear(&w);
    ml_synonyms_free(s);
}

/* Only what is trained on. */
static void test_other_splits(void **state)
{
    const struct ml_augment_plan plan = {.share = 0.1};
    struct ml_augment_work w = {0};
    struct ml_rng rng;
    struct ml_error err = {0};
    ml_rng_init(&rng, 1, 1);
    for (int split = ML_AUGMENT_VALIDATION; split <= ML_AUGMENT_TEST; split++) {
        assert_int_equal(
            ml_augment_text(&w, &plan, (enum ml_augment_split)split, "a b", 3, &rng, &err),
            ML_ERR_STATE);
        assert_non_null(strstr(err.message, "measures"));
    }
    assert_int_equal(w.out.size, 0);
    assert_int_equal(ml_augment_copies(500), 16);
    assert_int_equal(ml_augment_copies(2000), 8);
    assert_int_equal(ml_augment_copies(2001), 4);
    ml_augment_work_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_synonyms),  cmocka_unit_test(test_what_stays),
        cmocka_unit_test(test_chinese),   cmocka_unit_test(test_without_synonyms),
        cmocka_unit_test(test_long_text), cmocka_unit_test(test_other_splits),
    };
    return cmocka_run_group_tests_name("augment_text", tests, NULL, NULL);
}
