/* Searching a workspace: by words and by meaning; what is nearest to a text. */
#ifndef MALIANG_FIND_H
#define MALIANG_FIND_H

#include <stddef.h>
#include <stdint.h>

#include "maliang/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ML_FIND_MOST = 100, ML_FIND_SNIPPET_MARKS = 16 };

struct ml_find_request {
    const char *workspace;
    const char *text;    /* the question, UTF-8 */
    const char *dataset; /* only its records ("name" or "name@version"); NULL: all */
    const char *kind;    /* "text", "image" ...; NULL: any */
    const char *how;     /* "both" (default, NULL), "words", "meaning", "near": see below */
    int count;           /* answers at most; 0: 10, at most ML_FIND_MOST */
    ml_cancel *cancel;
    /* While the index is brought up to date, now and then; may be NULL. */
    void (*progress)(void *arg, int64_t done, int64_t total);
    void *arg;
};

struct ml_find_answer {
    int64_t record;
    char kind[16];
    char title[160];
    char source[400];
    double score;                 /* both: sum of reciprocal ranks */
    int rank_words, rank_meaning; /* 0: not among the best hundred */
    double cosine;
    double overlap; /* near: the share of the question's runs of five words that the record has */
    char snippet[400];
    int marks; /* words of the question in the snippet */
    struct {
        int start, bytes;
    } mark[ML_FIND_SNIPPET_MARKS];
};

/* *out has room for request->count answers (10 when that is 0). "near" takes the question for a
 * text of its own and gives what it has in common with each record, most related first: for near
 * duplicates and for what a model may have learnt by heart. The index is made at the first call. */
int ml_engine_find(struct ml_engine *engine, const struct ml_find_request *request,
                   struct ml_find_answer *out, int *count, struct ml_error *err);

#ifdef __cplusplus
}
#endif
#endif
