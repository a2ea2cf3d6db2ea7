/* Text classifiers: learning, applying, files (text/classifier.h), and the languages that one of
 * them tells apart (text/language.h). */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "text/language.h"
#include "text_check.h"

static const char *const texts[][2] = {
    {"the match ended with two goals in the last minute", "sport"},
    {"the striker scored and the team won the cup", "sport"},
    {"her serve won the tennis final", "sport"},
    {"the bank raised its rates and shares fell", "money"},
    {"investors sold shares after the bank report", "money"},
    {"profits and rates worry the market", "money"},
    {"球队在最后一分钟进球赢得比赛", "sport"},
    {"股市下跌银行股价走低", "money"},
};
enum { TEXTS = sizeof texts / sizeof texts[0] };
static const char *const labels[] = {"sport", "money"};

static struct ml_classifier *trained(const struct ml_classifier_options *options)
{
    struct ml_classifier_example examples[TEXTS];
    struct ml_classifier *c = NULL;
    struct ml_error err = {0};
    for (int i = 0; i < TEXTS; i++)
        examples[i] = (struct ml_classifier_example){texts[i][0], strlen(texts[i][0]),
                                                     strcmp(texts[i][1], "money") == 0};
    assert_int_equal(ml_classifier_train(&c, examples, TEXTS, labels, 2, options, &err), 0);
    return c;
}

static const char *label_of(const struct ml_classifier *c, const char *text, float p[2])
{
    struct ml_classifier_work work = {0};
    int best = ml_classifier_apply(c, &work, text, strlen(text), p, NULL);
    ml_classifier_work_clear(&work);
    assert_true(best >= 0);
    return ml_classifier_label(c, best);
}

static void test_learns(void **state)
{
    float p[2];
    struct ml_classifier *c = trained(&(struct ml_classifier_options){.bits = 12});
    assert_int_equal(ml_classifier_labels(c), 2);
    for (int i = 0; i < TEXTS; i++)
        assert_string_equal(label_of(c, texts[i][0], p), texts[i][1]);
    assert_string_equal(label_of(c, "two goals in the cup final", p), "sport");
    assert_string_equal(label_of(c, "银行股下跌", p), "money");
    assert_true(fabsf(p[0] + p[1] - 1) < 1e-5f);
    label_of(c, "", p);
    ml_classifier_free(c);
}

static void test_deterministic_and_file(void **state)
{
    const struct ml_classifier_options options = {
        .bits = 10, .char_min = 3, .char_max = 4, .seed = 7};
    struct ml_classifier *a = trained(&options), *b = trained(&options), *back = NULL;
    char path[] = "/tmp/maliang-classifier-XXXXXX";
    float p[2], q[2];
    struct ml_error err = {0};
    close(mkstemp(path));
    label_of(a, "goals and shares", p);
    label_of(b, "goals and shares", q);
    assert_memory_equal(p, q, sizeof p);
    assert_int_equal(ml_classifier_save(a, path, &err), 0);
    assert_int_equal(ml_classifier_open(&back, path, &err), 0);
    label_of(back, "goals and shares", q);
    assert_memory_equal(p, q, sizeof p);
    ml_classifier_free(a);
    ml_classifier_free(b);
    ml_classifier_free(back);
    unlink(path);
}

/* Every byte that is changed, and every end that is cut off, is noticed. */
static void test_damage(void **state)
{
    struct ml_classifier *c = trained(&(struct ml_classifier_options){.bits = 8}), *back = NULL;
    char path[] = "/tmp/maliang-classifier-XXXXXX";
    struct ml_arena arena;
    char *bytes;
    size_t size;
    close(mkstemp(path));
    ml_arena_init(&arena, 0);
    assert_int_equal(ml_classifier_save(c, path, NULL), 0);
    assert_int_equal(ml_file_read(&arena, path, 1 << 20, &bytes, &size, NULL), 0);
    for (size_t i = 0; i < size; i += 1 + size / 200) {
        struct ml_error err = {0};
        bytes[i] ^= 0x55;
        assert_true(ml_classifier_parse(&back, bytes, size, "x", &err) < 0);
        assert_non_null(strstr(err.message, "x: "));
        bytes[i] ^= 0x55;
        assert_true(ml_classifier_parse(&back, bytes, i, "x", NULL) < 0);
    }
    assert_null(back);
    ml_classifier_free(c);
    ml_arena_clear(&arena);
    unlink(path);
}

static void test_mistakes(void **state)
{
    struct ml_classifier *c = NULL;
    struct ml_error err = {0};
    const struct ml_classifier_example one[] = {{"a", 1, 0}, {"b", 1, 0}};
    const struct ml_classifier_example bad[] = {{"a", 1, 0}, {"\xFF", 1, 1}};
    assert_int_equal(ml_classifier_train(&c, one, 2, labels, 1, NULL, &err), ML_ERR_ARG);
    err = (struct ml_error){0};
    assert_int_equal(ml_classifier_train(&c, one, 2, labels, 2, NULL, &err), ML_ERR_ARG);
    assert_non_null(strstr(err.message, "money"));
    err = (struct ml_error){0};
    assert_int_equal(ml_classifier_train(&c, bad, 2, labels, 2, NULL, &err), ML_ERR_ARG);
    assert_non_null(strstr(err.message, "UTF-8"));
    assert_null(c);
}

static void test_languages(void **state)
{
    static const char *const lines[][2] = {
        {"en", "The best way to predict the future is to invent it."},
        {"zh", "千里之行，始于足下。"},
        {"zh", "床前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。"},
        {"ja", "吾輩は猫である。名前はまだ無い。"},
        {"ko", "낮말은 새가 듣고 밤말은 쥐가 듣는다."},
        {"ru", "Все счастливые семьи похожи друг на друга, каждая несчастлива по-своему."},
        {"fr", "Longtemps, je me suis couché de bonne heure."},
        {"de", "Als Gregor Samsa eines Morgens aus unruhigen Träumen erwachte."},
        {"es", "En un lugar de la Mancha, de cuyo nombre no quiero acordarme."},
        {"ar", "العلم في الصغر كالنقش على الحجر وهو خير من المال"},
    };
    struct ml_classifier *model = NULL;
    struct ml_classifier_work work = {0};
    struct ml_language found;
    assert_int_equal(ml_language_model_open(&model, NULL), 0);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(
            ml_language_identify(model, &work, lines[i][1], strlen(lines[i][1]), &found, NULL), 0);
        assert_string_equal(found.code, lines[i][0]);
        assert_true(found.probability > 0.5f && found.probability <= 1);
    }
    assert_int_equal(ml_language_identify(model, &work, "12 : 30", 7, &found, NULL), 0);
    assert_string_equal(found.code, "");
    /* a long text is sampled between characters */
    char long_text[9000];
    size_t n = 0;
    while (n + 60 < sizeof long_text)
        n += (size_t)sprintf(long_text + n, "神笔马良画了一只会飞的鸟。");
    assert_int_equal(ml_language_identify(model, &work, long_text, n, &found, NULL), 0);
    assert_string_equal(found.code, "zh");
    ml_classifier_work_clear(&work);
    ml_classifier_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns),    cmocka_unit_test(test_deterministic_and_file),
        cmocka_unit_test(test_damage),    cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_languages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
