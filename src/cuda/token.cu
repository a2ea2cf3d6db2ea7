/* Tokens: rows of a table by id and their gradient, rotary positions, writes into a cache. */
#include "cuda/device.cuh"

static __device__ void report(struct cuda_shared *shared, int kind, int64_t at, int32_t value)
{
    atomicMin(&shared->report[kind], (unsigned long long)at << 32 | (uint32_t)value);
}

/* ---- embedding: a thread a number ---- */

static __global__ void embedding_kernel(int64_t n, int64_t d, int64_t words, struct cuda_numbers y,
                                        const int32_t *ids, struct cuda_numbers table,
                                        struct cuda_shared *shared)
{
    EACH(i, n * d) {
        int64_t place = i / d, column = i - place * d;
        int32_t id = ids[place];
        bool known = id >= 0 && id < words;
        if (!known)
            report(shared, CUDA_BAD_ID, place, id);
        put(y, i, known ? get(table, id * d + column) : 0.0f);
    }
}

void cuda_embedding(cudaStream_t s, int64_t n, int64_t d, int64_t words, struct cuda_numbers y,
                    const int32_t *ids, struct cuda_numbers table, struct cuda_shared *shared)
{
    embedding_kernel<<<blocks_for(n * d), BLOCK, 0, s>>>(n, d, words, y, ids, table, shared);
}

/* ---- its gradient: a stable counting sort of the places by id, then one block a table row sums
 * its tokens in their order. Chunks of CHUNK places each rank their own ids. ---- */

#define CHUNK 1024

struct sorted {
    int64_t n, words, chunks;
    int32_t *count; /* [chunks, words]: of the chunk's ids; then where they begin within the row */
    int32_t *first; /* [words + 1]: where each id's places begin */
    int32_t *rank;  /* [n]: among equal ids of the chunk */
    int32_t *order; /* [n]: places by id */
};

static size_t layout(struct sorted *t, int64_t n, int64_t words, void *scratch)
{
    t->n = n;
    t->words = words;
    t->chunks = (n + CHUNK - 1) / CHUNK;
    t->count = (int32_t *)scratch;
    t->first = t->count + t->chunks * words;
    t->rank = t->first + words + 1;
    t->order = t->rank + n;
    return (size_t)(t->chunks * words + words + 1 + 2 * n) * sizeof(int32_t);
}

size_t cuda_embedding_grad_scratch(int64_t n, int64_t words)
{
    struct sorted t;
    return layout(&t, n, words, NULL);
}

/* An id outside the table counts as none. */
static __global__ void rank_kernel(struct sorted t, const int32_t *ids, struct cuda_shared *shared)
{
    __shared__ int32_t chunk[CHUNK];
    int64_t place = (int64_t)blockIdx.x * CHUNK + threadIdx.x;
    int32_t id = place < t.n ? ids[place] : -1;
    if (place < t.n && (id < 0 || id >= t.words)) {
        report(shared, CUDA_BAD_ID, place, id);
        id = -1;
    }
    chunk[threadIdx.x] = id;
    __syncthreads();
    int32_t before = 0, all = 0;
    for (int i = 0; i < CHUNK; i++) {
        bool same = chunk[i] == id;
        before += same && i < (int)threadIdx.x;
        all += same;
    }
    if (id < 0)
        return;
    t.rank[place] = before;
    if (before == 0)
        t.count[blockIdx.x * t.words + id] = all;
}

static __global__ void offset_kernel(struct sorted t)
{
    EACH(word, t.words) {
        int32_t sum = 0;
        for (int64_t c = 0; c < t.chunks; c++) {
            int32_t own = t.count[c * t.words + word];
            t.count[c * t.words + word] = sum;
            sum += own;
        }
        t.first[word + 1] = sum;
    }
}

/* first[1..words] from counts to ends: one block, each thread a stretch of words. */
static __global__ void scan_kernel(struct sorted t)
{
    __shared__ int32_t total[1024];
    int64_t stretch = (t.words + blockDim.x - 1) / blockDim.x;
    int64_t begin = threadIdx.x * stretch;
    int64_t end = begin + stretch < t.words ? begin + stretch : t.words;
    int32_t sum = 0;
    for (int64_t w = begin; w < end; w++)
        sum += t.first[w + 1];
    total[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        int32_t before = 0;
        for (unsigned i = 0; i < blockDim.x; i++) {
            int32_t own = total[i];
            total[i] = before;
            before += own;
        }
        t.first[0] = 0;
    }
    __syncthreads();
    sum = total[threadIdx.x];
    for (int64_t w = begin; w < end; w++) {
        sum += t.first[w + 1];
        t.first[w + 1] = sum;
    }
}

static __global__ void order_kernel(struct sorted t, const int32_t *ids)
{
    EACH(place, t.n) {
        int32_t id = ids[place];
        if (id < 0 || id >= t.words)
            continue;
        int64_t chunk = place / CHUNK;
        t.order[t.first[id] + t.count[chunk * t.words + id] + t.rank[place]] = (int32_t)place;
    }
}

static __global__ void sum_rows_kernel(struct sorted t, int64_t d, float *y, struct cuda_numbers dt)
{
    for (int64_t word = blockIdx.x; word < t.words; word += gridDim.x) {
        int32_t begin = t.first[word], end = t.first[word + 1];
        for (int64_t column = threadIdx.x; column < d; column += blockDim.x) {
            float sum = 0;
            int32_t i = begin;
            for (; i + 8 <= end; i += 8) { /* eight reads under way at a time */
                float v[8];
                for (int k = 0; k < 8; k++)
                    v[k] = get(dt, t.order[i + k] * d + column);
                for (int k = 0; k < 8; k++)
                    sum += v[k];
            }
            for (; i < end; i++)
                sum += get(dt, t.order[i] * d + column);
            y[word * d + column] = sum;
        }
    }
}

