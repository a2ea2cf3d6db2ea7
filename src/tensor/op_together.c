/* Linear ops that read the same numbers as one loop over packed weights (kernel/gemm.h,
 * ml_gemm_together), for decoding: a few rows, where threads would otherwise wait for each other
 * after each product. A norm that only they read is made here, in scratch. */
#include "tensor/fuse.h"
#include "tensor/op_packed.h"

/* The norm inside: x is not in memory. */
static struct ml_tensor *norm_of(struct ml_tensor *const *members)
{
    struct ml_tensor *x = members[0]->src[0];
    return x->flags & ML_INSIDE ? x : NULL;
}

/* Bytes of the normed rows in f32, then of one row for each worker. */
static size_t norm_bytes(const struct ml_tensor *norm, int threads, size_t *rows)
{
    size_t total = 0;
    if (!norm)
        return 0;
    ml_scratch_piece(&total, (size_t)ml_count(norm) * sizeof(float));
    *rows = ml_scratch_piece(&total, (size_t)(threads * ml_width(norm)) * sizeof(float));
    return total;
}

static void describe(struct ml_tensor *const *members, int count, struct ml_gemm *gemms)
{
    for (int i = 0; i < count; i++)
        gemms[i] = ml_linear_gemm(members[i]);
}

/* A in scratch takes the place of what the products would read. */
static void read_normed(struct ml_gemm *gemms, int count, const void *normed)
{
    for (int i = 0; i < count; i++)
        gemms[i].a = (struct ml_matrix){normed, ML_F32, gemms[i].k, 1};
}

size_t ml_linears_scratch(const struct ml_kernels *k, struct ml_tensor *const *members, int count,
                          bool gated, int threads)
{
    struct ml_gemm gemms[ML_GEMM_TOGETHER];
    size_t rows, normed = norm_bytes(norm_of(members), threads, &rows);
    describe(members, count, gemms);
    if (normed)
        read_normed(gemms, count, NULL);
    return normed + ml_gemm_together_scratch(k, gemms, count, gated, threads);
}

struct norm_job {
    struct ml_run *run;
    struct ml_tensor *norm;
    float *normed, *rows;
};

static void norm_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct norm_job *job = arg;
    int64_t d = ml_width(job->norm);
    float *row = job->rows + worker * d;
    for (int64_t r = begin; r < end; r++)
        ml_rmsnorm_row(job->run->k, job->norm, r, job->normed + r * d,
                       ml_load(job->run->k, job->norm->src[0], r * d, d, row));
}

void ml_linears_run(struct ml_run *run, struct ml_tensor *const *members, int count,
                    struct ml_tensor *gated_out)
{
    struct ml_gemm gemms[ML_GEMM_TOGETHER];
    struct ml_tensor *norm = norm_of(members);
    size_t rows = 0, normed = norm_bytes(norm, run->threads, &rows);
    describe(members, count, gemms);
    if (norm) {
        float *scratch = run->scratch;
        struct norm_job job = {run, norm, scratch, scratch + rows / sizeof(float)};
        ml_parallel(run, ml_rows(norm), 1 + 16 * ML_CHUNK / (1 + ml_width(norm)), norm_rows, &job);
        read_normed(gemms, count, scratch);
    }
    if (gated_out) {
        gemms[0].c = gated_out->data;
        gemms[0].c_dtype = gated_out->dtype;
    }
    ml_gemm_together(run->k, gemms, count, gated_out != NULL, run->pool,
                     (char *)run->scratch + normed);
}
