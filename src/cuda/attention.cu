/* Attention by tiles with an online softmax, and its gradient (FlashAttention-2, arXiv:2307.08691),
 * in f32 arithmetic whatever the format. Never a T x S matrix.
 *
 * A block of 128 threads holds ROWS rows of one side in shared memory and passes tiles of COLS rows
 * of the other side by them. Thread (group, lane) = (tid / 8, tid % 8) has rows 4 group .. +3 and
 * columns lane + 8 j: a 4 x 4 register tile of scores (8 reads of shared memory for 16
 * multiply-adds) and 4 x D/8 of the result. A row's threads are neighbours in a warp, so that its
 * maximum and sum are three shuffles, and what they exchange through shared memory needs no barrier
 * of the block. Pitches are odd: no bank conflicts.
 *
 * Forward: rows are queries of one head. dQ: likewise. dK, dV: rows are keys, and the queries of
 * all heads that share them pass by: nothing is added by two blocks, so results do not depend on
 * scheduling. Scores are computed in both, 7 products where 5 would do. */
#include "cuda/device.cuh"

#define ROWS    64
#define COLS    32
#define THREADS 128
#define PITCH_P (COLS + 1)

/* Where the keys end that query t may see. */
static __device__ int visible_end(const struct cuda_attention &a, int64_t b, int64_t t)
{
    int64_t end = a.keys;
    if (a.length && a.length[b] < end)
        end = a.length[b];
    if (a.causal) {
        int64_t position =
            a.positions ? a.positions[b * a.queries + t] : t + a.keys - a.queries;
        if (position + 1 < end)
            end = position + 1;
    }
    return end > 0 ? (int)end : 0;
}

/* n rows of one head into a tile of `rows`, the rest zeros. */
template <int D>
static __device__ void load_tile(float *tile, int rows, struct cuda_numbers x, int64_t base,
                                 int64_t stride, int64_t n, int features)
{
    for (int i = threadIdx.x; i < rows * D; i += THREADS) {
        int r = i / D, c = i % D;
        tile[r * (D + 1) + c] = r < n && c < features ? get(x, base + r * stride + c) : 0.0f;
    }
}

/* s[i][j] = left row i . right row j */
template <int D>
static __device__ __forceinline__ void scores(float (&s)[4][4], const float *left,
                                              const float *right)
{
    const float *l = left + (threadIdx.x / 8) * 4 * (D + 1), *r = right + threadIdx.x % 8 * (D + 1);
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
            s[i][j] = 0.0f;
#pragma unroll 8
    for (int k = 0; k < D; k++) {
        float x[4], y[4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            x[i] = l[i * (D + 1) + k];
            y[i] = r[i * 8 * (D + 1) + k];
        }
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 4; j++)
                s[i][j] = fmaf(x[i], y[j], s[i][j]);
    }
}

/* acc[i][j] += p row i . column lane + 8 j of right */
template <int D>
static __device__ __forceinline__ void add_product(float (&acc)[4][D / 8], const float *p,
                                                   const float *right)
{
    const float *l = p + (threadIdx.x / 8) * 4 * PITCH_P, *r = right + threadIdx.x % 8;
#pragma unroll 4
    for (int k = 0; k < COLS; k++) {
        float x[4];
#pragma unroll
        for (int i = 0; i < 4; i++)
            x[i] = l[i * PITCH_P + k];
#pragma unroll
        for (int j = 0; j < D / 8; j++) {
            float y = r[k * (D + 1) + 8 * j];
#pragma unroll
            for (int i = 0; i < 4; i++)
                acc[i][j] = fmaf(x[i], y, acc[i][j]);
        }
    }
}

static __device__ __forceinline__ void store_p(float *p, const float (&s)[4][4])
{
    float *to = p + (threadIdx.x / 8) * 4 * PITCH_P + threadIdx.x % 8;
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
            to[i * PITCH_P + 8 * j] = s[i][j];
}

/* What is known of each query of a tile. */
template <int N> struct queries {
    int end[N], segment[N];
    float lse[N], along[N];
};

template <int N>
static __device__ void load_queries(struct queries<N> *q, const struct cuda_attention &a, int64_t b,
                                    int64_t h, int64_t t0, const float *lse, const float *along)
{
    for (int i = threadIdx.x; i < N; i += THREADS) {
        int64_t t = t0 + i, at = (b * a.q_heads + h) * a.queries + t;
        bool there = t < a.queries;
        q->end[i] = there ? visible_end(a, b, t) : 0;
        q->segment[i] = there && a.segments ? a.segments[b * a.queries + t] : 0;
        q->lse[i] = there && lse ? lse[at] : 0.0f;
        q->along[i] = there && along ? along[at] : 0.0f;
    }
}

