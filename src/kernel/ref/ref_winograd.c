/* Winograd's F(2x2, 3x3) by its matrices (Lavin & Gray, arXiv:1509.09308, section 4.1). */
#include "kernel/ref/ref.h"

static const float B[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}};
static const float G[4][3] = {{1, 0, 0}, {0.5f, 0.5f, 0.5f}, {0.5f, -0.5f, 0.5f}, {0, 0, 1}};
static const float A[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};

/* out[rows][rows] = m x m', m being [rows][n] and x [n][n]. */
static void both_sides(int rows, int n, const float *m, const float *x, float *out)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < rows; j++) {
            double sum = 0;
            for (int a = 0; a < n; a++)
                for (int b = 0; b < n; b++)
                    if (m[i * n + a] != 0 && m[j * n + b] != 0)
                        sum += (double)m[i * n + a] * m[j * n + b] * x[a * n + b];
            out[i * rows + j] = (float)sum;
        }
}

static void winograd_source(int64_t n, float *to, int64_t plane, const float *x, const int32_t *at)
{
    for (int64_t i = 0; i < n; i++) {
        float d[16], form[16];
        for (int t = 0; t < 16; t++)
            d[t] = x[at[t / 4] + 2 * i + t % 4];
        both_sides(4, 4, &B[0][0], d, form);
        for (int q = 0; q < 16; q++)
            to[q * plane + i] = form[q];
    }
}

static void winograd_weights(int64_t n, float *to, int64_t plane, const float *w, bool turned)
{
    for (int64_t i = 0; i < n; i++) {
        float g[9], form[16];
        for (int t = 0; t < 9; t++)
            g[t] = w[(turned ? 8 - t : t) * n + i];
        both_sides(4, 3, &G[0][0], g, form);
        for (int q = 0; q < 16; q++)
            to[q * plane + i] = form[q];
    }
}

static void winograd_result(int64_t cells, int64_t n, float *y, int64_t row, const float *sums,
                            int64_t plane)
{
    for (int64_t cell = 0; cell < cells; cell++)
        for (int64_t i = 0; i < n; i++) {
            float m[16], four[4];
            for (int q = 0; q < 16; q++)
                m[q] = sums[q * plane + cell * n + i];
            both_sides(2, 4, &A[0][0], m, four);
            for (int r = 0; r < 2; r++)
                for (int c = 0; c < 2; c++)
                    y[r * row + (2 * cell + c) * n + i] = four[2 * r + c];
        }
}

void ml_ref_winograd(struct ml_kernels *out)
{
    out->winograd_source = winograd_source;
    out->winograd_weights = winograd_weights;
    out->winograd_result = winograd_result;
}
