#include "find/embed_features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

enum { PIECE = 4 }; /* letters */

static uint32_t row_of(uint64_t hash)
{
    return (uint32_t)(hash * 0xD6E8FEB86659FD93u >> (64 - ML_EMBED_BITS));
}

static int put(struct ml_embed_work *w, uint64_t hash, struct ml_error *err)
{
    if (w->count == w->capacity) {
        size_t capacity = w->capacity ? 2 * w->capacity : 1024;
        struct ml_embed_feature *grown = ml_mem_realloc(w->features, capacity * sizeof *grown);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory embedding a text");
        w->features = grown;
        w->capacity = capacity;
    }
    w->features[w->count++] = (struct ml_embed_feature){row_of(hash), 1};
    return 0;
}

/* Pieces of four letters with marks at the ends: "paint" and "painter" share some. */
static int put_pieces(struct ml_embed_work *w, const char *word, size_t n, struct ml_error *err)
{
    uint32_t letters[34] = {'<'};
    size_t count = 1;
    int status = 0;
    for (size_t at = 0; at < n && count < 32; count++) {
        at += ml_char_next(word + at, &letters[count]);
        letters[count] = ml_char_lower(letters[count]);
    }
    letters[count++] = '>';
    for (size_t i = 0; status == 0 && i + PIECE <= count; i++) {
        uint64_t hash = 7;
        for (size_t k = 0; k < PIECE; k++)
            hash = (hash ^ letters[i + k]) * 0x9E3779B97F4A7C15u;
        status = put(w, hash ^ hash >> 31, err);
    }
    return status;
}

static int by_row(const void *a, const void *b)
{
    const struct ml_embed_feature *x = a, *y = b;
    return (x->row > y->row) - (x->row < y->row);
}

int ml_embed_features(struct ml_embed_work *w, const char *text, size_t n, struct ml_error *err)
{
    int status = ml_search_words_find(&w->words, text, n, err);
    uint64_t before = 0, before_that = 0;
    w->count = 0;
    for (size_t i = 0; status == 0 && i < w->words.count; i++) {
        const struct ml_search_word *word = &w->words.words[i];
        bool wide = (unsigned char)text[word->start] >= 0xE2;
        status = put(w, word->hash, err);
        if (word->pair)
            continue;
        if (status == 0 && before && !wide) /* pairs of ideographs are words already */
            status = put(w, before * 3 + word->hash, err);
        if (status == 0 && before_that && wide)
            status = put(w, before_that * 9 + before * 3 + word->hash, err);
        if (status == 0 && !wide && word->bytes > 4)
            status = put_pieces(w, text + word->start, word->bytes, err);
        before_that = before;
        before = word->hash;
    }
    if (status)
        return status;
    if (w->count > 0) /* qsort takes no NULL */
        qsort(w->features, w->count, sizeof *w->features, by_row);
    size_t kept = 0;
    for (size_t i = 0; i < w->count;) {
        size_t same = i + 1;
        while (same < w->count && w->features[same].row == w->features[i].row)
            same++;
        w->features[kept++] =
            (struct ml_embed_feature){w->features[i].row, 1 + logf((float)(same - i))};
        i = same;
    }
    w->count = kept;
    return 0;
}
