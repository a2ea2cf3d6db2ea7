#include "data/sound_print.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fail.h"
#include "data/sound_fft.h"

enum { BANDS = 33, FRAME = ML_PRINT_FRAME, HOP = ML_PRINT_HOP };
enum { CROSSINGS = 10, FINE = 256 }; /* of the filter: zero crossings a side, points between two */
#define LOWEST  300.0                /* Hz */
#define HIGHEST 2000.0               /* Hz */
#define CUT_OFF 2600.0               /* Hz, of the filter before resampling */
#define QUIETER 1e-3f                /* -30 dB */
#define NOTHING 1e-2f                /* the energy of a frame of some -80 dB */

static int out_of_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory for the fingerprint of a sound");
}

/* ---- resampling ---- */

/* One side of a sinc under a Hann window, FINE points from zero to zero. */
static void make_filter(float filter[CROSSINGS * FINE + 2])
{
    for (int i = 0; i < CROSSINGS * FINE; i++) {
        double x = M_PI * i / FINE;
        double window = 0.5 + 0.5 * cos(x / CROSSINGS);
        filter[i] = (float)(i ? sin(x) / x * window : 1);
    }
    filter[CROSSINGS * FINE] = filter[CROSSINGS * FINE + 1] = 0;
}

/* out: [count], at ML_PRINT_RATE; place n is n * rate / ML_PRINT_RATE of mono. */
static void resample(float *out, size_t count, const float *mono, size_t frames, int rate)
{
    float filter[CROSSINGS * FINE + 2];
    double cut = CUT_OFF < 0.475 * rate ? CUT_OFF : 0.475 * rate;
    double crossing = 2 * cut / rate; /* zero crossings a sample */
    int64_t side = (int64_t)(CROSSINGS / crossing);
    make_filter(filter);
    for (size_t n = 0; n < count; n++) {
        uint64_t exact = (uint64_t)n * (uint64_t)rate;
        int64_t middle = (int64_t)(exact / ML_PRINT_RATE);
        double part = (double)(exact % ML_PRINT_RATE) / ML_PRINT_RATE;
        int64_t from = middle - side, to = middle + side;
        float sum = 0;
        from = from < 0 ? 0 : from;
        to = to < (int64_t)frames - 1 ? to : (int64_t)frames - 1;
        for (int64_t i = from; i <= to; i++) {
            float at = (float)(fabs((double)(i - middle) - part) * crossing * FINE);
            int k = (int)at;
            if (k < CROSSINGS * FINE)
                sum += mono[i] * (filter[k] + (at - (float)k) * (filter[k + 1] - filter[k]));
        }
        out[n] = sum * (float)crossing;
    }
}

/* ---- frames ---- */

struct printing {
    struct ml_arena arena;
    struct ml_fft fft;
    float *low;      /* [count] at ML_PRINT_RATE */
    size_t count;    /* of low */
    float *window;   /* [FRAME] */
    float *energies; /* [frames + 1]: of all bands of a frame */
    int edges[BANDS + 1];
};

static void find_edges(int edges[BANDS + 1])
{
    for (int i = 0; i <= BANDS; i++) {
        double hz = LOWEST * pow(HIGHEST / LOWEST, (double)i / BANDS);
        edges[i] = (int)lround(hz * FRAME / ML_PRINT_RATE);
    }
}

/* The energies of the bands of the frame whose middle is at f * HOP, and their sum. */
static float find_bands(struct printing *p, float bands[BANDS], size_t f)
{
    float frame[FRAME], power[FRAME / 2 + 1], all = 0;
    for (size_t i = 0; i < FRAME; i++) {
        size_t at = f * HOP + i; /* + FRAME / 2 */
        bool inside = at >= FRAME / 2 && at - FRAME / 2 < p->count;
        frame[i] = inside ? p->low[at - FRAME / 2] * p->window[i] : 0;
    }
    ml_fft_power(&p->fft, power, frame);
    for (int b = 0; b < BANDS; b++) {
        float sum = 0;
        for (int k = p->edges[b]; k < p->edges[b + 1]; k++)
            sum += power[k];
        bands[b] = sum;
        all += sum;
    }
    return all;
}

