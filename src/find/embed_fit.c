/* Fitting an embedder: randomised SVD of the tf-idf matrix A (texts x features) by power iteration.
 *
 *     Y = A Omega; Q = orth(Y); Y = A (A' Q); Q = orth(Y); B = Q' A; V = B' U S^-1
 *
 * with U, S^2 the eigenvectors and values of B B'. The embedding of a row x is x V. */
#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/rng.h"
#include "find/embed_features.h"

#define ROWS ((size_t)1 << ML_EMBED_BITS)

/* A as lists of features, one after the other. */
struct matrix {
    struct ml_embed_feature *features;
    size_t *begin; /* [texts + 1] */
    size_t texts, used, capacity;
};

static int add_text(struct matrix *a, const struct ml_embed_work *w, struct ml_error *err)
{
    if (a->used + w->count > a->capacity) {
        size_t capacity = 2 * (a->used + w->count);
        struct ml_embed_feature *grown = ml_mem_realloc(a->features, capacity * sizeof *grown);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory fitting embeddings");
        a->features = grown;
        a->capacity = capacity;
    }
    if (w->count)
        memcpy(a->features + a->used, w->features, w->count * sizeof *w->features);
    a->used += w->count;
    a->begin[++a->texts] = a->used;
    return 0;
}

static int read_texts(struct matrix *a, size_t count, ml_embed_text_fn *text, void *arg,
                      struct ml_error *err)
{
    struct ml_embed_work work = {0};
    size_t most = count < ML_EMBED_FIT_TEXTS ? count : ML_EMBED_FIT_TEXTS;
    int status = 0;
    a->begin = ml_mem_calloc(most + 1, sizeof *a->begin);
    if (!a->begin)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory fitting embeddings");
    for (size_t i = 0; status == 0 && i < most; i++) {
        const char *bytes;
        size_t n;
        status = text(arg, (size_t)((double)i * ((double)count / (double)most)), &bytes, &n, err);
        if (status == 0)
            status = ml_embed_features(&work, bytes, n, err);
        if (status == 0)
            status = add_text(a, &work, err);
    }
    ml_embed_work_clear(&work);
    return status;
}

/* idf = ln((1 + texts) / (1 + texts with it)); each row of A times it, to length 1. */
static void weigh(struct matrix *a, float *idf)
{
    memset(idf, 0, ROWS * sizeof *idf);
    for (size_t i = 0; i < a->used; i++)
        idf[a->features[i].row]++;
    for (size_t row = 0; row < ROWS; row++)
        idf[row] = logf((1 + (float)a->texts) / (1 + idf[row])) + 0.1f;
    for (size_t t = 0; t < a->texts; t++) {
        double square = 0;
        for (size_t i = a->begin[t]; i < a->begin[t + 1]; i++) {
            a->features[i].weight *= idf[a->features[i].row];
            square += (double)a->features[i].weight * a->features[i].weight;
        }
        float factor = square > 0 ? (float)(1 / sqrt(square)) : 0;
        for (size_t i = a->begin[t]; i < a->begin[t + 1]; i++)
            a->features[i].weight *= factor;
    }
}

/* y [texts][k] = A x, x [ROWS][k] */
static void multiply(const struct matrix *a, const float *x, float *y, size_t k)
{
    memset(y, 0, a->texts * k * sizeof *y);
    for (size_t t = 0; t < a->texts; t++)
        for (size_t i = a->begin[t]; i < a->begin[t + 1]; i++) {
            const float *row = x + a->features[i].row * k;
            float weight = a->features[i].weight, *to = y + t * k;
            for (size_t j = 0; j < k; j++)
                to[j] += weight * row[j];
        }
}

/* x [ROWS][k] = A' y */
static void multiply_back(const struct matrix *a, const float *y, float *x, size_t k)
{
    memset(x, 0, ROWS * k * sizeof *x);
    for (size_t t = 0; t < a->texts; t++)
        for (size_t i = a->begin[t]; i < a->begin[t + 1]; i++) {
            const float *from = y + t * k;
            float weight = a->features[i].weight, *to = x + a->features[i].row * k;
            for (size_t j = 0; j < k; j++)
                to[j] += weight * from[j];
        }
}

/* Columns of y [n][k] orthonormal: Cholesky of y'y (g [k][k]), twice for accuracy. A column that
 * depends on those before it becomes zero. */
