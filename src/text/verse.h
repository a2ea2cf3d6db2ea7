/* Chinese classical verse in its four regulated forms: how it is cut into lines, whether it keeps a
 * form, where it rhymes, how it is printed. Traditional and simplified characters alike. */
#ifndef ML_TEXT_VERSE_H
#define ML_TEXT_VERSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "maliang/error.h"

enum ml_verse_form {
    ML_VERSE_NONE,
    ML_VERSE_WUJUE, /* 五絕: 4 lines of 5 characters */
    ML_VERSE_QIJUE, /* 七絕: 4 of 7 */
    ML_VERSE_WULV,  /* 五律: 8 of 5 */
    ML_VERSE_QILV,  /* 七律: 8 of 7 */
    ML_VERSE_COUNT
};
struct ml_verse_shape {
    const char *name;        /* "wujue" */
    const char *traditional; /* "五絕" */
    const char *simplified;  /* "五绝" */
    int lines, characters;   /* characters a line */
};
/* NULL for ML_VERSE_NONE and what is no form. */
const struct ml_verse_shape *ml_verse_shape(enum ml_verse_form form);
/* From "wujue", "五絕", "五绝", "五言絕句", "五言绝句", "5x4" and so on. */
int ml_verse_parse_form(enum ml_verse_form *out, const char *name, struct ml_error *err);

struct ml_verse_line {
    const char *text; /* without the mark that ends it */
    size_t size;      /* bytes */
    int characters;
    bool chinese;  /* nothing but Chinese characters */
    uint32_t last; /* its last character */
    uint32_t mark; /* the mark that ends it; 0 for a line end or the end of the text */
};
#define ML_VERSE_MAX_LINES 256
/* Cuts at ，。！？；、 and line ends; blanks around a line and empty lines are dropped. Writes at
 * most `most` lines and returns how many there are. */
int ml_verse_split(const char *text, size_t size, struct ml_verse_line *lines, int most);

/* The form that a text keeps, or ML_VERSE_NONE. */
enum ml_verse_form ml_verse_classify(const char *text, size_t size);

struct ml_verse_report {
    bool kept;         /* lines and characters a line are as the form asks */
    int lines;         /* found */
    int wrong_line;    /* first line (from 1) with another length or other characters; 0: none */
    int characters;    /* in that line */
    uint32_t rhyme[4]; /* last characters of the even lines */
    int rhyme_count;
    uint32_t first_ending; /* of the first line, which may rhyme too; 0: no line */
    char message[128];     /* what is off, "" when kept */
};
/* form must be one of the four. */
void ml_verse_check(enum ml_verse_form form, const char *text, size_t size,
                    struct ml_verse_report *out);

/* Appends the poem as it is printed: title and author (NULL: none) centred over it, two lines a
 * row. `indent` columns stand before everything. */
int ml_verse_print(struct ml_buffer *out, const char *title, const char *author, const char *text,
                   size_t size, int indent, struct ml_error *err);

#endif