/* How far a bit is from being the other one, of the energy that decides it. */
static void find_bits(struct ml_print_frame *out, const float now[BANDS], const float before[BANDS])
{
    float sure[ML_PRINT_WEAK];
    int weak = 0;
    *out = (struct ml_print_frame){0};
    for (int m = 0; m < BANDS - 1; m++) {
        float lead = now[m] - now[m + 1] - (before[m] - before[m + 1]);
        float all = now[m] + now[m + 1] + before[m] + before[m + 1];
        float far = all > 0 ? fabsf(lead) / all : 0;
        out->bits |= (uint32_t)(lead > 0) << m;
        int at = weak < ML_PRINT_WEAK ? weak++ : ML_PRINT_WEAK;
        for (; at > 0 && sure[at - 1] > far; at--)
            if (at < ML_PRINT_WEAK) {
                sure[at] = sure[at - 1];
                out->weak[at] = out->weak[at - 1];
            }
        if (at < ML_PRINT_WEAK) {
            sure[at] = far;
            out->weak[at] = (uint8_t)m;
        }
    }
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static int mark_loud(struct printing *p, struct ml_sound_print *print, struct ml_error *err)
{
    size_t n = print->count;
    float *sorted = ml_arena_alloc(&p->arena, (n + 1) * sizeof *sorted);
    if (!sorted)
        return out_of_memory(err);
    memcpy(sorted, p->energies, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    float least = n ? sorted[(n - 1) * 95 / 100] * QUIETER : 0;
    least = least > NOTHING ? least : NOTHING;
    for (size_t f = 0; f < n; f++) {
        print->frames[f].loud = p->energies[f] > least;
        print->loud += print->frames[f].loud;
    }
    if (print->loud < ML_PRINT_LEAST)
        print->loud = 0;
    return 0;
}

static int print_frames(struct printing *p, struct ml_sound_print *out, struct ml_error *err)
{
    struct ml_sound_print print = {.count = p->count / HOP};
    float bands[2][BANDS];
    int status = ml_fft_init(&p->fft, FRAME, err);
    if (status)
        return status;
    p->energies = ml_arena_alloc(&p->arena, (print.count + 1) * sizeof *p->energies);
    print.frames = ml_mem_alloc((print.count + 1) * sizeof *print.frames);
    if (!p->energies || !print.frames) {
        status = out_of_memory(err);
        goto done;
    }
    find_bands(p, bands[0], 0);
    for (size_t f = 0; f < print.count; f++) {
        float *before = bands[f & 1], *now = bands[(f & 1) ^ 1];
        p->energies[f] = find_bands(p, now, f + 1);
        find_bits(&print.frames[f], now, before);
    }
    status = mark_loud(p, &print, err);
done:
    if (status)
        ml_sound_print_clear(&print);
    else
        *out = print;
    return status;
}

/* The mean of the channels, resampled. */
static int prepare(struct printing *p, const struct ml_sound_span *sound, struct ml_error *err)
{
    struct ml_arena scratch;
    int status = 0;
    ml_arena_init(&scratch, 0);
    p->count = (size_t)((uint64_t)sound->frames * ML_PRINT_RATE / (uint64_t)sound->rate);
    p->low = ml_arena_alloc(&p->arena, (p->count + 1) * sizeof *p->low);
    p->window = ml_arena_alloc(&p->arena, FRAME * sizeof *p->window);
    float *mono = ml_arena_alloc(&scratch, (sound->frames + 1) * sizeof *mono);
    if (!p->low || !p->window || !mono) {
        status = out_of_memory(err);
        goto done;
    }
    for (size_t i = 0; i < sound->frames; i++) {
        float sum = 0;
        for (int c = 0; c < sound->channels; c++)
            sum += sound->samples[i * (size_t)sound->channels + (size_t)c];
        mono[i] = sum / (float)sound->channels;
    }
    resample(p->low, p->count, mono, sound->frames, sound->rate);
    for (int i = 0; i < FRAME; i++)
        p->window[i] = (float)(0.5 - 0.5 * cos(2 * M_PI * i / FRAME));
    find_edges(p->edges);
done:
    ml_arena_clear(&scratch);
    return status;
}

int ml_sound_print(struct ml_sound_print *out, const struct ml_sound_span *sound,
                   struct ml_error *err)
{
    struct printing p = {0};
    int status = ml_sound_check(sound->samples, sound->frames, sound->channels, sound->rate, err);
    if (status)
        return status;
    if (sound->frames / (size_t)sound->rate >= ML_PRINT_SECONDS)
        return ml_fail(err, ML_ERR_LIMIT,
                       "a sound of %zu s is too long for a fingerprint: at most %d s, split it",
                       sound->frames / (size_t)sound->rate, (int)ML_PRINT_SECONDS);
    ml_arena_init(&p.arena, 0);
    status = prepare(&p, sound, err);
    if (status == 0)
        status = print_frames(&p, out, err);
    ml_fft_clear(&p.fft);
    ml_arena_clear(&p.arena);
    return status;
}

void ml_sound_print_clear(struct ml_sound_print *print)
{
    if (!print)
        return;
    ml_mem_free(print->frames);
    *print = (struct ml_sound_print){0};
}
