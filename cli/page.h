/* A page of text for a terminal: lines that fit its width, wide characters counted, nothing in them
 * that the terminal would take for a command. */
#ifndef ML_CLI_PAGE_H
#define ML_CLI_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum page_style {
    PAGE_PLAIN,
    PAGE_BOLD,
    PAGE_DIM,
    PAGE_REVERSE,   /* where the cursor is */
    PAGE_UNDERLINE, /* what is being chosen */
    PAGE_COLOURS    /* and above: the colour of a label */
};

/* The first failure sticks. */
struct page {
    struct ml_buffer out;
    int columns;
    bool colour;
    int lines;
    int used; /* columns of the line at hand */
    enum page_style style;
    int status;
    struct ml_error *err;
};

void page_clear(struct page *page); /* empties it, keeps its memory */
/* Into the line at hand, as much as fits; a line end in it is a blank. */
void page_put(struct page *page, enum page_style style, const char *text, size_t n);
void page_say(struct page *page, enum page_style style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void page_end_line(struct page *page);
void page_rule(struct page *page); /* a line across */

/* How many bytes of text are its first line at this width, without the blank or line end behind
 * it: to the last blank, or between wide characters, else wherever it must be. *next is where the
 * next line begins. */
size_t page_wrap(const char *text, size_t n, int columns, size_t *next);
/* Text over several lines, `most` at most; how many it took. */
int page_paragraph(struct page *page, enum page_style style, const char *text, size_t n, int most);

#endif
