/* Matrix products by cuBLASLt: f32 in f32 (never TF32), bf16 with f32 sums. Row-major C = A B is
 * column-major C' = B' A', so the sides change places. The library's choice of algorithm is kept
 * for each shape; those that would add with atomics are excluded, so that results do not depend on
 * timing. */
#include <string.h>

#include "base/arena.h"
#include "cuda/module.h"

struct key {
    int64_t m, n, k, batches;
    int type, c_type, align[3];
    bool ta, tb, adds;
};

struct cuda_algorithm {
    struct key key;
    cublasLtMatmulAlgo_t algorithm;
    bool used, none; /* none: the library has no algorithm for this */
};

void cuda_plain_product(cudaStream_t s, int64_t m, int64_t n, int64_t k, int64_t batches,
                        struct cuda_numbers a, struct cuda_numbers b, struct cuda_numbers c,
                        bool ta, bool tb, float alpha, float beta); /* product.cu */

static int check(cublasStatus_t status, const char *what, struct ml_error *err)
{
    if (status == CUBLAS_STATUS_SUCCESS)
        return 0;
    return ml_fail(err, status == CUBLAS_STATUS_ALLOC_FAILED ? ML_ERR_MEMORY : ML_ERR_STATE,
                   "cuda: %s failed: %s", what, cublasLtGetStatusString(status));
}

int cuda_product_open(struct cuda_state *c, struct ml_error *err)
{
    c->algorithms = ml_mem_calloc(CUDA_ALGORITHMS, sizeof *c->algorithms);
    if (!c->algorithms)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for a device");
    int status = check(cublasLtCreate(&c->lt), "cublasLtCreate", err);
    return status == 0 ? cuda_check(cudaMalloc(&c->workspace, CUDA_WORKSPACE), "cudaMalloc", err)
                       : status;
}

void cuda_product_close(struct cuda_state *c)
{
    if (c->lt)
        cublasLtDestroy(c->lt);
    cudaFree(c->workspace);
    ml_mem_free(c->algorithms);
}

/* What cuBLASLt wants to know of one product. */
struct description {
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t a, b, c;
};

static void clear(struct description *d)
{
    if (d->product)
        cublasLtMatmulDescDestroy(d->product);
    if (d->a)
        cublasLtMatrixLayoutDestroy(d->a);
    if (d->b)
        cublasLtMatrixLayoutDestroy(d->b);
    if (d->c)
        cublasLtMatrixLayoutDestroy(d->c);
}

/* A column-major matrix [rows, cols]. */
static int make_layout(cublasLtMatrixLayout_t *out, int type, int64_t rows, int64_t cols,
                       int64_t batches, struct ml_error *err)
{
    int status = check(cublasLtMatrixLayoutCreate(out, type == CUDA_F32 ? CUDA_R_32F : CUDA_R_16BF,
                                                  (uint64_t)rows, (uint64_t)cols, rows),
                       "cublasLtMatrixLayoutCreate", err);
    int32_t count = (int32_t)batches;
    int64_t stride = rows * cols;
    if (status != 0 || batches == 1)
        return status;
    status = check(cublasLtMatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                                    &count, sizeof count),
                   "a batch", err);
    if (status == 0)
        status =
            check(cublasLtMatrixLayoutSetAttribute(
                      *out, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride),
                  "a batch", err);
    return status;
}

static int describe(struct description *d, const struct cuda_product *p, struct ml_error *err)
{
    /* cuBLASLt's A is our b. */
    cublasOperation_t ta = p->tb ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasOperation_t tb = p->ta ? CUBLAS_OP_T : CUBLAS_OP_N;
    int status = check(cublasLtMatmulDescCreate(&d->product, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                       "cublasLtMatmulDescCreate", err);
    if (status == 0)
        status = check(
            cublasLtMatmulDescSetAttribute(d->product, CUBLASLT_MATMUL_DESC_TRANSA, &ta, sizeof ta),
            "a transpose", err);
    if (status == 0)
        status = check(
            cublasLtMatmulDescSetAttribute(d->product, CUBLASLT_MATMUL_DESC_TRANSB, &tb, sizeof tb),
            "a transpose", err);
    if (status == 0)
        status =
            make_layout(&d->a, p->type, p->tb ? p->k : p->n, p->tb ? p->n : p->k, p->batches, err);
    if (status == 0)
        status =
            make_layout(&d->b, p->type, p->ta ? p->m : p->k, p->ta ? p->k : p->m, p->batches, err);
    return status == 0 ? make_layout(&d->c, p->c_type, p->n, p->m, p->batches, err) : status;
}

/* The largest power of two, up to 256, that divides an address. */
static int alignment(const void *memory)
{
    uintptr_t low = (uintptr_t)memory & -(uintptr_t)memory;
    return low == 0 || low > 256 ? 256 : (int)low;
}

static struct key key_of(const struct cuda_product *p)
{
    struct key key;
    memset(&key, 0, sizeof key); /* compared by bytes */
    key.m = p->m;
    key.n = p->n;
    key.k = p->k;
    key.batches = p->batches;
    key.type = p->type;
    key.c_type = p->c_type;
    key.align[0] = alignment(p->a);
    key.align[1] = alignment(p->b);
    key.align[2] = alignment(p->c);
    key.ta = p->ta;
    key.tb = p->tb;
    key.adds = p->beta != 0;
    return key;
}

static int set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t what,
               const void *value, size_t size, struct ml_error *err)
{
    return check(cublasLtMatmulPreferenceSetAttribute(preference, what, value, size),
                 "a preference", err);
}