template <int N> static __device__ int last_end(const struct queries<N> *q)
{
    int end = 0;
    for (int i = 0; i < N; i++)
        end = q->end[i] > end ? q->end[i] : end;
    return end;
}

static __device__ __forceinline__ bool meets(const struct cuda_attention &a, int64_t b, int64_t key,
                                             int end, int segment)
{
    return key < end && (!a.segments || a.segments[b * a.queries + key] == segment);
}

/* Strides of q, out, dt ([B,T,Hq,D]) and of k, v ([B,S,Hkv,D]). */
#define QUERY_AT(b, t, h) ((((b)*a.queries + (t)) * a.q_heads + (h)) * a.features)
#define KEY_AT(b, t, h)   ((((b)*a.keys + (t)) * a.kv_heads + (h)) * a.features)

template <int D>
static __global__ void __launch_bounds__(THREADS)
    attention_kernel(struct cuda_attention a, struct cuda_numbers y, float *lse)
{
    extern __shared__ float memory[];
    __shared__ struct queries<ROWS> info;
    float *q = memory, *k = q + ROWS * (D + 1), *v = k + COLS * (D + 1), *p = v + COLS * (D + 1);
    int64_t b = blockIdx.z, h = blockIdx.y, kv = h / (a.q_heads / a.kv_heads);
    int64_t t0 = (int64_t)(gridDim.x - 1 - blockIdx.x) * ROWS; /* those that see most go first */
    int group = threadIdx.x / 8, lane = threadIdx.x % 8, features = (int)a.features;
    load_queries(&info, a, b, h, t0, NULL, NULL);
    load_tile<D>(q, ROWS, a.q, QUERY_AT(b, t0, h), a.q_heads * a.features, a.queries - t0,
                 features);
    __syncthreads();
    int end = last_end(&info);
    float best[4], sum[4], acc[4][D / 8];
    for (int i = 0; i < 4; i++) {
        best[i] = NEGATIVE_INFINITY;
        sum[i] = 0.0f;
        for (int j = 0; j < D / 8; j++)
            acc[i][j] = 0.0f;
    }
    for (int key0 = 0; key0 < end; key0 += COLS) {
        __syncthreads();
        load_tile<D>(k, COLS, a.k, KEY_AT(b, key0, kv), a.kv_heads * a.features, a.keys - key0,
                     features);
        load_tile<D>(v, COLS, a.v, KEY_AT(b, key0, kv), a.kv_heads * a.features, a.keys - key0,
                     features);
        __syncthreads();
        float s[4][4];
        scores<D>(s, q, k);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int row = 4 * group + i;
            float high = best[i];
#pragma unroll
            for (int j = 0; j < 4; j++) {
                bool seen = meets(a, b, key0 + lane + 8 * j, info.end[row], info.segment[row]);
                s[i][j] = seen ? s[i][j] * a.scale : NEGATIVE_INFINITY;
                high = max_nan(high, s[i][j]);
            }
            for (int step = 1; step < 8; step *= 2)
                high = max_nan(high, __shfl_xor_sync(0xffffffffu, high, step));
            float keep = best[i] == NEGATIVE_INFINITY ? 0.0f : expf(best[i] - high);
            best[i] = high;
            sum[i] *= keep;
#pragma unroll
            for (int j = 0; j < 4; j++) {
                s[i][j] = s[i][j] == NEGATIVE_INFINITY ? 0.0f : expf(s[i][j] - high);
                sum[i] += s[i][j];
            }
#pragma unroll
            for (int j = 0; j < D / 8; j++)
                acc[i][j] *= keep;
        }
        store_p(p, s);
        __syncwarp();
        add_product<D>(acc, p, v);
        __syncwarp();
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int64_t t = t0 + 4 * group + i;
        for (int step = 1; step < 8; step *= 2)
            sum[i] += __shfl_xor_sync(0xffffffffu, sum[i], step);
        if (t >= a.queries)
            continue;
        bool none = best[i] == NEGATIVE_INFINITY;
        for (int j = 0; j < D / 8; j++)
            if (lane + 8 * j < features)
                put(y, QUERY_AT(b, t, h) + lane + 8 * j, none ? 0.0f : acc[i][j] / sum[i]);
        if (lane == 0)
            lse[(b * a.q_heads + h) * a.queries + t] =
                none ? NEGATIVE_INFINITY : best[i] + logf(sum[i]);
    }
}

