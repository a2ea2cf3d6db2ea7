/* One pass over a text that finds its words and lines and counts its characters: what quality
 * rules, duplicate search, language identification and classifiers are made of.
 *
 * A word is a run between blanks without the punctuation at its ends; each Chinese or Japanese
 * character is a word of its own, because nothing stands between words there. A run without any
 * letter or digit ("--", "***") counts as a word without ML_WORD_SOLID. */
#ifndef ML_TEXT_WORD_SCAN_H
#define ML_TEXT_WORD_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "text/char_class.h"

#define ML_WORD_SCAN_MAX ((size_t)1 << 31) /* bytes of one text */

enum ml_word_flag {
    ML_WORD_SOLID = 1,     /* has a letter, a digit or an ideograph */
    ML_WORD_LETTER = 2,    /* has a letter or an ideograph */
    ML_WORD_IDEOGRAPH = 4, /* is one */
};

struct ml_scan_word {
    uint64_t hash; /* of its lower-case form: the same word, the same number; never 0 */
    uint32_t start, bytes;
    uint32_t chars : 28, flags : 4;
};

/* Without the \n; lines that hold only blanks are counted in blank_lines instead. */
struct ml_scan_line {
    uint32_t start, bytes; /* blanks at both ends cut off */
    uint32_t word, words;  /* the range of its words */
    uint32_t chars;
    uint32_t after_blank; /* 1: a paragraph begins here */
};

/* Zero-initialise, scan many, clear once: memory is used again. */
struct ml_word_scan {
    const char *text; /* borrowed from the caller of the last scan */
    size_t bytes;
    struct ml_scan_word *words;
    size_t word_count, word_capacity;
    struct ml_scan_line *lines;
    size_t line_count, line_capacity;
    size_t blank_lines, newlines, chars;
    size_t counts[ML_CHAR_CLASS_COUNT]; /* characters of each class */
};

/* text must be valid UTF-8 of at most ML_WORD_SCAN_MAX bytes (ML_ERR_LIMIT); it is borrowed until
 * the next scan. */
int ml_word_scan(struct ml_word_scan *scan, const char *text, size_t n, struct ml_error *err);
void ml_word_scan_clear(struct ml_word_scan *scan); /* accepts NULL */

/* A fast hash of bytes, 64 bits, for tables in memory only. */
uint64_t ml_scan_hash(const void *bytes, size_t n);
/* The hash that a scan gives to a word, written in lower case. */
uint64_t ml_word_hash(const char *word, size_t n);

#endif
