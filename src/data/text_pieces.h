/* A file's text as the records in it: all of it, the sayings of a fortune file, or lines. */
#ifndef ML_DATA_TEXT_PIECES_H
#define ML_DATA_TEXT_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ml_piece_kind {
    ML_PIECE_WHOLE,
    ML_PIECE_FORTUNE, /* between lines that hold a single % */
    ML_PIECE_LINE,    /* a line each; empty ones are passed over */
};

struct ml_piece {
    size_t start, size; /* a range of the text, without the line end behind it */
    int64_t line;       /* where it begins, from 1 */
};

struct ml_pieces {
    const char *text;
    size_t size, at;
    int64_t line;
    enum ml_piece_kind kind;
};
void ml_pieces_init(struct ml_pieces *pieces, enum ml_piece_kind kind, const char *text, size_t n);
bool ml_pieces_next(struct ml_pieces *pieces, struct ml_piece *out);

/* A fortune file: at least two lines of a single % (or one that ends the text), hardly any other
 * line that begins with %, and no stretch between them that is most of a longer file. */
bool ml_is_fortune_file(const char *text, size_t n);

#endif