/* ---- a few queries against a long cache: a block for one query of one head, its warps share the
 * keys and put their parts together in order. A lane has features lane + 32 j. ---- */

#define FEW_QUERIES 4
#define FEW_WARPS   8
#define FEW_KEYS    4 /* a warp's reads under way */

static __global__ void __launch_bounds__(FEW_WARPS * 32)
    few_kernel(struct cuda_attention a, struct cuda_numbers y, float *lse)
{
    __shared__ float part[FEW_WARPS][CUDA_ATTENTION_FEATURES], top[FEW_WARPS], mass[FEW_WARPS];
    int64_t t = blockIdx.x, h = blockIdx.y, b = blockIdx.z, kv = h / (a.q_heads / a.kv_heads);
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, end = visible_end(a, b, t);
    int segment = a.segments ? a.segments[b * a.queries + t] : 0;
    float q[4], acc[4] = {0}, best = NEGATIVE_INFINITY, sum = 0.0f;
    for (int j = 0; j < 4; j++)
        q[j] = lane + 32 * j < a.features ? get(a.q, QUERY_AT(b, t, h) + lane + 32 * j) : 0.0f;
    for (int key0 = warp * FEW_KEYS; key0 < end; key0 += FEW_WARPS * FEW_KEYS) {
        float s[FEW_KEYS];
        for (int i = 0; i < FEW_KEYS; i++) {
            s[i] = 0.0f;
            for (int j = 0; j < 4; j++)
                if (key0 + i < end && lane + 32 * j < a.features)
                    s[i] += q[j] * get(a.k, KEY_AT(b, key0 + i, kv) + lane + 32 * j);
        }
        for (int i = 0; i < FEW_KEYS; i++) {
            s[i] = warp_sum(s[i]) * a.scale;
            if (!meets(a, b, key0 + i, end, segment))
                continue;
            float high = max_nan(best, s[i]);
            float keep = best == NEGATIVE_INFINITY ? 0.0f : expf(best - high);
            float p = s[i] == NEGATIVE_INFINITY ? 0.0f : expf(s[i] - high);
            best = high;
            sum = sum * keep + p;
            for (int j = 0; j < 4; j++)
                if (lane + 32 * j < a.features)
                    acc[j] = acc[j] * keep +
                             p * get(a.v, KEY_AT(b, key0 + i, kv) + lane + 32 * j);
        }
    }
    for (int j = 0; j < 4; j++)
        part[warp][lane + 32 * j] = acc[j];
    if (lane == 0) {
        top[warp] = best;
        mass[warp] = sum;
    }
    __syncthreads();
    best = NEGATIVE_INFINITY;
    for (int w = 0; w < FEW_WARPS; w++)
        best = max_nan(best, top[w]);
    bool none = best == NEGATIVE_INFINITY;
    sum = 0.0f;
    for (int w = 0; w < FEW_WARPS && !none; w++)
        sum += top[w] == NEGATIVE_INFINITY ? 0.0f : mass[w] * expf(top[w] - best);
    for (int c = threadIdx.x; c < a.features; c += blockDim.x) {
        float out = 0.0f;
        for (int w = 0; w < FEW_WARPS && !none; w++)
            out += top[w] == NEGATIVE_INFINITY ? 0.0f : part[w][c] * expf(top[w] - best);
        put(y, QUERY_AT(b, t, h) + c, none ? 0.0f : out / sum);
    }
    if (threadIdx.x == 0)
        lse[(b * a.q_heads + h) * a.queries + t] = none ? NEGATIVE_INFINITY : best + logf(sum);
}

