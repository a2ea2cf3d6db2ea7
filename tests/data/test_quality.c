/* The rules on quality, normalisation and lines, near duplicates (data/quality.h, normalise.h,
 * c4_lines.h, minhash.h). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "data/c4_lines.h"
#include "data/minhash.h"
#include "data/normalise.h"
#include "data/quality.h"
#include "data_check.h"

static const char *judged(const char *text, const char *language, unsigned sets,
                          double metric[ML_METRIC_COUNT])
{
    struct ml_quality quality = {0};
    struct ml_quality_plan plan;
    struct ml_word_scan scan = {0};
    const struct ml_quality_rule *broken = NULL;
    ml_quality_plan_init(&plan, sets);
    assert_int_equal(ml_word_scan(&scan, text, strlen(text), NULL), 0);
    assert_int_equal(ml_quality_judge(&quality, &plan, &scan, language, &broken, NULL), 0);
    if (metric)
        memcpy(metric, quality.metric, sizeof quality.metric);
    ml_quality_clear(&quality);
    ml_word_scan_clear(&scan);
    return broken ? broken->name : "";
}

static const char good[] =
    "The painter had a brush that could bring to life whatever he drew with it. He drew a bird and "
    "it flew away over the roofs of the village.\n"
    "People came from far away to see what he would paint next, and he painted oxen for those that "
    "had none. The rich man wanted gold for himself.\n"
    "So the painter drew an island of gold in the middle of the sea, and a ship, and then the wind "
    "that he had been asked for.\n";

static const char good_zh[] =
    "从前有个孩子叫马良，他很喜欢画画，可是家里太穷了，连一支笔也没有。他到山上打柴的时候，就用树枝"
    "在"
    "沙地上学着画天上的鸟；到河边割草的时候，就用草根蘸河水在石头上画水里的鱼。\n"
    "有一天夜里，来了一位白胡子老人，送给他一支闪闪发光的神笔。他用这支笔画了一只鸟，鸟就扇着翅膀飞"
    "到天"
    "上去了。于是他天天给村里的穷人画东西，谁家没有犁耙，他就给谁家画犁耙。\n";

static void test_good(void **state)
{
    assert_string_equal(
        judged(good, "en",
               ML_QUALITY_GOPHER | ML_QUALITY_REPETITION | ML_QUALITY_C4 | ML_QUALITY_FINEWEB,
               NULL),
        "");
    assert_string_equal(
        judged(good_zh, "zh", ML_QUALITY_GOPHER | ML_QUALITY_REPETITION | ML_QUALITY_FINEWEB, NULL),
        "");
}

static void test_broken(void **state)
{
    char text[8192];
    assert_string_equal(judged("Too short to learn from.", "en", ML_QUALITY_GOPHER, NULL),
                        "gopher.words");
    snprintf(text, sizeof text, "%s lorem ipsum", good);
    assert_string_equal(judged(text, "en", ML_QUALITY_C4, NULL), "c4.lorem_ipsum");
    snprintf(text, sizeof text, "%s {", good);
    assert_string_equal(judged(text, "en", ML_QUALITY_C4, NULL), "c4.braces");
    size_t n = 0;
    for (int i = 0; i < 60; i++)
        n += (size_t)sprintf(text + n, "menu %d\n", i);
    assert_string_equal(judged(text, "en", ML_QUALITY_FINEWEB, NULL), "fineweb.ended_lines");
    n = 0;
    for (int i = 0; i < 60; i++)
        n += (size_t)sprintf(text + n, "- the point of it number %d\n", i);
    assert_string_equal(judged(text, "en", ML_QUALITY_GOPHER, NULL), "gopher.bullet_lines");
    assert_string_equal(judged("Xyz abc foo bar baz. Xyz abd foe bur bez qux. Xyz abe fou ber biz "
                               "quy. Xyz abf fow bir boz quz. Xyz abg foy bor buz quw. Xya abh fob "
                               "bar cuz. Xyb abi foc bas daz quv. Xyc abj fod bat eaz qua. Xyd.",
                               "en", ML_QUALITY_GOPHER, NULL),
                        "gopher.words");
}

/* Runs that repeat, against a count by hand: 12 words, "a b c d e f" twice. */
static void test_runs(void **state)
{
    double m[ML_METRIC_COUNT];
    judged("aa bb cc dd ee ff xx aa bb cc dd ee ff yy", NULL, ML_QUALITY_REPETITION, m);
    assert_true(fabs(m[ML_METRIC_TOP_2GRAM] - 2 * 4 / 28.0) < 1e-9);
    assert_true(fabs(m[ML_METRIC_TOP_4GRAM] - 2 * 8 / 28.0) < 1e-9);
    assert_true(fabs(m[ML_METRIC_DUP_5GRAM] - 10 / 28.0) < 1e-9);
    assert_true(fabs(m[ML_METRIC_DUP_6GRAM] - 12 / 28.0) < 1e-9);
    assert_true(m[ML_METRIC_DUP_7GRAM] == 0);
}