static void orthonormalise(float *y, size_t n, size_t k, double *g)
{
    for (int round = 0; round < 2; round++) {
        memset(g, 0, k * k * sizeof *g);
        for (size_t t = 0; t < n; t++)
            for (size_t i = 0; i < k; i++)
                for (size_t j = 0; j <= i; j++)
                    g[i * k + j] += (double)y[t * k + i] * y[t * k + j];
        for (size_t i = 0; i < k; i++) {
            double whole = g[i * k + i];
            for (size_t j = 0; j <= i; j++) {
                double sum = g[i * k + j];
                for (size_t p = 0; p < j; p++)
                    sum -= g[i * k + p] * g[j * k + p];
                if (i == j)
                    g[i * k + i] = sum > 1e-10 * whole && sum > 1e-20 ? sqrt(sum) : 0;
                else
                    g[i * k + j] = g[j * k + j] > 0 ? sum / g[j * k + j] : 0;
            }
        }
        for (size_t t = 0; t < n; t++)
            for (size_t i = 0; i < k; i++) {
                double sum = y[t * k + i];
                for (size_t p = 0; p < i; p++)
                    sum -= g[i * k + p] * y[t * k + p];
                y[t * k + i] = g[i * k + i] > 0 ? (float)(sum / g[i * k + i]) : 0;
            }
    }
}

/* Eigenvectors (columns of v [k][k]) and values of a symmetric c by Jacobi rotations. */
static void eigen(double *c, double *v, size_t k)
{
    for (size_t i = 0; i < k * k; i++)
        v[i] = i % (k + 1) == 0;
    for (int sweep = 0; sweep < 12; sweep++) {
        double off = 0, on = 0;
        for (size_t i = 0; i < k; i++) {
            on += c[i * k + i] * c[i * k + i];
            for (size_t j = 0; j < i; j++)
                off += 2 * c[i * k + j] * c[i * k + j];
        }
        if (off <= 1e-12 * on)
            break;
        for (size_t p = 0; p + 1 < k; p++)
            for (size_t q = p + 1; q < k; q++) {
                double a = c[p * k + q];
                if (fabs(a) < 1e-15 * sqrt(on + 1e-300))
                    continue;
                double theta = (c[q * k + q] - c[p * k + p]) / (2 * a);
                double t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
                double cs = 1 / sqrt(t * t + 1), sn = t * cs;
                for (size_t i = 0; i < k; i++) { /* rows: c is symmetric, so columns are rows */
                    double x = c[p * k + i], y = c[q * k + i];
                    c[p * k + i] = cs * x - sn * y;
                    c[q * k + i] = sn * x + cs * y;
                }
                for (size_t i = 0; i < k; i++) {
                    double x = c[i * k + p], y = c[i * k + q];
                    c[i * k + p] = cs * x - sn * y;
                    c[i * k + q] = sn * x + cs * y;
                }
                for (size_t i = 0; i < k; i++) { /* v transposed: its rows are the vectors */
                    double x = v[p * k + i], y = v[q * k + i];
                    v[p * k + i] = cs * x - sn * y;
                    v[q * k + i] = sn * x + cs * y;
                }
            }
    }
}

/* x [ROWS][k] holds B' (features x k); *out [ROWS][ML_EMBED_WIDTH] becomes V, strongest first. */
static int rotate(const float *x, size_t k, float *out, int *rank, struct ml_error *err)
{
    double *c = ml_mem_calloc(k * k, sizeof *c), *v = ml_mem_calloc(k * k, sizeof *v);
    size_t *order = ml_mem_calloc(k, sizeof *order);
    float *turn = ml_mem_calloc(k * ML_EMBED_WIDTH, sizeof *turn);
    int status = c && v && order && turn
                     ? 0
                     : ml_fail(err, ML_ERR_MEMORY, "out of memory fitting embeddings");
    if (status == 0) {
        for (size_t row = 0; row < ROWS; row++)
            for (size_t i = 0; i < k; i++)
                for (size_t j = 0; j <= i; j++)
                    c[i * k + j] += (double)x[row * k + i] * x[row * k + j];
        for (size_t i = 0; i < k; i++)
            for (size_t j = 0; j < i; j++)
                c[j * k + i] = c[i * k + j];
        eigen(c, v, k);
        for (size_t i = 0; i < k; i++) {
            size_t at = i;
            for (; at > 0 && c[order[at - 1] * (k + 1)] < c[i * (k + 1)]; at--)
                order[at] = order[at - 1];
            order[at] = i;
        }
        double best = c[order[0] * (k + 1)];
        *rank = 0;
        for (size_t d = 0; d < k && d < ML_EMBED_WIDTH; d++) {
            double value = c[order[d] * (k + 1)];
            if (value <= 1e-7 * best)
                break;
            for (size_t i = 0; i < k; i++)
                turn[i * ML_EMBED_WIDTH + d] = (float)(v[order[d] * k + i] / sqrt(value));
            ++*rank;
        }
        memset(out, 0, ROWS * ML_EMBED_WIDTH * sizeof *out);
        for (size_t row = 0; row < ROWS; row++)
            for (size_t i = 0; i < k; i++) {
                float weight = x[row * k + i], *to = out + row * ML_EMBED_WIDTH;
                for (int d = 0; weight != 0 && d < *rank; d++)
                    to[d] += weight * turn[i * ML_EMBED_WIDTH + (size_t)d];
            }
    }
    ml_mem_free(c);
    ml_mem_free(v);
    ml_mem_free(order);
    ml_mem_free(turn);
    return status;
}

