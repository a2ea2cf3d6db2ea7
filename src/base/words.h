/* Suggestions for mistyped words: the same for commands, options and recipe keys. */
#ifndef ML_BASE_WORDS_H
#define ML_BASE_WORDS_H

/* Damerau-Levenshtein distance in bytes (optimal string alignment). */
int ml_word_distance(const char *a, const char *b);

/* The nearest of n words within a distance that a typo explains (at most a third of the length,
 * at least 2), or NULL. */
const char *ml_word_nearest(const char *word, const char *const *words, int n);

#endif
