/* The 5-gram baseline against the definition, counted anew for every probability. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
/* cmocka needs those first */
#include <cmocka.h>

#include "base/arena.h"
#include "ngram.h"

enum { MOST = 512 };

struct text {
    uint32_t symbols[MOST];
    int64_t n;
};

static struct text document(const char *letters)
{
    struct text t = {{NGRAM_BEGIN}, 1};
    for (; *letters; letters++)
        t.symbols[t.n++] = (uint32_t)*letters;
    t.symbols[t.n++] = NGRAM_END;
    return t;
}

/* The naive side: documents in a row; a gram never crosses a BEGIN. */
struct naive {
    struct text all;
    int order;
};

static bool stands(const struct naive *m, int64_t at, const uint32_t *gram, int n)
{
    if (at < 0 || at + n > m->all.n || memcmp(m->all.symbols + at, gram, (size_t)n * 4) != 0)
        return false;
    for (int64_t i = at + 1; i < at + n; i++)
        if (m->all.symbols[i] >= NGRAM_BEGIN)
            return false;
    return true;
}

static int adjusted(const struct naive *m, const uint32_t *gram, int n)
{
    uint32_t before[MOST];
    int found = 0, different = 0;
    for (int64_t at = 0; at < m->all.n; at++) {
        if (!stands(m, at, gram, n))
            continue;
        found++;
        if (at == 0 || gram[0] >= NGRAM_BEGIN)
            continue;
        bool known = false;
        for (int i = 0; i < different; i++)
            known = known || before[i] == m->all.symbols[at - 1];
        if (!known)
            before[different++] = m->all.symbols[at - 1];
    }
    return n == m->order || gram[0] >= NGRAM_BEGIN ? found : different;
}

/* Whether `at` is the first place of its gram. */
static bool first(const struct naive *m, int64_t at, int n)
{
    const uint32_t *gram = m->all.symbols + at;
    if (!stands(m, at, gram, n) || (n == 1 && gram[0] >= NGRAM_BEGIN))
        return false;
    for (int64_t i = 0; i < at; i++)
        if (stands(m, i, gram, n))
            return false;
    return true;
}

static double discount(const struct naive *m, int n, int c)
{
    double counts[5] = {0};
    for (int64_t at = 0; at < m->all.n; at++)
        if (first(m, at, n)) {
            int a = adjusted(m, m->all.symbols + at, n);
            if (a < 5)
                counts[a]++;
        }
    int k = c < 3 ? c : 3;
    if (counts[1] == 0 || counts[k] == 0 || counts[k + 1] == 0)
        return 0.5 * k;
    double y = counts[1] / (counts[1] + 2 * counts[2]);
    double d = k - (k + 1) * y * counts[k + 1] / counts[k];
    return d > 0 && d < k ? d : 0.5 * k;
}

/* p(gram[n-1] | gram[0..n-2]) */
static double naive_probability(const struct naive *m, const uint32_t *gram, int n)
{
    double total = 0, gamma = 0, vocabulary = 1;
    uint32_t other[NGRAM_MAX_ORDER];
    memcpy(other, gram, (size_t)n * 4);
    for (int64_t at = 0; at < m->all.n; at++) {
        if (!first(m, at, 1))
            continue;
        vocabulary++;
        other[n - 1] = m->all.symbols[at];
        int c = adjusted(m, other, n);
        total += c;
        gamma += c ? discount(m, n, c) : 0;
    }
    double lower = n > 1 ? naive_probability(m, gram + 1, n - 1) : 1 / vocabulary;
    if (total == 0)
        return lower;
    int c = adjusted(m, gram, n);
    return ((c ? c - discount(m, n, c) : 0) + gamma * lower) / total;
}

static void append(struct text *to, const struct text *more)
{
    memcpy(to->symbols + to->n, more->symbols, (size_t)more->n * 4);
    to->n += more->n;
}

static struct ngram *learn(const char *const *letters, int order, struct naive *naive)
{
    struct ngram *g = NULL;
    struct ml_error err = {0};
    assert_int_equal(ngram_new(&g, order, &err), 0);
    *naive = (struct naive){.order = order};
    for (; *letters; letters++) {
        struct text t = document(*letters);
        append(&naive->all, &t);
        assert_int_equal(ngram_add(g, t.symbols, t.n, &err), 0);
    }
    assert_int_equal(ngram_finish(g, &err), 0);
    return g;
}

static const char *const rhymes[] = {"the cat sat on the mat and the rat sat on the hat",
                                     "a cat and a rat are at the mat",
                                     "the hen is in the pen again, ten men then", "the end", NULL};

