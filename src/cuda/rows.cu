/* Norms and softmax over the last dimension. Up to WARP_WIDTH numbers a row is one warp's, eight
 * rows a block; longer rows are one block's. Each row is read two or three times, the later ones
 * from the caches. Gradients of weights are sums over rows: 32 columns a block, rows cut into
 * chunks whose partial sums are added in order. */
#include "cuda/device.cuh"

#define WARP_WIDTH 2048
#define WIDE_BLOCK 512

struct lanes { /* who works on a row */
    int lane, count;
    float *shared; /* NULL: a warp */
};

static __device__ __forceinline__ float sum_lanes(const struct lanes &l, float x)
{
    return l.shared ? block_sum(x, l.shared) : warp_sum(x);
}

static __device__ __forceinline__ float max_lanes(const struct lanes &l, float x)
{
    return l.shared ? block_max(x, l.shared) : warp_max(x);
}

/* Calls the body with the row and lanes of this thread, in either shape. */
#define EACH_ROW(row, l, rows, wide)                                                               \
    __shared__ float shared_[32];                                                                  \
    struct lanes l = {(int)((wide) ? threadIdx.x : threadIdx.x % 32),                              \
                      (wide) ? (int)blockDim.x : 32, (wide) ? shared_ : NULL};                     \
    int64_t per_block_ = (wide) ? 1 : blockDim.x / 32;                                             \
    for (int64_t row = (int64_t)blockIdx.x * per_block_ + ((wide) ? 0 : threadIdx.x / 32);         \
         row < (rows); row += (int64_t)gridDim.x * per_block_)

struct shape {
    unsigned blocks, threads;
    bool wide;
};

static struct shape shape_for(int64_t rows, int64_t d)
{
    bool wide = d > WARP_WIDTH;
    int64_t blocks = wide ? rows : (rows + BLOCK / 32 - 1) / (BLOCK / 32);
    return {(unsigned)(blocks < 1 ? 1 : blocks > 1 << 20 ? 1 << 20 : blocks),
            wide ? (unsigned)WIDE_BLOCK : (unsigned)BLOCK, wide};
}

static __global__ void rmsnorm_kernel(int64_t rows, int64_t d, struct cuda_numbers y, float *inv,
                                      struct cuda_numbers x, const float *w, float eps, bool wide)
{
    EACH_ROW(row, l, rows, wide) {
        float sum = 0;
        for (int64_t i = l.lane; i < d; i += l.count) {
            float v = get(x, row * d + i);
            sum += v * v;
        }
        float scale = 1.0f / sqrtf(sum_lanes(l, sum) / (float)d + eps);
        if (l.lane == 0)
            inv[row] = scale;
        for (int64_t i = l.lane; i < d; i += l.count)
            put(y, row * d + i, get(x, row * d + i) * scale * (w ? w[i] : 1.0f));
    }
}

void cuda_rmsnorm(cudaStream_t s, int64_t rows, int64_t d, struct cuda_numbers y, float *inv,
                  struct cuda_numbers x, const float *w, float eps)
{
    struct shape p = shape_for(rows, d);
    rmsnorm_kernel<<<p.blocks, p.threads, 0, s>>>(rows, d, y, inv, x, w, eps, p.wide);
}

static __global__ void layernorm_kernel(int64_t rows, int64_t d, struct cuda_numbers y,
                                        float *stats, struct cuda_numbers x, const float *w,
                                        const float *b, float eps, bool wide)
{
    EACH_ROW(row, l, rows, wide) {
        float sum = 0, square = 0;
        for (int64_t i = l.lane; i < d; i += l.count)
            sum += get(x, row * d + i);
        float mean = sum_lanes(l, sum) / (float)d;
        for (int64_t i = l.lane; i < d; i += l.count) {
            float v = get(x, row * d + i) - mean;
            square += v * v;
        }
        float inv = 1.0f / sqrtf(sum_lanes(l, square) / (float)d + eps);
        if (l.lane == 0) {
            stats[2 * row] = mean;
            stats[2 * row + 1] = inv;
        }
        for (int64_t i = l.lane; i < d; i += l.count)
            put(y, row * d + i,
                (get(x, row * d + i) - mean) * inv * (w ? w[i] : 1.0f) + (b ? b[i] : 0.0f));
    }
}

