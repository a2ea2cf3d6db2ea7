/* Rhyme groups: learnt from invented poems whose groups are known, saved and read. */
#include "text/rhyme.h"
#include "text_check.h"

#define GROUPS 12
#define SIZE   20

/* Character k of group g. */
static uint32_t character(int g, int k)
{
    return 0x4e00 + (uint32_t)(k * GROUPS + g);
}

/* Poems of two or four rhymes; one in twenty rhymes falsely. The first character of group 0 has two
 * readings and rhymes with group 1 as well. */
static void invent(struct ml_rhyme_learner *learner, struct ml_rng *rng, int poems)
{
    struct ml_error err = {0};
    for (int i = 0; i < poems; i++) {
        int g = (int)ml_rng_below(rng, GROUPS), n = ml_rng_below(rng, 2) ? 4 : 2;
        uint32_t endings[4];
        for (int k = 0; k < n; k++)
            endings[k] =
                character(g, (int)(ml_rng_below(rng, SIZE) * ml_rng_below(rng, SIZE) / SIZE));
        if (ml_rng_below(rng, 20) == 0)
            endings[0] = character((int)ml_rng_below(rng, GROUPS), 3);
        if (g == 1 && ml_rng_below(rng, 8) == 0)
            endings[1] = character(0, 0);
        assert_int_equal(ml_rhyme_learner_add(learner, endings, n, &err), 0);
    }
}

static struct ml_rhyme *learn(int poems)
{
    struct ml_rhyme_learner learner = {0};
    struct ml_rhyme *rhyme = NULL;
    struct ml_error err = {0};
    struct ml_rng rng;
    ml_rng_init(&rng, 9, 0);
    invent(&learner, &rng, poems);
    assert_int_equal(learner.poems, poems);
    if (ml_rhyme_learn(&rhyme, &learner, &err) < 0)
        fail_msg("%s", err.message);
    ml_rhyme_learner_clear(&learner);
    return rhyme;
}

static void groups_are_found(void **state)
{
    struct ml_rhyme *rhyme = learn(6000);
    int right = 0, wrong = 0;
    assert_int_equal(ml_rhyme_groups(rhyme), GROUPS);
    for (int g = 0; g < GROUPS; g++)
        for (int k = 0; k < 12; k++)
            for (int h = 0; h < GROUPS; h++) {
                int agree = ml_rhyme_agree(rhyme, character(g, k), character(h, 5));
                right += (agree == 1) == (g == h);
                wrong += (agree == 1) != (g == h);
            }
    /* Only the character of two readings rhymes with a second group. */
    assert_true(wrong <= 1);
    assert_true(right >= 12 * GROUPS * GROUPS - 1);
    assert_int_equal(ml_rhyme_agree(rhyme, character(0, 0), character(0, 7)), 1);
    assert_int_equal(ml_rhyme_agree(rhyme, character(0, 0), character(1, 7)), 1);
    assert_int_equal(ml_rhyme_agree(rhyme, character(0, 1), character(1, 7)), 0);
    assert_int_equal(ml_rhyme_agree(rhyme, 'x', character(1, 7)), -1);
    assert_int_equal(ml_rhyme_agree(rhyme, 'x', 'x'), 1);
    ml_rhyme_free(rhyme);
}

static void scores_count_pairs(void **state)
{
    struct ml_rhyme *rhyme = learn(6000);
    struct ml_rhyme_score score = {0};
    uint32_t endings[4] = {character(2, 1), character(2, 2), character(2, 1), character(3, 1)};
    ml_rhyme_score_add(rhyme, endings, 4, &score);
    assert_int_equal(score.pairs, 5); /* the pair of the same character does not count */
    assert_int_equal(score.known, 5);
    assert_int_equal(score.agreeing, 2);
    endings[3] = 'x';
    score = (struct ml_rhyme_score){0};
    ml_rhyme_score_add(rhyme, endings, 4, &score);
    assert_int_equal(score.pairs, 5);
    assert_int_equal(score.known, 2);
    ml_rhyme_free(rhyme);
}

static void saved_and_opened(void **state)
{
    char path[256];
    const char *root = getenv("TMPDIR");
    struct ml_error err = {0};
    struct ml_rhyme *rhyme = learn(3000), *again = NULL;
    snprintf(path, sizeof path, "%s/maliang-rhyme-%ld.txt", root ? root : "/tmp", (long)getpid());
    if (ml_rhyme_save(rhyme, path, &err) < 0 || ml_rhyme_open(&again, path, &err) < 0)
        fail_msg("%s", err.message);
    unlink(path);
    assert_int_equal(ml_rhyme_groups(again), ml_rhyme_groups(rhyme));
    for (int i = 0; i < GROUPS * SIZE; i++)
        for (int k = 0; k < GROUPS * SIZE; k += 7)
            assert_int_equal(ml_rhyme_agree(again, 0x4e00 + (uint32_t)i, 0x4e00 + (uint32_t)k),
                             ml_rhyme_agree(rhyme, 0x4e00 + (uint32_t)i, 0x4e00 + (uint32_t)k));
    ml_rhyme_free(again);
    ml_rhyme_free(rhyme);
}

