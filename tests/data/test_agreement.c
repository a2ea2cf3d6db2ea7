#include "scratch.h"

#include <math.h>

#include "data/agreement.h"

static void near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%.6f is not %.6f", value, expected);
}

/* Kappa of two annotators by their table of counts: row a, column b. */
static double kappa(const int *table, int categories, enum ml_kappa_weights weights)
{
    static int a[1024], b[1024];
    struct ml_kappa out;
    struct ml_error err = {0};
    size_t n = 0;
    for (int i = 0; i < categories * categories; i++)
        for (int k = 0; k < table[i]; k++, n++) {
            a[n] = i / categories;
            b[n] = i % categories;
        }
    assert_ok(ml_agreement_kappa(a, b, n, categories, weights, &out, &err), err);
    return out.kappa;
}

/* 50 proposals for a grant, 20 accepted by both and 15 by none, is the usual worked example; the
 * other table is 91 couples asked about their married life (Hout, Duncan and Sobel, "Association
 * and heterogeneity", 1987), with the values that Friendly and Meyer, "Discrete data analysis
 * with R", 2016, give for it. */
static void kappa_of_published_tables(void **state)
{
    const int grants[] = {20, 5, 10, 15};
    const int couples[] = {7, 7, 2, 3, 2, 8, 3, 7, 1, 5, 4, 9, 2, 8, 9, 14};
    near(kappa(grants, 2, ML_KAPPA_PLAIN), 0.4, 1e-12);
    near(kappa(grants, 2, ML_KAPPA_QUADRATIC), 0.4, 1e-12);
    near(kappa(couples, 4, ML_KAPPA_PLAIN), 0.1293, 5e-5);
    near(kappa(couples, 4, ML_KAPPA_LINEAR), 0.2374, 5e-5);
}

static void kappa_at_its_ends(void **state)
{
    const int same[] = {3, 0, 0, 4}, opposite[] = {0, 5, 5, 0}, one[] = {9, 0, 0, 0};
    near(kappa(same, 2, ML_KAPPA_PLAIN), 1, 1e-12);
    near(kappa(opposite, 2, ML_KAPPA_PLAIN), -1, 1e-12);
    assert_true(isnan(kappa(one, 2, ML_KAPPA_PLAIN)));
    struct ml_kappa out;
    struct ml_error err = {0};
    const int a[] = {0, 3}, b[] = {0, 1};
    assert_fails(ml_agreement_kappa(a, b, 2, 3, ML_KAPPA_PLAIN, &out, &err), ML_ERR_ARG, "item 1",
                 err);
    assert_fails(ml_agreement_kappa(a, b, 0, 3, ML_KAPPA_PLAIN, &out, &err), ML_ERR_ARG, "both",
                 err);
}

/* Answers as a picture: a row an annotator, a character a unit, '.' is missing. */
static double alpha(const char *const *rows, int annotators, enum ml_agreement_scale scale,
                    struct ml_alpha *out)
{
    struct ml_rating ratings[256];
    struct ml_error err = {0};
    size_t n = 0;
    for (int a = 0; a < annotators; a++)
        for (int u = 0; rows[a][u]; u++)
            if (rows[a][u] != '.')
                ratings[n++] = (struct ml_rating){.unit = u, .value = rows[a][u] - '0'};
    assert_ok(ml_agreement_alpha(ratings, n, scale, out, &err), err);
    return out->alpha;
}

/* Krippendorff 2011, examples A (binary, two observers), B (nominal, two observers) and C (four
 * observers, missing data, all metrics). */
static void alpha_of_the_paper(void **state)
{
    const char *const binary[] = {"0100000010", "1110010000"};
    const char *const nominal[] = {"112243335441", "212223335444"};
    const char *const many[] = {"123321412...", "1233224125.3", ".3332342251.", "12332441251."};
    struct ml_alpha out;
    near(alpha(binary, 2, ML_SCALE_NOMINAL, &out), 0.095, 5e-4);
    assert_int_equal(out.units, 10);
    near(alpha(nominal, 2, ML_SCALE_NOMINAL, &out), 0.692, 5e-4);
    near(alpha(many, 4, ML_SCALE_NOMINAL, &out), 0.743, 5e-4);
    assert_int_equal(out.units, 11);
    assert_int_equal(out.ratings, 40);
    near(alpha(many, 4, ML_SCALE_ORDINAL, &out), 0.815, 5e-4);
    near(alpha(many, 4, ML_SCALE_INTERVAL, &out), 0.849, 5e-4);
}

