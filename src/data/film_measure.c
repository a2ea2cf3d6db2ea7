#include "data/film_measure.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fail.h"

#define BINS   32
#define BLOCKS 8
#define CUT    0.25
#define AROUND 4 /* differences on each side that a cut is compared with */
#define BESIDE 2 /* frames on each side that must not be alike */

/* What is compared of a frame. */
struct look {
    float bins[BINS];              /* shares */
    float blocks[BLOCKS * BLOCKS]; /* means, 0..1 */
    float mean;
};

static void look_at(struct look *out, const uint8_t *luma, int width, int height)
{
    uint32_t counts[BLOCKS * BLOCKS] = {0};
    double sums[BLOCKS * BLOCKS] = {0}, all = 0, n = (double)width * height;
    *out = (struct look){.mean = 0};
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int v = luma[(size_t)y * (size_t)width + (size_t)x];
            int block = y * BLOCKS / height * BLOCKS + x * BLOCKS / width;
            out->bins[v * BINS / 256] += 1;
            sums[block] += v;
            counts[block]++;
            all += v;
        }
    for (int i = 0; i < BINS; i++)
        out->bins[i] /= (float)n;
    for (int i = 0; i < BLOCKS * BLOCKS; i++)
        out->blocks[i] = counts[i] ? (float)(sums[i] / counts[i] / 255) : 0;
    out->mean = (float)(all / n / 255);
}

static double differ(const struct look *a, const struct look *b)
{
    double bins = 0, blocks = 0;
    for (int i = 0; i < BINS; i++)
        bins += fabs((double)a->bins[i] - (double)b->bins[i]);
    for (int i = 0; i < BLOCKS * BLOCKS; i++)
        blocks += fabs((double)a->blocks[i] - (double)b->blocks[i]);
    return (bins / 2 + fmin(1, 4 * blocks / (BLOCKS * BLOCKS))) / 2;
}

/* ---- cuts ---- */

struct film {
    const struct ml_film_frames *frames;
    struct look *looks; /* [count] */
    double *steps;      /* [count]: from the frame before; [0] is 0 */
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median_around(const struct film *f, size_t at)
{
    double list[2 * AROUND];
    size_t n = 0, count = f->frames->count;
    for (size_t i = at > AROUND ? at - AROUND : 1; i <= at + AROUND && i < count; i++)
        if (i != at)
            list[n++] = f->steps[i];
    qsort(list, n, sizeof list[0], by_value);
    return n ? list[n / 2] : 0;
}

static bool comes_back(const struct film *f, size_t at)
{
    size_t first = at > BESIDE ? at - BESIDE : 0, count = f->frames->count;
    for (size_t a = first; a < at; a++)
        for (size_t b = at; b < at + BESIDE && b < count; b++)
            if (differ(&f->looks[a], &f->looks[b]) < CUT / 2)
                return true;
    return false;
}

/* Of the steps right before and after, neither is half as large: something that is pulled through
 * the picture takes several. */
static bool is_alone(const struct film *f, size_t at)
{
    size_t next = at + 1 < f->frames->count ? at + 1 : 0; /* steps[0] is 0 */
    return 2 * f->steps[at - 1] < f->steps[at] && 2 * f->steps[next] < f->steps[at];
}

static bool is_cut(const struct film *f, size_t at)
{
    return f->steps[at] >= CUT && is_alone(f, at) && f->steps[at] >= 3 * median_around(f, at) &&
           !comes_back(f, at);
}

/* ---- motion and stillness ---- */

static double moved(const struct ml_film_frames *frames, size_t at)
{
    size_t n = (size_t)frames->width * (size_t)frames->height;
    const uint8_t *now = frames->luma + at * n, *before = now - n;
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (uint64_t)abs(now[i] - before[i]);
    return (double)sum / (double)n / 255;
}

static void measure_steps(const struct film *f, struct ml_film_facts *out)
{
    size_t count = f->frames->count, still = 0, frozen = 0, steps = 0, black = 0;
    size_t least = (size_t)ceil(f->frames->rate / 2);
    double motion = 0;
    for (size_t i = 0; i < count; i++) {
        double step = i > 0 ? moved(f->frames, i) : 1;
        bool cut = i > 0 && is_cut(f, i);
        black += f->looks[i].mean < 0.06f;
        if (cut && out->cuts++ == 0)
            out->first_cut = i;
        if (i > 0 && !cut) {
            motion += step;
            steps++;
        }
        still = i > 0 && step < 0.001 ? still + 1 : 0;
        /* A run counts from its first frame, once it is long enough. */
        frozen += still == least ? least + 1 : still > least;
    }
    out->motion = steps ? motion / (double)steps : 0;
    out->black = (double)black / (double)count;
    out->frozen = (double)frozen / (double)count;
}

int ml_film_measure(struct ml_film_facts *out, const struct ml_film_frames *frames,
                    struct ml_error *err)
{
    struct ml_film_facts facts = {.seconds = 0};
    size_t n = (size_t)frames->width * (size_t)frames->height;
    if (frames->count == 0 || frames->width < BLOCKS || frames->height < BLOCKS ||
        frames->width > 4096 || frames->height > 4096 || !(frames->rate > 0))
        return ml_fail(err, ML_ERR_ARG,
                       "a film to be measured has frames of 8 to 4,096 pixels a side, and a rate");
    struct film f = {.frames = frames,
                     .looks = ml_mem_alloc(frames->count * sizeof *f.looks),
                     .steps = ml_mem_calloc(frames->count, sizeof *f.steps)};
    int status =
        f.looks && f.steps ? 0 : ml_fail(err, ML_ERR_MEMORY, "out of memory measuring a film");
    for (size_t i = 0; status == 0 && i < frames->count; i++) {
        look_at(&f.looks[i], frames->luma + i * n, frames->width, frames->height);
        f.steps[i] = i > 0 ? differ(&f.looks[i - 1], &f.looks[i]) : 0;
    }
    if (status == 0) {
        facts.seconds = (double)frames->count / frames->rate;
        measure_steps(&f, &facts);
        *out = facts;
    }
    ml_mem_free(f.looks);
    ml_mem_free(f.steps);
    return status;
}
