/* Whether a text is worth learning from: the published rules of Gopher (Rae et al. 2021,
 * arXiv:2112.11446, table A1), C4 (Raffel et al. 2020, arXiv:1910.10683, section 2.2) and FineWeb
 * (Penedo et al. 2024, arXiv:2406.17557) with their thresholds, and a set of our own for scripts
 * without blanks between words, where a character stands for a word.
 *
 * One row a rule: a number that is measured and the range in which it must lie. */
#ifndef ML_DATA_QUALITY_H
#define ML_DATA_QUALITY_H

#include <stdbool.h>

#include "text/word_scan.h"

/* What is measured. Shares are 0 to 1. */
enum ml_metric {
    ML_METRIC_WORDS,        /* with a letter or digit; characters where they are words */
    ML_METRIC_WORD_LENGTH,  /* mean characters of such a word */
    ML_METRIC_HASHES,       /* "#" per word */
    ML_METRIC_ELLIPSES,     /* "..." and "…" per word */
    ML_METRIC_BULLET_LINES, /* share of lines that begin with a bullet */
    ML_METRIC_ELLIPSIS_LINES,
    ML_METRIC_ALPHA_WORDS, /* share of words with a letter */
    ML_METRIC_STOP_WORDS,  /* how many different ones of the language occur */
    ML_METRIC_DUP_LINES,   /* share of lines that repeat an earlier one */
    ML_METRIC_DUP_LINE_CHARS,
    ML_METRIC_DUP_PARAGRAPHS,
    ML_METRIC_DUP_PARAGRAPH_CHARS,
    ML_METRIC_TOP_2GRAM, /* characters of the commonest pair of words, all its places together */
    ML_METRIC_TOP_3GRAM,
    ML_METRIC_TOP_4GRAM,
    ML_METRIC_DUP_5GRAM, /* characters in runs of 5 words that were there before */
    ML_METRIC_DUP_6GRAM,
    ML_METRIC_DUP_7GRAM,
    ML_METRIC_DUP_8GRAM,
    ML_METRIC_DUP_9GRAM,
    ML_METRIC_DUP_10GRAM,
    ML_METRIC_LONGEST_WORD, /* characters */
    ML_METRIC_BRACES,       /* "{" */
    ML_METRIC_LOREM_IPSUM,
    ML_METRIC_SENTENCES,
    ML_METRIC_ENDED_LINES, /* share of lines that end in punctuation that ends a sentence */
    ML_METRIC_SHORT_LINES, /* share of lines of at most 30 characters (15 ideographs) */
    ML_METRIC_NEWLINES,    /* line ends per word */
    ML_METRIC_NATIVE,      /* share of ideographs, kana and hangul among what is not blank */
    ML_METRIC_PUNCTUATION, /* share of punctuation and symbols among what is not blank */
    ML_METRIC_COUNT
};

enum ml_quality_set {
    ML_QUALITY_GOPHER = 1,     /* quality */
    ML_QUALITY_REPETITION = 2, /* Gopher's rules on repetition */
    ML_QUALITY_C4 = 4,         /* what concerns the whole text; for lines see c4_lines.h */
    ML_QUALITY_FINEWEB = 8,
    ML_QUALITY_ALL = 15
};

struct ml_quality_rule {
    const char *name; /* "gopher.words" */
    enum ml_quality_set set;
    enum ml_metric metric;
    double low, high;         /* for words between blanks; -HUGE_VAL, HUGE_VAL: no limit */
    double low_cjk, high_cjk; /* where characters are words */
    const char *why;          /* "fewer than 50 or more than 100,000 words" */
};
const struct ml_quality_rule *ml_quality_rules(int *count);

/* Which rules hold. Zero-initialise, then ml_quality_plan. */
struct ml_quality_plan {
    const struct ml_quality_rule *rules[64];
    double low[64], high[64], low_cjk[64], high_cjk[64];
    int count;
    bool repetition; /* some rule needs n-grams */
};
/* sets: enum ml_quality_set or-ed. */
void ml_quality_plan_init(struct ml_quality_plan *plan, unsigned sets);
/* Other limits than the published ones; ML_ERR_NOT_FOUND names the nearest rule. NaN keeps one. */
int ml_quality_plan_set(struct ml_quality_plan *plan, const char *rule, double low, double high,
                        struct ml_error *err);

enum { ML_STOP_WORDS = 12 }; /* of one language at most */

/* Tables that are used again from text to text. Zero-initialise. */
struct ml_quality {
    struct ml_quality_slot *slots;
    size_t slot_capacity;
    uint64_t *sums; /* prefix hashes of the words */
    uint64_t *chars;
    uint32_t *places; /* [2 * sum_capacity]: where runs begin, and their slots */
    uint8_t *repeats;
    size_t sum_capacity;
    double metric[ML_METRIC_COUNT]; /* of the last text; NaN: not measured */
    bool cjk;                       /* characters were taken for words */
    char language[8];               /* whose stop words are here: */
    uint64_t stops[ML_STOP_WORDS];
    int stop_count;
};
void ml_quality_clear(struct ml_quality *quality); /* accepts NULL */

/* The first rule that the text breaks, NULL: none. language (ISO 639-1) chooses the stop words;
 * NULL or unknown: that rule is passed over. Rules on repetition are looked at last. */
int ml_quality_judge(struct ml_quality *quality, const struct ml_quality_plan *plan,
                     const struct ml_word_scan *scan, const char *language,
                     const struct ml_quality_rule **broken, struct ml_error *err);

/* Words that every longer text of the language has; NULL when we have none. Ends with NULL. */
const char *const *ml_stop_words(const char *language);

#endif
