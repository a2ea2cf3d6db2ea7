/* Fingerprints of sounds: the same recording is found again after another coding, level, rate, a
 * little noise or silence in front (Haitsma & Kalker, "A highly robust audio fingerprinting
 * system", ISMIR 2002).
 *
 * The mean of the channels, resampled to 5,512 Hz, is cut into frames of 2,048 samples (0.37 s)
 * every 64 (11.6 ms), each under a Hann window. Of each frame the energies of 33 bands between 300
 * and 2000 Hz, spaced as the logarithm, give 32 bits: whether a band's lead over its neighbour grew
 * since the frame before. Half a frame of silence is thought at both ends, so that a word of 0.4 s
 * has some thirty frames.
 *
 * Unlike the paper: frames 30 dB under the loudest ones say nothing and are left out of all
 * comparisons; the four bits that were decided by least are also tried the other way round when a
 * print is looked up. */
#ifndef ML_DATA_SOUND_PRINT_H
#define ML_DATA_SOUND_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/sound_measure.h"

enum { ML_PRINT_RATE = 5512, ML_PRINT_FRAME = 2048, ML_PRINT_HOP = 64 };
enum { ML_PRINT_WEAK = 4 };       /* bits of a frame that are tried both ways */
enum { ML_PRINT_LEAST = 8 };      /* frames that say something: fewer are no print */
enum { ML_PRINT_SECONDS = 7200 }; /* the longest sound */

struct ml_print_frame {
    uint32_t bits;
    uint8_t weak[ML_PRINT_WEAK]; /* numbers of bits, the weakest first */
    bool loud;                   /* says something */
};

struct ml_sound_print {
    struct ml_print_frame *frames;
    size_t count, loud;
};

/* A sound without ML_PRINT_LEAST loud frames (silence, a click) gets a print that is like no other:
 * loud is 0. Released by ml_sound_print_clear. */
int ml_sound_print(struct ml_sound_print *out, const struct ml_sound_span *sound,
                   struct ml_error *err);
void ml_sound_print_clear(struct ml_sound_print *print); /* accepts NULL */

struct ml_print_match {
    int64_t id;
    double errors; /* the share of bits that differ: 0 the same, 0.5 by chance */
    /* The share of the shorter sound's loud frames that lie in the other one too: in blocks of 32
     * of which at most 0.35 of the bits differ. */
    double overlap;
    double seconds; /* of loud frames that were compared */
    double offset;  /* seconds: where the looked-up sound begins in the one that was found */
};

/* The prints that were kept: an inverted list from 32 bits to print and place. About 24 bytes a
 * frame: 2 kB a second. Zero-initialise. */
struct ml_print_index {
    struct ml_print_entry *entries; /* open addressing */
    uint64_t size, used;
    struct ml_print_kept *kept;
    size_t count, capacity;
};
int ml_print_index_add(struct ml_print_index *index, const struct ml_sound_print *print, int64_t id,
                       struct ml_error *err);

struct ml_print_options {
    /* The most bits that may differ where three seconds or more are compared; of one second or less
     * 0.36 of that, linear between, for a short word sounds much like the same word said again. 0:
     * 0.25 (the paper: 0.35 of 3 s), so 0.09 of a word. */
    double errors;
    double overlap; /* the least share of the shorter sound; 0: 0.8 */
};
/* *found: whether there is a duplicate, *match the one with the fewest errors, of equals the first
 * that was added. options may be NULL. */
int ml_print_index_find(const struct ml_print_index *index, const struct ml_sound_print *print,
                        const struct ml_print_options *options, struct ml_print_match *match,
                        bool *found, struct ml_error *err);
void ml_print_index_clear(struct ml_print_index *index); /* accepts NULL */

#endif