static void alpha_at_its_ends(void **state)
{
    const char *const same[] = {"1234", "1234"}, *const one[] = {"11", "11"};
    const char *const apart[] = {"12..", "..34"};
    struct ml_alpha out = {.alpha = 7};
    struct ml_error err = {0};
    struct ml_rating ratings[4];
    for (int scale = 0; scale <= ML_SCALE_INTERVAL; scale++) {
        near(alpha(same, 2, scale, &out), 1, 1e-12);
        assert_true(isnan(alpha(one, 2, scale, &out)));
    }
    out.alpha = 7;
    for (int i = 0; i < 4; i++)
        ratings[i] = (struct ml_rating){.unit = i, .value = apart[i / 2][i] - '0'};
    assert_fails(ml_agreement_alpha(ratings, 4, ML_SCALE_NOMINAL, &out, &err), ML_ERR_NOT_FOUND,
                 "two annotators", err);
    assert_fails(ml_agreement_alpha(ratings, 0, ML_SCALE_NOMINAL, &out, &err), ML_ERR_NOT_FOUND,
                 "two annotators", err);
    ratings[0].value = NAN;
    assert_fails(ml_agreement_alpha(ratings, 1, ML_SCALE_NOMINAL, &out, &err), ML_ERR_NUMERIC,
                 "not a number", err);
    assert_true(out.alpha == 7);
}

/* The coincidence matrix, as the paper builds it, gives the same on random data. */
static double by_matrix(const int *value, const int *unit, int n, int units,
                        enum ml_agreement_scale scale)
{
    double o[5][5] = {{0}}, count[5] = {0}, all = 0, observed = 0, expected = 0;
    for (int u = 0; u < units; u++) {
        int m = 0;
        for (int i = 0; i < n; i++)
            m += unit[i] == u;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                if (m > 1 && i != j && unit[i] == u && unit[j] == u)
                    o[value[i]][value[j]] += 1.0 / (m - 1);
    }
    for (int c = 0; c < 5; c++)
        for (int k = 0; k < 5; k++)
            count[c] += o[c][k];
    for (int c = 0; c < 5; c++)
        all += count[c];
    for (int c = 0; c < 5; c++)
        for (int k = c + 1; k < 5; k++) {
            double d = scale == ML_SCALE_NOMINAL ? 1 : (double)(k - c) * (k - c);
            if (scale == ML_SCALE_ORDINAL) {
                d = -(count[c] + count[k]) / 2;
                for (int g = c; g <= k; g++)
                    d += count[g];
                d *= d;
            }
            observed += o[c][k] * d;
            expected += count[c] * count[k] * d / (all - 1);
        }
    return 1 - observed / expected;
}

static void alpha_by_the_matrix(void **state)
{
    uint32_t seed = 12345;
    for (int round = 0; round < 50; round++) {
        int value[60], unit[60];
        for (int i = 0; i < 60; i++) {
            seed = seed * 1664525 + 1013904223;
            unit[i] = (int)(seed >> 8) % 20;
            value[i] = ((int)(seed >> 16) % 5 + unit[i]) % 5;
        }
        for (int scale = 0; scale <= ML_SCALE_INTERVAL; scale++) {
            struct ml_rating ratings[60];
            struct ml_alpha out;
            struct ml_error err = {0};
            for (int i = 0; i < 60; i++)
                ratings[i] = (struct ml_rating){.unit = unit[i], .value = value[i]};
            assert_ok(ml_agreement_alpha(ratings, 60, scale, &out, &err), err);
            near(out.alpha, by_matrix(value, unit, 60, 20, scale), 1e-9);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kappa_of_published_tables), cmocka_unit_test(kappa_at_its_ends),
        cmocka_unit_test(alpha_of_the_paper),        cmocka_unit_test(alpha_at_its_ends),
        cmocka_unit_test(alpha_by_the_matrix),
    };
    return cmocka_run_group_tests_name("agreement", tests, NULL, NULL);
}
