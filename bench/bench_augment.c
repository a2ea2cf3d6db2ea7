/* Speed of augmentation on one core:
 *
 *     bench_augment [TEXT [SYNONYMS [SHARE]]]
 *
 * TEXT is varied as one text, each way being drawn several times, by a share of its words (0.1);
 * without it, a text of 1 MB is made up, in which one word in a thousand has a synonym. Pictures
 * are noise of 224 x 224; sound is ten seconds of noise at 16 kHz; spectrograms have 1000 frames of
 * 80 bins. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/progress.h"
#include "data/augment_mel.h"
#include "data/augment_picture.h"
#include "data/augment_sound.h"
#include "data/augment_text.h"

enum { VARIANTS = 12, SIDE = 224, RATE = 16000, SECONDS = 10, FRAMES = 1000, BINS = 80 };

static int make_text(struct ml_buffer *out, struct ml_error *err)
{
    struct ml_rng rng;
    int status = 0;
    ml_rng_init(&rng, 1, 0);
    while (status == 0 && out->size < 1000000) {
        uint64_t word = ml_rng_below(&rng, 1000);
        status = ml_buffer_printf(out, err, "%c%c%c%s ", (int)('a' + word / 100),
                                  (int)('k' + word / 10 % 10), (int)('a' + word % 10),
                                  ml_rng_below(&rng, 15) ? "" : ".\n");
    }
    return status;
}

static int time_text(const char *text, size_t n, const struct ml_augment_plan *plan,
                     struct ml_error *err)
{
    struct ml_augment_work work = {0};
    double slowest = 0, start = ml_time();
    int status = 0;
    for (uint64_t i = 0; i < VARIANTS && status == 0; i++) {
        struct ml_rng rng;
        double began = ml_time();
        ml_rng_init(&rng, 1, i);
        status = ml_augment_text(&work, plan, ML_AUGMENT_TRAIN, text, n, &rng, err);
        double took = ml_time() - began;
        slowest = took > slowest ? took : slowest;
    }
    double all = ml_time() - start;
    if (status == 0)
        printf("text: %.1f MB/s, slowest of %d variants %.1f MB/s (%.2f MB)\n",
               VARIANTS * (double)n * 1e-6 / all, VARIANTS, (double)n * 1e-6 / slowest,
               (double)n * 1e-6);
    ml_augment_work_clear(&work);
    return status;
}

static int bench_text(int argc, char **argv, struct ml_error *err)
{
    struct ml_arena arena;
    struct ml_buffer made = {0};
    struct ml_synonyms *synonyms = NULL;
    char *text = NULL;
    size_t n = 0;
    int status;
    ml_arena_init(&arena, 0);
    if (argc > 1) {
        status = ml_file_read(&arena, argv[1], (size_t)1 << 30, &text, &n, err);
    } else {
        status = make_text(&made, err);
        text = made.data;
        n = made.size;
    }
    if (status == 0 && argc > 2)
        status = ml_synonyms_load(&synonyms, argv[2], err);
    else if (status == 0 && argc < 2)
        status = ml_synonyms_parse(&synonyms, "aka, xyz\n", 9, "made up", err);
    const struct ml_augment_plan plan = {argc > 3 ? strtod(argv[3], NULL) : 0.1, synonyms};
    if (status == 0)
        status = time_text(text, n, &plan, err);
    ml_synonyms_free(synonyms);
    ml_buffer_clear(&made);
    ml_arena_clear(&arena);
    return status;
}

static int bench_picture(const char *name, const struct ml_picture_plan *plan, struct ml_error *err)
{
    static uint8_t rgb[SIDE * SIDE * 3];
    const struct ml_pixels picture = {rgb, SIDE, SIDE};
    struct ml_rng rng;
    int count = 0, status = 0;
    ml_rng_init(&rng, 1, 0);
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)ml_rng_u32(&rng);
    double start = ml_time();
    for (; status == 0 && ml_time() - start < 1; count++)
        status = ml_augment_picture(&picture, plan, ML_AUGMENT_TRAIN, &rng, err);
    if (status == 0)
        printf("%s: %.0f pictures/s\n", name, count / (ml_time() - start));
    return status;
}

static int bench_sound(const char *name, const struct ml_sound_plan *plan, struct ml_error *err)
{
    static float samples[RATE * SECONDS], out[RATE * SECONDS * 2];
    const struct ml_samples sound = {samples, RATE * SECONDS, RATE};
    struct ml_rng rng;
    int count = 0, status = 0;
    ml_rng_init(&rng, 1, 0);
    for (size_t i = 0; i < sound.count; i++)
        samples[i] = ml_rng_normal(&rng);
    double start = ml_time();
    for (; status == 0 && ml_time() - start < 1; count++)
        if (plan)
            status = ml_augment_sound(&sound, plan, ML_AUGMENT_TRAIN, &rng, err);
        else
            ml_sound_speed(out, samples, sound.count, 1.1);
    if (status == 0)
        printf("%s: %.0f times as fast as it sounds\n", name,
               count * SECONDS / (ml_time() - start));
    return status;
}

static int bench_mel(struct ml_error *err)
{
    static float values[FRAMES * BINS];
    const struct ml_mel mel = {values, FRAMES, BINS};
    const struct ml_mel_plan plan = {0};
    struct ml_rng rng;
    int count = 0, status = 0;
    ml_rng_init(&rng, 1, 0);
    double start = ml_time();
    for (; status == 0 && ml_time() - start < 1; count++)
        status = ml_augment_mel(&mel, &plan, ML_AUGMENT_TRAIN, &rng, err);
    if (status == 0)
        printf("SpecAugment: %.0f spectrograms/s\n", count / (ml_time() - start));
    return status;
}

int main(int argc, char **argv)
{
    const struct ml_picture_plan turn = {.flip = 0.5, .crop = 0.5},
                                 jitter = {.brightness = 0.4, .contrast = 0.4, .colour = 0.4},
                                 rand_augment = {.operations = 2};
    const struct ml_sound_plan noise = {.noise = 1}, room = {.room = 1};
    struct ml_error err = {0};
    int status = bench_text(argc, argv, &err);
    if (status == 0)
        status = bench_picture("flip and crop", &turn, &err);
    if (status == 0)
        status = bench_picture("brightness, contrast, colour", &jitter, &err);
    if (status == 0)
        status = bench_picture("RandAugment", &rand_augment, &err);
    if (status == 0)
        status = bench_sound("speed", NULL, &err);
    if (status == 0)
        status = bench_sound("noise", &noise, &err);
    if (status == 0)
        status = bench_sound("room", &room, &err);
    if (status == 0)
        status = bench_mel(&err);
    if (status < 0)
        fprintf(stderr, "%s\n", err.message);
    return status < 0;
}
