#include "data/sound_split.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/fail.h"

enum { QUIET = 5 }; /* frames over which the quietest place is looked for */
#define PAD_SECONDS 0.5

/* Everything in frames of `step` samples, some 10 ms. */
struct splitting {
    struct ml_arena arena;
    const float *powers; /* [count] */
    size_t count;
    size_t least, most, least_silence, pad;
    float silence;
    struct ml_sound_piece *pieces; /* of speech, later with what is kept of the silences around */
    size_t piece_count;
    size_t (*gaps)[2]; /* length and number of the silence behind piece `number` */
    size_t *first;     /* [piece_count]: the first piece that piece i was joined to */
};

static int out_of_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory splitting a sound");
}

static int check_options(struct ml_sound_split_options *o, struct ml_error *err)
{
    if (!(o->least >= 0 && o->most >= 0 && o->least_silence >= 0 && o->silence_db <= 0))
        return ml_fail(err, ML_ERR_ARG,
                       "splitting a sound: lengths are not below 0 seconds, levels not above 0 dB");
    o->least = o->least > 0 ? o->least : 3;
    o->most = o->most > 0 ? o->most : 30;
    o->least_silence = o->least_silence > 0 ? o->least_silence : 0.3;
    if (o->most < 2 * o->least || o->most > 86400 || o->least_silence > 86400)
        return ml_fail(err, ML_ERR_ARG,
                       "splitting a sound into pieces of %g to %g s: the most must be twice the "
                       "least or more, and no length more than a day",
                       o->least, o->most);
    return 0;
}

/* The end of the speech that begins at `at`: a silence is long, or the sound ends. */
static size_t speech_end(const struct splitting *s, size_t at)
{
    size_t end = at, quiet = 0;
    for (; at < s->count && quiet < s->least_silence; at++) {
        quiet = s->powers[at] < s->silence ? quiet + 1 : 0;
        end = quiet ? end : at + 1;
    }
    return end;
}

static size_t next_speech(const struct splitting *s, size_t at)
{
    while (at < s->count && s->powers[at] < s->silence)
        at++;
    return at;
}

static int find_speech(struct splitting *s, struct ml_error *err)
{
    size_t n = 0;
    for (size_t at = next_speech(s, 0); at < s->count; at = next_speech(s, speech_end(s, at)))
        n++;
    s->pieces = ml_arena_calloc(&s->arena, n + 1, sizeof *s->pieces);
    s->gaps = ml_arena_calloc(&s->arena, n + 1, sizeof *s->gaps);
    s->first = ml_arena_calloc(&s->arena, n + 1, sizeof *s->first);
    if (!s->pieces || !s->gaps || !s->first)
        return out_of_memory(err);
    s->piece_count = n;
    size_t at = next_speech(s, 0);
    for (size_t i = 0; i < n; i++) {
        s->pieces[i] = (struct ml_sound_piece){at, speech_end(s, at)};
        at = next_speech(s, s->pieces[i].end);
    }
    return 0;
}

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Each side of a silence keeps half of it, or s->pad. */
static void keep_silence(struct splitting *s)
{
    size_t before = s->piece_count ? least_of(s->pieces[0].start, s->pad) : 0;
    for (size_t i = 0; i < s->piece_count; i++) {
        size_t end = s->pieces[i].end, after, following;
        if (i + 1 < s->piece_count) {
            s->gaps[i][0] = s->pieces[i + 1].start - end;
            s->gaps[i][1] = i;
            after = least_of(s->gaps[i][0] / 2, s->pad);
            following = least_of(s->gaps[i][0] - s->gaps[i][0] / 2, s->pad);
        } else {
            after = least_of(s->count - end, s->pad);
            following = 0;
        }
        s->pieces[i].start -= before;
        s->pieces[i].end += after;
        before = following;
    }
}

static int by_length(const void *a, const void *b)
{
    const size_t *x = a, *y = b;
    if (x[0] != y[0])
        return x[0] < y[0] ? -1 : 1;
    return x[1] < y[1] ? -1 : x[1] > y[1];
}

static size_t first_of(struct splitting *s, size_t i)
{
    while (s->first[i] != i) {
        s->first[i] = s->first[s->first[i]];
        i = s->first[i];
    }
    return i;
}

static size_t length_of(const struct ml_sound_piece *p)
{
    return p->end - p->start;
}

/* From the shortest silence on. Once is enough: pieces only grow, so that a silence over which
 * nothing could be joined stays one. */
