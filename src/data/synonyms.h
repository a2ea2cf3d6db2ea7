/* Words that mean the same, from a file: one group a line, separated by commas or tabs (，and
 * 、too), or by blanks where a line has none of these:
 *
 *     # a comment
 *     big, large, huge
 *     高兴 快乐 愉快
 *     马良
 *
 * A word that stands alone is never changed: a name, a term. Lines of the Chinese thesaurus Cilin
 * ("Aa01A01= 人 士 人物") are understood: groups marked = are taken, those marked # (related) and @
 * are not. A word may be of up to ML_SYNONYM_PARTS words or Chinese characters. */
#ifndef ML_DATA_SYNONYMS_H
#define ML_DATA_SYNONYMS_H

#include "base/arena.h"
#include "text/word_scan.h"

#define ML_SYNONYM_PARTS     8
#define ML_SYNONYM_MAX_BYTES ((uint64_t)64 << 20) /* of the file */

struct ml_synonym_group {
    const char *const *words;
    int count; /* 1: the word is to be left alone */
};

struct ml_synonyms; /* the words of one file */

/* ML_ERR_FORMAT: not UTF-8, with the line; ML_ERR_LIMIT: larger than the limits above. */
int ml_synonyms_parse(struct ml_synonyms **out, const char *text, size_t n, const char *name,
                      struct ml_error *err);
int ml_synonyms_load(struct ml_synonyms **out, const char *path, struct ml_error *err);
void ml_synonyms_free(struct ml_synonyms *synonyms); /* accepts NULL */

/* The longest known word that begins with word number `at` of a scanned text: how many words of the
 * scan it has, 0 when there is none. synonyms may be NULL. */
int ml_synonyms_find(const struct ml_synonyms *synonyms, const struct ml_word_scan *scan, size_t at,
                     struct ml_synonym_group *out);

#endif