template <int D>
static cudaError_t run_forward(cudaStream_t s, const struct cuda_attention *a,
                               struct cuda_numbers y, float *lse)
{
    size_t bytes = ((ROWS + 2 * COLS) * (D + 1) + ROWS * PITCH_P) * sizeof(float);
    cudaError_t status = cudaFuncSetAttribute(
        attention_kernel<D>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
    if (status != cudaSuccess)
        return status;
    dim3 grid((unsigned)((a->queries + ROWS - 1) / ROWS), (unsigned)a->q_heads, (unsigned)a->batch);
    attention_kernel<D><<<grid, THREADS, bytes, s>>>(*a, y, lse);
    return cudaGetLastError();
}

cudaError_t cuda_attention(cudaStream_t s, const struct cuda_attention *a, struct cuda_numbers y,
                           float *lse)
{
    if (a->queries <= FEW_QUERIES) {
        dim3 grid((unsigned)a->queries, (unsigned)a->q_heads, (unsigned)a->batch);
        few_kernel<<<grid, FEW_WARPS * 32, 0, s>>>(*a, y, lse);
        return cudaGetLastError();
    }
    if (a->features <= 32)
        return run_forward<32>(s, a, y, lse);
    if (a->features <= 64)
        return run_forward<64>(s, a, y, lse);
    return run_forward<128>(s, a, y, lse);
}

/* ---- gradient: with P = exp(scale Q K' - lse), dP = dO V', D = rowsum(dO O):
 * dS = scale P (dP - D), dQ = dS K, dK = dS' Q, dV = P' dO ---- */

/* D: a warp a query of a head. */
static __global__ void along_kernel(struct cuda_attention a, struct cuda_numbers out,
                                    struct cuda_numbers dt, float *along)
{
    int64_t rows = a.batch * a.q_heads * a.queries;
    int64_t row = (int64_t)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (row >= rows)
        return;
    int64_t t = row % a.queries, h = row / a.queries % a.q_heads, b = row / a.queries / a.q_heads;
    float sum = 0.0f;
    for (int64_t c = threadIdx.x % 32; c < a.features; c += 32)
        sum += get(out, QUERY_AT(b, t, h) + c) * get(dt, QUERY_AT(b, t, h) + c);
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0)
        along[row] = sum;
}

template <int D>
static __global__ void __launch_bounds__(THREADS)
    dq_kernel(struct cuda_attention a, float *dq, const float *lse, struct cuda_numbers dt,
              const float *along)
{
    extern __shared__ float memory[];
    __shared__ struct queries<ROWS> info;
    float *q = memory, *g = q + ROWS * (D + 1), *k = g + ROWS * (D + 1), *v = k + COLS * (D + 1);
    float *p = v + COLS * (D + 1);
    int64_t b = blockIdx.z, h = blockIdx.y, kv = h / (a.q_heads / a.kv_heads);
    int64_t t0 = (int64_t)(gridDim.x - 1 - blockIdx.x) * ROWS, row_step = a.q_heads * a.features;
    int group = threadIdx.x / 8, lane = threadIdx.x % 8, features = (int)a.features;
    load_queries(&info, a, b, h, t0, lse, along);
    load_tile<D>(q, ROWS, a.q, QUERY_AT(b, t0, h), row_step, a.queries - t0, features);
    load_tile<D>(g, ROWS, dt, QUERY_AT(b, t0, h), row_step, a.queries - t0, features);
    __syncthreads();
    int end = last_end(&info);
    float acc[4][D / 8];
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < D / 8; j++)
            acc[i][j] = 0.0f;
    for (int key0 = 0; key0 < end; key0 += COLS) {
        __syncthreads();
        /* zeros for keys that no query of the tile sees: what lies there may be NaN */
        load_tile<D>(k, COLS, a.k, KEY_AT(b, key0, kv), a.kv_heads * a.features, end - key0,
                     features);
        load_tile<D>(v, COLS, a.v, KEY_AT(b, key0, kv), a.kv_heads * a.features, end - key0,
                     features);
        __syncthreads();
        float s[4][4], ds[4][4];
        scores<D>(s, q, k);
        scores<D>(ds, g, v);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int row = 4 * group + i;
#pragma unroll
            for (int j = 0; j < 4; j++) {
                bool seen = meets(a, b, key0 + lane + 8 * j, info.end[row], info.segment[row]);
                float e = seen ? expf(s[i][j] * a.scale - info.lse[row]) : 0.0f;
                ds[i][j] = seen ? e * (ds[i][j] - info.along[row]) * a.scale : 0.0f;
            }
        }
        store_p(p, ds);
        __syncwarp();
        add_product<D>(acc, p, k);
        __syncwarp();
    }
    for (int i = 0; i < 4; i++) {
        int64_t t = t0 + 4 * group + i;
        for (int j = 0; j < D / 8; j++)
            if (t < a.queries && lane + 8 * j < features)
                dq[QUERY_AT(b, t, h) + lane + 8 * j] = acc[i][j];
    }
}