static int power(const struct matrix *a, size_t k, uint64_t seed, float *x, struct ml_error *err)
{
    struct ml_rng rng;
    float *y = ml_mem_calloc(a->texts * k + 1, sizeof *y);
    double *g = ml_mem_calloc(k * k, sizeof *g);
    int status = y && g ? 0 : ml_fail(err, ML_ERR_MEMORY, "out of memory fitting embeddings");
    if (status == 0) {
        ml_rng_init(&rng, seed, 0);
        for (size_t i = 0; i < ROWS * k; i++)
            x[i] = ml_rng_u32(&rng) & 1 ? 1 : -1;
        multiply(a, x, y, k);
        orthonormalise(y, a->texts, k, g);
        multiply_back(a, y, x, k);
        multiply(a, x, y, k);
        orthonormalise(y, a->texts, k, g);
        multiply_back(a, y, x, k); /* B' */
    }
    ml_mem_free(y);
    ml_mem_free(g);
    return status;
}

/* Directions that nothing explains, and features that no text had, get small random signs, so that
 * texts that share words are near each other in a corpus of ten texts too. */
static void fill_random(float *v, int rank, const float *idf, uint64_t seed)
{
    struct ml_rng rng;
    float size = 0.3f / sqrtf((float)ML_EMBED_WIDTH);
    for (size_t row = 0; row < ROWS; row++) {
        ml_rng_init(&rng, seed + 1, row);
        for (int d = 0; d < ML_EMBED_WIDTH; d++) {
            float sign = ml_rng_u32(&rng) & 1 ? size : -size;
            if (d >= rank)
                v[row * ML_EMBED_WIDTH + (size_t)d] = sign;
        }
    }
    (void)idf;
}

static int keep(struct ml_embedder *e, const float *v, struct ml_error *err)
{
    e->directions = ml_mem_calloc(ROWS, ML_EMBED_WIDTH);
    e->scale = ml_mem_calloc(ROWS, sizeof *e->scale);
    if (!e->directions || !e->scale)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory fitting embeddings");
    for (size_t row = 0; row < ROWS; row++) {
        const float *from = v + row * ML_EMBED_WIDTH;
        float most = 0;
        for (int d = 0; d < ML_EMBED_WIDTH; d++)
            most = fabsf(from[d]) > most ? fabsf(from[d]) : most;
        e->scale[row] = most / 127;
        for (int d = 0; most > 0 && d < ML_EMBED_WIDTH; d++)
            e->directions[row * ML_EMBED_WIDTH + (size_t)d] = (int8_t)lrintf(from[d] / most * 127);
    }
    return 0;
}

int ml_embedder_fit(struct ml_embedder *embedder, size_t count, ml_embed_text_fn *text, void *arg,
                    uint64_t seed, struct ml_error *err)
{
    struct ml_embedder made = {.texts = count};
    struct matrix a = {0};
    int status = read_texts(&a, count, text, arg, err);
    /* As many directions as texts would keep each text as it is: half as many bring words together
     * that go together. */
    size_t half = a.texts / 2 + 1;
    size_t k = ML_EMBED_WIDTH < half ? ML_EMBED_WIDTH : half;
    float *x = ml_mem_calloc(ROWS * k, sizeof *x);
    float *v = ml_mem_calloc(ROWS * ML_EMBED_WIDTH, sizeof *v);
    made.idf = ml_mem_calloc(ROWS, sizeof *made.idf);
    if (status == 0 && (!x || !v || !made.idf))
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory fitting embeddings");
    if (status == 0) {
        weigh(&a, made.idf);
        status = power(&a, k, seed, x, err);
    }
    if (status == 0)
        status = rotate(x, k, v, &made.rank, err);
    if (status == 0) {
        fill_random(v, made.rank, made.idf, seed);
        status = keep(&made, v, err);
    }
    ml_mem_free(x);
    ml_mem_free(v);
    ml_mem_free(a.features);
    ml_mem_free(a.begin);
    if (status)
        ml_embedder_clear(&made);
    else
        *embedder = made;
    return status;
}
