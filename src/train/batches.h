/* Tokenised documents as batches. Which windows stand in a batch follows from the seed and the
 * batch's number alone, so that a run resumes at any step without reading what came before. */
#ifndef ML_TRAIN_BATCHES_H
#define ML_TRAIN_BATCHES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

/* Documents one after the other. */
struct ml_token_documents {
    const int32_t *ids;
    const int64_t *start; /* [count + 1]: document d is ids[start[d]] to ids[start[d + 1] - 1] */
    int64_t count;
};

struct ml_batches_options {
    bool documents;  /* windows of whole documents, best fit decreasing; else one stream */
    bool sequential; /* row b of batch n is window n * batch + b; else shuffled in each epoch */
    bool once;       /* one pass: rows after the last window are empty (validation) */
    int batch, context;
    uint64_t seed;
    int32_t end; /* token that begins and ends documents, or -1 for none */
};

/* Stream: END d0 END d1 END ... cut into windows of context tokens with their successors as
 * targets; the last window is filled up with targets of -1. When shuffled, every epoch but the
 * first begins at another token, so that the cuts fall elsewhere. Documents: END d END in one
 * window, which none shares that does not fit; longer ones are cut. Either way every token is a
 * target exactly once an epoch. */
struct ml_batches {
    struct ml_batches_options options;
    struct ml_arena arena;
    int32_t *stream; /* [stream_count] */
    int64_t stream_count;
    int64_t *begins; /* stream positions at which documents begin */
    int64_t begin_count;
    int64_t windows;         /* of an epoch */
    int64_t targets;         /* of an epoch */
    bool segmented;          /* more than one document may stand in a window */
    uint32_t *order;         /* windows of epoch `order_epoch`, shuffled */
    int64_t order_epoch;     /* -1: none yet */
    int64_t phase;           /* stream position at which that epoch begins */
    struct ml_piece *pieces; /* documents: [piece_count] */
    int32_t *window_first;   /* documents: index of a window's first piece */
    int64_t piece_count;
};

/* A part of a document in a window. */
struct ml_piece {
    int64_t at;     /* of its first token in the stream */
    int32_t length; /* tokens of input; as many targets */
    int32_t next;   /* piece in the same window, or -1 */
};

/* Copies what it needs. No token at all is ML_ERR_ARG. */
int ml_batches_new(struct ml_batches **out, const struct ml_token_documents *documents,
                   const struct ml_batches_options *options, struct ml_error *err);
void ml_batches_free(struct ml_batches *batches);

struct ml_batch { /* [batch, context] each, the caller's memory */
    int32_t *tokens, *positions;
    int32_t *segments; /* number of the document in its window; NULL: not wanted */
    int32_t *targets;  /* -1: no target */
};
/* Fills batch `number` (from 0); returns how many targets it has. */
int64_t ml_batches_get(struct ml_batches *batches, int64_t number, struct ml_batch *out);
/* Batches of one pass. */
int64_t ml_batches_count(const struct ml_batches *batches);
/* How many epochs are done before batch `number`. */
double ml_batches_epoch(const struct ml_batches *batches, int64_t number);

/* Best-fit decreasing (Ding et al., arXiv:2404.10830): pieces in order of falling length, each into
 * the window with the least room that holds it. Sets next and window_first[]; returns the number of
 * windows, or a negative code. */
int64_t ml_pack_pieces(struct ml_piece *pieces, int64_t count, int context, int32_t *window_first,
                       struct ml_error *err);

#endif