/* The same against the plain way of counting, on random texts of few words. */
static void test_runs_random(void **state)
{
    struct ml_rng rng;
    ml_rng_init(&rng, 5, 0);
    for (int round = 0; round < 200; round++) {
        char text[2048];
        int words[200], count = 20 + (int)ml_rng_below(&rng, 180);
        size_t at = 0;
        for (int i = 0; i < count; i++) {
            words[i] = (int)ml_rng_below(&rng, 3);
            at += (size_t)sprintf(text + at, "w%c ", 'a' + words[i]);
        }
        double m[ML_METRIC_COUNT];
        struct ml_quality_plan plan;
        ml_quality_plan_init(&plan, ML_QUALITY_REPETITION);
        struct ml_quality q = {0};
        struct ml_word_scan s = {0};
        const struct ml_quality_rule *broken;
        for (int i = 0; i < plan.count; i++) /* nothing breaks, so all is measured */
            ml_quality_plan_set(&plan, plan.rules[i]->name, -HUGE_VAL, HUGE_VAL, NULL);
        assert_int_equal(ml_word_scan(&s, text, at, NULL), 0);
        assert_int_equal(ml_quality_judge(&q, &plan, &s, NULL, &broken, NULL), 0);
        memcpy(m, q.metric, sizeof m);
        ml_quality_clear(&q);
        ml_word_scan_clear(&s);
        for (int n = 2; n <= 10; n++) {
            int best = 0, repeated = 0;
            for (int i = 0; i + n <= count; i++) {
                int same = 0;
                for (int j = 0; j + n <= count; j++)
                    same += memcmp(words + i, words + j, (size_t)n * sizeof *words) == 0;
                best = same > 1 && same * n > best ? same * n : best;
            }
            for (int i = 0; i + n <= count;) {
                bool before = false;
                /* seen: any start before i that was not passed over; starts inside a repeated run
                 * are not remembered */
                static bool start[200];
                if (i == 0)
                    memset(start, 0, sizeof start);
                for (int j = 0; j < i && !before; j++)
                    before =
                        start[j] && memcmp(words + i, words + j, (size_t)n * sizeof *words) == 0;
                start[i] = true;
                repeated += before ? n : 0;
                i += before ? n : 1;
            }
            double all = count * 2.0;
            if (n <= 4)
                assert_true(fabs(m[ML_METRIC_TOP_2GRAM + n - 2] - best * 2 / all) < 1e-9);
            else
                assert_true(fabs(m[ML_METRIC_DUP_5GRAM + n - 5] - repeated * 2 / all) < 1e-9);
        }
    }
}

static void test_limits(void **state)
{
    struct ml_quality_plan plan;
    struct ml_error err = {0};
    int count;
    const struct ml_quality_rule *rules = ml_quality_rules(&count);
    ml_quality_plan_init(&plan, ML_QUALITY_ALL);
    assert_int_equal(plan.count, count);
    assert_int_equal(ml_quality_plan_set(&plan, rules[0].name, 5, NAN, &err), 0);
    assert_true(plan.low[0] == 5 && plan.high[0] == 100000);
    assert_int_equal(ml_quality_plan_set(&plan, "gopher.word", 5, NAN, &err), ML_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "gopher.words"));
}

static void expect_normal(const char *text, const char *expected, bool half)
{
    struct ml_buffer out = {0};
    const struct ml_normalise how = {.half_width = half};
    bool changed;
    assert_int_equal(ml_normalise_text(&out, text, strlen(text), &how, &changed, NULL), 0);
    assert_string_equal(out.data, expected);
    assert_int_equal(changed, strcmp(text, expected) != 0);
    ml_buffer_clear(&out);
}