static void as_the_definition_says(void **state)
{
    const char *held_out = "then the cat ate a hat";
    for (int order = 1; order <= 5; order++) {
        struct naive naive;
        struct ngram *g = learn(rhymes, order, &naive);
        struct text t = document(held_out);
        for (int64_t i = 1; i < t.n; i++) {
            int n = (int)(i + 1 < order ? i + 1 : order);
            double expected = log2(naive_probability(&naive, t.symbols + i + 1 - n, n));
            assert_true(fabs(ngram_log2(g, t.symbols, i, t.symbols[i]) - expected) < 1e-9);
        }
        ngram_free(g);
    }
}

static void probabilities_sum_to_one(void **state)
{
    for (int order = 1; order <= 6; order++) {
        struct naive naive;
        struct ml_rng rng;
        struct ngram *g = learn(rhymes, order, &naive);
        struct text t = document("never seen: Zwölf quiz");
        ml_rng_init(&rng, 7, 0);
        assert_true(ngram_check(g, t.symbols, t.n - 1, 200, &rng) < 1e-12);
        ngram_free(g);
    }
}

static void unseen_characters_share_what_is_left(void **state)
{
    struct naive naive;
    struct ngram *g = learn(rhymes, 3, &naive);
    struct text t = document("th");
    double a = ngram_log2(g, t.symbols, 3, 0x6625), b = ngram_log2(g, t.symbols, 3, 'Z');
    assert_true(isfinite(a) && a == b && a < -20);
    ngram_free(g);
}

static void kinds_of_documents_differ(void **state)
{
    struct ngram *g = NULL;
    struct ml_error err = {0};
    struct text a = document("abab"), b = document("baba");
    b.symbols[0] = NGRAM_BEGIN + 1;
    assert_int_equal(ngram_new(&g, 3, &err), 0);
    assert_int_equal(ngram_add(g, a.symbols, a.n, &err), 0);
    assert_int_equal(ngram_add(g, b.symbols, b.n, &err), 0);
    assert_int_equal(ngram_finish(g, &err), 0);
    assert_true(ngram_log2(g, a.symbols, 1, 'a') > ngram_log2(g, a.symbols, 1, 'b'));
    assert_true(ngram_log2(g, b.symbols, 1, 'b') > ngram_log2(g, b.symbols, 1, 'a'));
    ngram_free(g);
}

static void wrong_documents_are_refused(void **state)
{
    struct ngram *g = NULL;
    struct ml_error err = {0};
    struct text t = document("ab");
    assert_int_equal(ngram_new(&g, 0, &err), ML_ERR_ARG);
    assert_int_equal(ngram_new(&g, 3, NULL), 0);
    assert_int_equal(ngram_finish(g, NULL), ML_ERR_STATE);
    assert_int_equal(ngram_add(g, t.symbols + 1, t.n - 1, NULL), ML_ERR_ARG);
    assert_int_equal(ngram_add(g, t.symbols, t.n - 1, NULL), ML_ERR_ARG);
    t.symbols[1] = NGRAM_BEGIN;
    assert_int_equal(ngram_add(g, t.symbols, t.n, NULL), ML_ERR_ARG);
    ngram_free(g);
}

/* Every allocation that can fail, one after the other. */
static void failed_allocations(void **state)
{
    struct text t = document("memory");
    struct ml_mem_stats before, after;
    ml_mem_get_stats(&before);
    for (uint64_t n = 1;; n++) {
        struct ngram *g = NULL;
        struct ml_error err = {0};
        ml_mem_fail_at(n);
        int status = ngram_new(&g, 4, &err);
        if (status == 0)
            status = ngram_add(g, t.symbols, t.n, &err);
        if (status == 0)
            status = ngram_finish(g, &err);
        ml_mem_fail_at(0);
        ngram_free(g);
        ml_mem_get_stats(&after);
        assert_int_equal(after.live_blocks, before.live_blocks);
        if (status == 0)
            break;
        assert_int_equal(status, ML_ERR_MEMORY);
        assert_true(err.message[0] != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_definition_says),
        cmocka_unit_test(probabilities_sum_to_one),
        cmocka_unit_test(unseen_characters_share_what_is_left),
        cmocka_unit_test(kinds_of_documents_differ),
        cmocka_unit_test(wrong_documents_are_refused),
        cmocka_unit_test(failed_allocations),
    };
    return cmocka_run_group_tests_name("ngram", tests, NULL, NULL);
}