static void read_from_text(void **state)
{
    static const char text[] = "# rhymes\n光霜鄉\r\n\n  流樓 \n光流";
    struct ml_error err = {0};
    struct ml_rhyme *rhyme = NULL;
    assert_int_equal(ml_rhyme_parse(&rhyme, text, sizeof text - 1, "x", &err), 0);
    assert_int_equal(ml_rhyme_groups(rhyme), 3);
    assert_int_equal(ml_rhyme_agree(rhyme, 0x5149, 0x9109), 1); /* 光鄉 */
    assert_int_equal(ml_rhyme_agree(rhyme, 0x5149, 0x6a13), 0); /* 光樓 */
    assert_int_equal(ml_rhyme_agree(rhyme, 0x5149, 0x6d41), 1); /* 光流 */
    ml_rhyme_free(rhyme);
    static const struct {
        const char *text, *part;
    } bad[] = {{"", "no rhyme groups"}, {"# only this\n", "no rhyme"}, {"光\n\xff\n", "line 2"}};
    for (int i = 0; i < COUNT(bad); i++) {
        err = (struct ml_error){0};
        assert_int_equal(ml_rhyme_parse(&rhyme, bad[i].text, strlen(bad[i].text), "x", &err),
                         ML_ERR_FORMAT);
        assert_non_null(strstr(err.message, bad[i].part));
    }
}

static void too_little_to_learn_from(void **state)
{
    struct ml_rhyme_learner learner = {0};
    struct ml_rhyme *rhyme = NULL;
    struct ml_error err = {0};
    static const uint32_t one[] = {0x5149}, pair[] = {0x5149, 0x971c}, hole[] = {0x5149, 0};
    assert_int_equal(ml_rhyme_learn(&rhyme, &learner, &err), ML_ERR_ARG);
    assert_int_equal(ml_rhyme_learner_add(&learner, one, 1, &err), 0);
    assert_int_equal(ml_rhyme_learner_add(&learner, hole, 2, &err), 0);
    assert_int_equal(learner.poems, 0);
    assert_int_equal(ml_rhyme_learner_add(&learner, pair, 2, &err), 0);
    err = (struct ml_error){0};
    assert_int_equal(ml_rhyme_learn(&rhyme, &learner, &err), ML_ERR_ARG);
    assert_null(rhyme);
    /* Chance is known only beside other rhymes: a handful of pairs, twice each, are groups. */
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t endings[2] = {0x5149 + i % 8 * 2, 0x514a + i % 8 * 2};
        assert_int_equal(ml_rhyme_learner_add(&learner, endings, 2, &err), 0);
    }
    err = (struct ml_error){0};
    assert_int_equal(ml_rhyme_learn(&rhyme, &learner, &err), 0);
    assert_int_equal(ml_rhyme_agree(rhyme, 0x514b, 0x514c), 1);
    assert_int_equal(ml_rhyme_agree(rhyme, 0x514c, 0x514d), 0);
    ml_rhyme_free(rhyme);
    ml_rhyme_learner_clear(&learner);
}

static void allocations_fail(void **state)
{
    struct ml_rhyme_learner learner = {0};
    struct ml_mem_stats before, after;
    struct ml_rng rng;
    int code = ML_ERR_MEMORY;
    ml_rng_init(&rng, 9, 0);
    invent(&learner, &rng, 500);
    ml_mem_get_stats(&before);
    for (uint64_t n = 1; code < 0; n++) {
        struct ml_error err = {0};
        struct ml_rhyme *rhyme = NULL, *again = NULL;
        ml_mem_fail_at(n);
        code = ml_rhyme_learn(&rhyme, &learner, &err);
        if (code == 0)
            code = ml_rhyme_parse(&again, "光霜", 6, "x", &err);
        ml_mem_fail_at(0);
        assert_true(code == 0 ? n > 5 : strstr(err.message, "out of memory") != NULL);
        ml_rhyme_free(rhyme);
        ml_rhyme_free(again);
        ml_mem_get_stats(&after);
        assert_int_equal(after.live_blocks, before.live_blocks);
    }
    ml_rhyme_learner_clear(&learner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_found),         cmocka_unit_test(scores_count_pairs),
        cmocka_unit_test(saved_and_opened),         cmocka_unit_test(read_from_text),
        cmocka_unit_test(too_little_to_learn_from), cmocka_unit_test(allocations_fail),
    };
    return cmocka_run_group_tests_name("rhyme", tests, NULL, NULL);
}