void cuda_layernorm(cudaStream_t s, int64_t rows, int64_t d, struct cuda_numbers y, float *stats,
                    struct cuda_numbers x, const float *w, const float *b, float eps)
{
    struct shape p = shape_for(rows, d);
    layernorm_kernel<<<p.blocks, p.threads, 0, s>>>(rows, d, y, stats, x, w, b, eps, p.wide);
}

/* With u = dy w and h = (x - mean) inv: dx = inv (u - [mean(u)] - h mean(u h)); RMSNorm has mean 0
 * and no mean(u). */
static __global__ void norm_dx_kernel(int64_t rows, int64_t d, float *dx, struct cuda_numbers dy,
                                      struct cuda_numbers x, const float *w, const float *stats,
                                      bool with_mean, bool wide)
{
    EACH_ROW(row, l, rows, wide) {
        float mean = with_mean ? stats[2 * row] : 0.0f;
        float inv = with_mean ? stats[2 * row + 1] : stats[row];
        float flat = 0, along = 0;
        for (int64_t i = l.lane; i < d; i += l.count) {
            float u = get(dy, row * d + i) * (w ? w[i] : 1.0f);
            flat += u;
            along += u * (get(x, row * d + i) - mean) * inv;
        }
        along = sum_lanes(l, along) / (float)d;
        flat = with_mean ? sum_lanes(l, flat) / (float)d : 0.0f;
        for (int64_t i = l.lane; i < d; i += l.count) {
            float u = get(dy, row * d + i) * (w ? w[i] : 1.0f);
            float h = (get(x, row * d + i) - mean) * inv;
            dx[row * d + i] = inv * (u - flat - h * along);
        }
    }
}

#define COLUMNS   32
#define ROW_LANES 8

static int64_t chunk_count(int64_t rows)
{
    int64_t chunks = (rows + 127) / 128;
    return chunks < 1 ? 1 : chunks > 128 ? 128 : chunks;
}

int64_t cuda_norm_partial(int64_t rows, int64_t d)
{
    return chunk_count(rows) * d;
}

/* One chunk of rows, 32 columns: dw = sum(dy h), db = sum(dy). */
static __global__ void norm_dw_kernel(int64_t rows, int64_t d, int64_t chunk, float *dw, float *db,
                                      struct cuda_numbers dy, struct cuda_numbers x,
                                      const float *stats, bool with_mean)
{
    __shared__ float shared[2][ROW_LANES][COLUMNS];
    int64_t column = (int64_t)blockIdx.x * COLUMNS + threadIdx.x;
    int64_t begin = blockIdx.y * chunk, end = begin + chunk < rows ? begin + chunk : rows;
    float w_sum = 0, b_sum = 0;
    for (int64_t row = begin + threadIdx.y; row < end && column < d; row += ROW_LANES) {
        float mean = with_mean ? stats[2 * row] : 0.0f;
        float inv = with_mean ? stats[2 * row + 1] : stats[row];
        float g = get(dy, row * d + column);
        w_sum += g * (get(x, row * d + column) - mean) * inv;
        b_sum += g;
    }
    shared[0][threadIdx.y][threadIdx.x] = w_sum;
    shared[1][threadIdx.y][threadIdx.x] = b_sum;
    __syncthreads();
    if (threadIdx.y != 0 || column >= d)
        return;
    w_sum = b_sum = 0;
    for (int i = 0; i < ROW_LANES; i++) {
        w_sum += shared[0][i][threadIdx.x];
        b_sum += shared[1][i][threadIdx.x];
    }
    if (dw)
        dw[blockIdx.y * d + column] = w_sum;
    if (db)
        db[blockIdx.y * d + column] = b_sum;
}