template <int D>
static __global__ void __launch_bounds__(THREADS)
    dkv_kernel(struct cuda_attention a, float *dk, float *dv, const float *lse,
               struct cuda_numbers dt, const float *along)
{
    extern __shared__ float memory[];
    __shared__ struct queries<COLS> info;
    float *k = memory, *v = k + ROWS * (D + 1), *q = v + ROWS * (D + 1), *g = q + COLS * (D + 1);
    float *p = g + COLS * (D + 1), *d = p + ROWS * PITCH_P;
    int64_t b = blockIdx.z, kv = blockIdx.y, key0 = (int64_t)blockIdx.x * ROWS;
    int64_t shared_by = a.q_heads / a.kv_heads, row_step = a.q_heads * a.features;
    int group = threadIdx.x / 8, lane = threadIdx.x % 8, features = (int)a.features;
    load_tile<D>(k, ROWS, a.k, KEY_AT(b, key0, kv), a.kv_heads * a.features, a.keys - key0,
                 features);
    load_tile<D>(v, ROWS, a.v, KEY_AT(b, key0, kv), a.kv_heads * a.features, a.keys - key0,
                 features);
    float acc_k[4][D / 8], acc_v[4][D / 8];
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < D / 8; j++)
            acc_k[i][j] = acc_v[i][j] = 0.0f;
    for (int64_t h = kv * shared_by; h < (kv + 1) * shared_by; h++) {
        for (int64_t t0 = 0; t0 < a.queries; t0 += COLS) {
            __syncthreads();
            load_queries(&info, a, b, h, t0, lse, along);
            __syncthreads();
            if (last_end(&info) <= key0)
                continue;
            load_tile<D>(q, COLS, a.q, QUERY_AT(b, t0, h), row_step, a.queries - t0, features);
            load_tile<D>(g, COLS, dt, QUERY_AT(b, t0, h), row_step, a.queries - t0, features);
            __syncthreads();
            float s[4][4], ds[4][4];
            scores<D>(s, k, q);
            scores<D>(ds, v, g);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int64_t key = key0 + 4 * group + i;
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    int column = lane + 8 * j;
                    bool seen = meets(a, b, key, info.end[column], info.segment[column]);
                    s[i][j] = seen ? expf(s[i][j] * a.scale - info.lse[column]) : 0.0f;
                    ds[i][j] = seen ? s[i][j] * (ds[i][j] - info.along[column]) * a.scale : 0.0f;
                }
            }
            store_p(p, s);
            store_p(d, ds);
            __syncwarp();
            add_product<D>(acc_v, p, g);
            add_product<D>(acc_k, d, q);
            __syncwarp();
        }
    }
    for (int i = 0; i < 4; i++) {
        int64_t key = key0 + 4 * group + i;
        for (int j = 0; j < D / 8; j++)
            if (key < a.keys && lane + 8 * j < features) {
                dk[KEY_AT(b, key, kv) + lane + 8 * j] = acc_k[i][j];
                dv[KEY_AT(b, key, kv) + lane + 8 * j] = acc_v[i][j];
            }
    }
}

template <int D>
static cudaError_t run_grad(cudaStream_t s, const struct cuda_attention *a, float *dq, float *dk,
                            float *dv, const float *lse, struct cuda_numbers dt, const float *along)
{
    size_t q_bytes = ((2 * ROWS + 2 * COLS) * (D + 1) + ROWS * PITCH_P) * sizeof(float);
    size_t k_bytes = q_bytes + ROWS * PITCH_P * sizeof(float);
    cudaError_t status = cudaFuncSetAttribute(
        dq_kernel<D>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)q_bytes);
    if (status == cudaSuccess)
        status = cudaFuncSetAttribute(dkv_kernel<D>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      (int)k_bytes);
    if (status != cudaSuccess)
        return status;
    dim3 q_grid((unsigned)((a->queries + ROWS - 1) / ROWS), (unsigned)a->q_heads,
                (unsigned)a->batch);
    dim3 k_grid((unsigned)((a->keys + ROWS - 1) / ROWS), (unsigned)a->kv_heads,
                (unsigned)a->batch);
    dq_kernel<D><<<q_grid, THREADS, q_bytes, s>>>(*a, dq, lse, dt, along);
    dkv_kernel<D><<<k_grid, THREADS, k_bytes, s>>>(*a, dk, dv, lse, dt, along);
    return cudaGetLastError();
}

cudaError_t cuda_attention_grad(cudaStream_t s, const struct cuda_attention *a, float *dq,
                                float *dk, float *dv, struct cuda_numbers out, const float *lse,
                                struct cuda_numbers dt, float *along)
{
    int64_t rows = a->batch * a->q_heads * a->queries;
    along_kernel<<<(unsigned)((rows + 7) / 8), 256, 0, s>>>(*a, out, dt, along);
    if (a->features <= 32)
        return run_grad<32>(s, a, dq, dk, dv, lse, dt, along);
    if (a->features <= 64)
        return run_grad<64>(s, a, dq, dk, dv, lse, dt, along);
    return run_grad<128>(s, a, dq, dk, dv, lse, dt, along);
}