static void join_short(struct splitting *s)
{
    size_t gaps = s->piece_count ? s->piece_count - 1 : 0, n = 0;
    for (size_t i = 0; i < s->piece_count; i++)
        s->first[i] = i;
    qsort(s->gaps, gaps, sizeof *s->gaps, by_length);
    for (size_t g = 0; g < gaps; g++) {
        size_t right = s->gaps[g][1] + 1; /* no earlier piece was joined to it yet */
        size_t left = first_of(s, right - 1);
        struct ml_sound_piece *a = &s->pieces[left], *b = &s->pieces[right];
        if ((length_of(a) < s->least || length_of(b) < s->least) && b->end - a->start <= s->most) {
            a->end = b->end;
            s->first[right] = left;
        }
    }
    for (size_t i = 0; i < s->piece_count; i++)
        if (s->first[i] == i)
            s->pieces[n++] = s->pieces[i];
    s->piece_count = n;
}

/* In which frame, between from and to, the quietest QUIET frames have their middle. */
static size_t quietest(const struct splitting *s, size_t from, size_t to)
{
    double least = INFINITY;
    size_t best = to;
    for (size_t at = from; at <= to; at++) {
        double sum = 0;
        for (size_t k = 0; k < QUIET; k++) {
            size_t i = at + k < QUIET / 2 ? 0 : at + k - QUIET / 2;
            sum += s->powers[i < s->count ? i : s->count - 1];
        }
        if (sum <= least) {
            least = sum;
            best = at;
        }
    }
    return best;
}

/* The end of the next piece of what is from `start` to `end`. */
static size_t piece_end(const struct splitting *s, size_t start, size_t end)
{
    if (end - start <= s->most)
        return end;
    return quietest(s, start + s->least, least_of(start + s->most, end - s->least));
}

static int cut_long(struct splitting *s, struct ml_sound_pieces *out, size_t step, size_t frames,
                    struct ml_error *err)
{
    size_t most = 1, n = 0;
    for (size_t i = 0; i < s->piece_count; i++)
        most += length_of(&s->pieces[i]) / s->least + 1;
    struct ml_sound_piece *items = ml_mem_calloc(most, sizeof *items);
    if (!items)
        return out_of_memory(err);
    for (size_t i = 0; i < s->piece_count; i++) {
        size_t end = s->pieces[i].end;
        if (length_of(&s->pieces[i]) < s->least)
            continue;
        for (size_t at = s->pieces[i].start, next; at < end; at = next) {
            next = piece_end(s, at, end);
            items[n++] = (struct ml_sound_piece){at * step, least_of(next * step, frames)};
        }
    }
    *out = (struct ml_sound_pieces){items, n};
    return 0;
}

int ml_sound_split(struct ml_sound_pieces *out, const struct ml_sound_span *sound,
                   const struct ml_sound_split_options *options, struct ml_error *err)
{
    struct ml_sound_split_options o = options ? *options : (struct ml_sound_split_options){0};
    struct splitting s = {0};
    int status = check_options(&o, err);
    if (status == 0)
        status = ml_sound_check(sound->samples, sound->frames, sound->channels, sound->rate, err);
    if (status)
        return status;
    size_t step = sound->rate >= 100 ? (size_t)sound->rate / 100 : 1;
    double second = (double)sound->rate / (double)step; /* in frames */
    ml_arena_init(&s.arena, 0);
    s.count = sound->frames / step + (sound->frames % step > 0);
    s.least = (size_t)ceil(o.least * second);
    s.most = (size_t)(o.most * second);
    s.most = s.most < 2 * s.least ? 2 * s.least : s.most;
    s.least_silence = (size_t)ceil(o.least_silence * second);
    s.pad = (size_t)(PAD_SECONDS * second);
    float *powers = ml_arena_alloc(&s.arena, (s.count + 1) * sizeof *powers);
    s.powers = powers;
    status =
        powers ? ml_sound_powers(powers, sound->samples, sound->frames, sound->channels, step, err)
               : out_of_memory(err);
    s.silence = (float)pow(10, o.silence_db / 10);
    if (status == 0 && !(o.silence_db < 0))
        status = ml_sound_silence(&s.silence, powers, s.count, err);
    if (status == 0)
        status = find_speech(&s, err);
    if (status == 0) {
        keep_silence(&s);
        join_short(&s);
        status = cut_long(&s, out, step, sound->frames, err);
    }
    ml_arena_clear(&s.arena);
    return status;
}

void ml_sound_pieces_clear(struct ml_sound_pieces *pieces)
{
    if (!pieces)
        return;
    ml_mem_free(pieces->items);
    *pieces = (struct ml_sound_pieces){0};
}