static __global__ void add_chunks_kernel(int64_t d, int64_t chunks, float *y, const float *partial)
{
    EACH(i, d) {
        float sum = 0;
        for (int64_t c = 0; c < chunks; c++)
            sum += partial[c * d + i];
        y[i] = sum;
    }
}

void cuda_norm_grad(cudaStream_t s, int64_t rows, int64_t d, float *dx, float *dw, float *db,
                    struct cuda_numbers dy, struct cuda_numbers x, const float *w,
                    const float *stats, bool mean, float *partial)
{
    struct shape p = shape_for(rows, d);
    norm_dx_kernel<<<p.blocks, p.threads, 0, s>>>(rows, d, dx, dy, x, w, stats, mean, p.wide);
    if (!dw && !db)
        return;
    int64_t chunks = chunk_count(rows), chunk = (rows + chunks - 1) / chunks;
    float *dw_part = dw ? partial : NULL, *db_part = db ? partial + (dw ? chunks * d : 0) : NULL;
    dim3 grid((unsigned)((d + COLUMNS - 1) / COLUMNS), (unsigned)chunks);
    norm_dw_kernel<<<grid, dim3(COLUMNS, ROW_LANES), 0, s>>>(rows, d, chunk, dw_part, db_part, dy,
                                                             x, stats, mean);
    if (dw)
        add_chunks_kernel<<<blocks_for(d), BLOCK, 0, s>>>(d, chunks, dw, dw_part);
    if (db)
        add_chunks_kernel<<<blocks_for(d), BLOCK, 0, s>>>(d, chunks, db, db_part);
}

/* A row that is all -infinity gives zeros. */
static __global__ void softmax_kernel(int64_t rows, int64_t d, struct cuda_numbers y,
                                      struct cuda_numbers x, float scale, bool wide)
{
    EACH_ROW(row, l, rows, wide) {
        float best = NEGATIVE_INFINITY, sum = 0;
        for (int64_t i = l.lane; i < d; i += l.count)
            best = max_nan(best, scale * get(x, row * d + i));
        best = max_lanes(l, best);
        for (int64_t i = l.lane; i < d && best != NEGATIVE_INFINITY; i += l.count)
            sum += expf(scale * get(x, row * d + i) - best);
        float inv = 1.0f / sum_lanes(l, sum);
        for (int64_t i = l.lane; i < d; i += l.count) {
            float e = best == NEGATIVE_INFINITY ? 0.0f
                                                : expf(scale * get(x, row * d + i) - best) * inv;
            put(y, row * d + i, e);
        }
    }
}

void cuda_softmax(cudaStream_t s, int64_t rows, int64_t d, struct cuda_numbers y,
                  struct cuda_numbers x, float scale)
{
    struct shape p = shape_for(rows, d);
    softmax_kernel<<<p.blocks, p.threads, 0, s>>>(rows, d, y, x, scale, p.wide);
}

static __global__ void softmax_grad_kernel(int64_t rows, int64_t d, struct cuda_numbers dx,
                                           struct cuda_numbers y, struct cuda_numbers dy,
                                           float scale, bool wide)
{
    EACH_ROW(row, l, rows, wide) {
        float along = 0;
        for (int64_t i = l.lane; i < d; i += l.count)
            along += get(y, row * d + i) * get(dy, row * d + i);
        along = sum_lanes(l, along);
        for (int64_t i = l.lane; i < d; i += l.count)
            put(dx, row * d + i, get(y, row * d + i) * (get(dy, row * d + i) - along) * scale);
    }
}

void cuda_softmax_grad(cudaStream_t s, int64_t rows, int64_t d, struct cuda_numbers dx,
                       struct cuda_numbers y, struct cuda_numbers dy, float scale)
{
    struct shape p = shape_for(rows, d);
    softmax_grad_kernel<<<p.blocks, p.threads, 0, s>>>(rows, d, dx, y, dy, scale, p.wide);
}