static int ask(struct cuda_state *c, const struct description *d, struct cuda_algorithm *slot,
               struct ml_error *err)
{
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t found;
    size_t workspace = CUDA_WORKSPACE;
    uint32_t schemes =
        CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE;
    uint32_t align[3]; /* of cuBLASLt's A, B, C */
    int count = 0;
    align[0] = (uint32_t)slot->key.align[1];
    align[1] = (uint32_t)slot->key.align[0];
    align[2] = (uint32_t)slot->key.align[2];
    int status =
        check(cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate", err);
    if (status != 0)
        return status;
    const struct {
        cublasLtMatmulPreferenceAttributes_t what;
        const void *value;
        size_t size;
    } wishes[] = {
        {CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace},
        {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &schemes, sizeof schemes},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &align[0], sizeof align[0]},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &align[1], sizeof align[1]},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &align[2], sizeof align[2]},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &align[2], sizeof align[2]},
    };
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes && status == 0; i++)
        status = set(preference, wishes[i].what, wishes[i].value, wishes[i].size, err);
    if (status == 0) {
        cublasStatus_t answer = cublasLtMatmulAlgoGetHeuristic(c->lt, d->product, d->a, d->b, d->c,
                                                               d->c, preference, 1, &found, &count);
        slot->none = answer != CUBLAS_STATUS_SUCCESS || count == 0;
        if (!slot->none)
            slot->algorithm = found.algo;
        slot->used = true;
    }
    cublasLtMatmulPreferenceDestroy(preference);
    return status;
}

/* The slot of this shape; a full table forgets. */
static struct cuda_algorithm *slot_of(struct cuda_state *c, const struct key *key)
{
    const unsigned char *bytes = (const unsigned char *)key;
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < sizeof *key; i++)
        hash = (hash ^ bytes[i]) * 1099511628211u;
    struct cuda_algorithm *slot = NULL;
    for (int i = 0; i < 8; i++) {
        slot = &c->algorithms[(hash + (uint64_t)i) % CUDA_ALGORITHMS];
        if (!slot->used || memcmp(&slot->key, key, sizeof *key) == 0)
            break;
    }
    if (slot->used && memcmp(&slot->key, key, sizeof *key) != 0)
        slot->used = false;
    slot->key = *key;
    return slot;
}

static void plain(struct cuda_state *c, const struct cuda_product *p)
{
    struct cuda_numbers a = {(void *)p->a, p->type}, b = {(void *)p->b, p->type};
    cuda_plain_product(c->stream, p->m, p->n, p->k, p->batches, a, b,
                       (struct cuda_numbers){p->c, p->c_type}, p->ta, p->tb, p->alpha, p->beta);
}

int cuda_product_run(struct cuda_state *c, const struct cuda_product *p, struct ml_error *err)
{
    struct description d = {0};
    struct key key = key_of(p);
    struct cuda_algorithm *slot = slot_of(c, &key);
    if (slot->used && slot->none) {
        plain(c, p);
        return 0;
    }
    int status = describe(&d, p, err);
    if (status == 0 && !slot->used)
        status = ask(c, &d, slot, err);
    if (status == 0 && slot->none)
        plain(c, p);
    else if (status == 0)
        status = check(cublasLtMatmul(c->lt, d.product, &p->alpha, p->b, d.a, p->a, d.b, &p->beta,
                                      p->c, d.c, p->c, d.c, &slot->algorithm, c->workspace,
                                      CUDA_WORKSPACE, c->stream),
                       "cublasLtMatmul", err);
    clear(&d);
    return status;
}