static void test_normalise(void **state)
{
    expect_normal("plain\ntext", "plain\ntext", false);
    expect_normal("e\xCC\x81t\xC3\xA9", "\xC3\xA9t\xC3\xA9", false);
    expect_normal("\xEF\xBB\xBF a\xC2\xA0\xC2\xA0"
                  "b \n\n\n\nc\t\n",
                  " a b\n\nc", false);
    expect_normal("　　马良\xE2\x80\x8B画　画\n", "马良画 画", false);
    expect_normal("ＡＢＣ１２，", "ABC12，", true);
    expect_normal("  def f():\n\treturn", "  def f():\n    return", false);
    expect_normal(" \n ", "", false);
}

static void test_c4_lines(void **state)
{
    const char *text = "Home\nThe painter drew a bird [3] and it flew.\nPlease enable JavaScript "
                       "to go on.\n\n本站使用Cookie，请见隐私政策。\n从前有个孩子叫马良。\nOK go";
    struct ml_word_scan s = {0};
    struct ml_buffer out = {0};
    bool changed;
    int64_t dropped;
    assert_int_equal(ml_word_scan(&s, text, strlen(text), NULL), 0);
    assert_int_equal(ml_c4_lines(&out, &s, &changed, &dropped, NULL), 0);
    assert_string_equal(out.data, "The painter drew a bird  and it flew.\n\n从前有个孩子叫马良。");
    assert_int_equal(dropped, 4);
    assert_true(changed);
    ml_buffer_clear(&out);
    ml_word_scan_clear(&s);
}

static struct ml_signature signature_of(struct ml_minhash *m, const char *text)
{
    struct ml_word_scan s = {0};
    struct ml_signature out;
    bool any = false;
    assert_int_equal(ml_word_scan(&s, text, strlen(text), NULL), 0);
    assert_int_equal(ml_minhash_sign(m, &s, &out, &any, NULL), 0);
    assert_true(any);
    ml_word_scan_clear(&s);
    return out;
}

static void test_minhash(void **state)
{
    struct ml_minhash m;
    struct ml_near_index index = {0};
    char other[2048];
    double alike;
    ml_minhash_init(&m);
    struct ml_signature a = signature_of(&m, good);
    snprintf(other, sizeof other, "%s THE END", good);
    struct ml_signature b = signature_of(&m, other), c = signature_of(&m, good_zh);
    assert_true(ml_signature_similarity(&a, &a) == 1);
    assert_true(ml_signature_similarity(&a, &b) > 0.9);
    assert_true(ml_signature_similarity(&a, &c) < 0.1);
    assert_int_equal(ml_near_index_find(&index, &a, 0.7, NULL), -1);
    assert_int_equal(ml_near_index_add(&index, &a, 41, NULL), 0);
    assert_int_equal(ml_near_index_add(&index, &c, 42, NULL), 0);
    assert_int_equal(ml_near_index_find(&index, &b, 0.7, &alike), 41);
    assert_true(alike > 0.9);
    assert_int_equal(ml_near_index_find(&index, &c, 0.7, NULL), 42);
    struct ml_signature brief = signature_of(&m, "two words"),
                        same = signature_of(&m, "Two words!");
    assert_true(ml_signature_similarity(&brief, &same) == 1);
    ml_near_index_clear(&index);
    ml_minhash_clear(&m);
}

/* The estimate is without bias: sets that share a known part. */
static void test_minhash_estimate(void **state)
{
    struct ml_minhash m;
    double sum = 0;
    ml_minhash_init(&m);
    for (int round = 0; round < 40; round++) {
        char x[16384], y[16384];
        size_t n = 0, k = 0;
        for (int i = 0; i < 500; i++) { /* 496 runs; the first 250 words are shared: 246 of 746 */
            n += (size_t)sprintf(x + n, "a%dx%d ", round, i);
            k += (size_t)sprintf(y + k, i < 250 ? "a%dx%d " : "b%dy%d ", round, i);
        }
        struct ml_signature a = signature_of(&m, x), b = signature_of(&m, y);
        sum += ml_signature_similarity(&a, &b);
    }
    assert_true(fabs(sum / 40 - 246.0 / 746) < 0.025);
    ml_minhash_clear(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_runs_random),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_normalise),
        cmocka_unit_test(test_c4_lines),
        cmocka_unit_test(test_minhash),
        cmocka_unit_test(test_minhash_estimate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