void cuda_embedding_grad(cudaStream_t s, int64_t n, int64_t d, int64_t words, float *y,
                         const int32_t *ids, struct cuda_numbers dt, void *scratch,
                         struct cuda_shared *shared)
{
    struct sorted t;
    layout(&t, n, words, scratch);
    cudaMemsetAsync(t.count, 0, (size_t)(t.chunks * words) * sizeof(int32_t), s);
    if (t.chunks > 0)
        rank_kernel<<<(unsigned)t.chunks, CHUNK, 0, s>>>(t, ids, shared);
    offset_kernel<<<blocks_for(words), BLOCK, 0, s>>>(t);
    scan_kernel<<<1, 1024, 0, s>>>(t);
    order_kernel<<<blocks_for(n), BLOCK, 0, s>>>(t, ids);
    unsigned threads = d >= 256 ? 256 : d >= 128 ? 128 : 64;
    unsigned blocks = (unsigned)(words < 65535 ? words : 65535);
    sum_rows_kernel<<<blocks, threads, 0, s>>>(t, d, y, dt);
}

/* ---- rotary positions: a thread a pair of one row, for all heads. Angles as op_token.c has them:
 * reduced in double, then polynomials. ---- */

static __device__ void sin_cos_turns(double turns, float *sine, float *cosine)
{
    double quarter = nearbyint(turns * 4);
    double x = (turns - quarter * 0.25) * 6.28318530717958647692, xx = x * x;
    double s = x * (1 + xx * (-1.0 / 6 + xx * (1.0 / 120 + xx * (-1.0 / 5040 + xx / 362880))));
    double c = 1 + xx * (-1.0 / 2 +
                         xx * (1.0 / 24 + xx * (-1.0 / 720 + xx * (1.0 / 40320 - xx / 3628800))));
    int turn = (int)((int64_t)quarter & 3);
    double sin_out = turn & 1 ? c : s, cos_out = turn & 1 ? s : c;
    *sine = (float)(turn & 2 ? -sin_out : sin_out);
    *cosine = (float)(turn == 1 || turn == 2 ? -cos_out : cos_out);
}

static __global__ void rope_kernel(struct cuda_rope r, struct cuda_numbers y, struct cuda_numbers x,
                                   const int32_t *positions)
{
    int64_t per_axis = r.pairs / r.axes;
    EACH(i, r.rows * r.pairs) {
        int64_t row = i / r.pairs, pair = i - row * r.pairs;
        double position = positions[row * r.axes + (r.axes == 2 && pair >= per_axis)];
        double frequency =
            pow((double)r.theta, -(double)(pair % per_axis) / (double)per_axis) / 6.28318530717958647692;
        float sine, cosine;
        sin_cos_turns(position * frequency, &sine, &cosine);
        sine *= r.sign;
        int64_t at = row * r.heads * r.d + (r.interleaved ? 2 * pair : pair);
        int64_t other = r.interleaved ? 1 : r.pairs;
        for (int64_t h = 0; h < r.heads; h++, at += r.d) {
            float p = get(x, at), q = get(x, at + other);
            put(y, at, p * cosine - q * sine);
            put(y, at + other, p * sine + q * cosine);
        }
    }
}

/* The features that do not turn. */
static __global__ void rope_rest_kernel(struct cuda_rope r, struct cuda_numbers y,
                                        struct cuda_numbers x)
{
    int64_t rest = r.d - 2 * r.pairs;
    EACH(i, r.rows * r.heads * rest) {
        int64_t at = i / rest * r.d + 2 * r.pairs + i % rest;
        put(y, at, get(x, at));
    }
}

void cuda_rope(cudaStream_t s, const struct cuda_rope *r, struct cuda_numbers y,
               struct cuda_numbers x, const int32_t *positions)
{
    if (r->pairs > 0)
        rope_kernel<<<blocks_for(r->rows * r->pairs), BLOCK, 0, s>>>(*r, y, x, positions);
    if (y.data != x.data && 2 * r->pairs < r->d)
        rope_rest_kernel<<<blocks_for(r->rows * r->heads * (r->d - 2 * r->pairs)), BLOCK, 0, s>>>(
            *r, y, x);
}

/* ---- cache: x [batch, rows, width] to cache [batch, room, width]. A position that is named twice
 * keeps the later row: a thread takes one column of one batch element, rows in order. ---- */

static __global__ void cache_kernel(int64_t batch, int64_t rows, int64_t room, int64_t width,
                                    struct cuda_numbers cache, struct cuda_numbers x,
                                    const int32_t *positions, struct cuda_shared *shared)
{
    EACH(i, batch * width) {
        int64_t b = i / width, column = i - b * width;
        for (int64_t t = 0; t < rows; t++) {
            int32_t at = positions[b * rows + t];
            if (at < 0 || at >= room) {
                report(shared, CUDA_BAD_POSITION, b * rows + t, at);
                continue;
            }
            put(cache, (b * room + at) * width + column, get(x, (b * rows + t) * width + column));
        }
    }
}

void cuda_cache_write(cudaStream_t s, int64_t batch, int64_t rows, int64_t room, int64_t width,
                      struct cuda_numbers cache, struct cuda_numbers x, const int32_t *positions,
                      struct cuda_shared *shared)
{
    cache_kernel<<<blocks_for(batch * width), BLOCK, 0, s>>>(batch, rows, room, width, cache, x,
                                                             positions, shared);
}
