/* The terminal as a program with a screen of its own uses it: keys one by one, a page that is drawn
 * at once, and everything put back at the end, however that comes. */
#ifndef ML_CLI_TERMINAL_H
#define ML_CLI_TERMINAL_H

#include <stdbool.h>

#include "base/arena.h"
#include "maliang/error.h"

/* A character is its code point; these are beyond all of them. */
enum terminal_key {
    KEY_UP = 0x200000,
    KEY_DOWN,
    KEY_LEFT,
    KEY_RIGHT,
    KEY_HOME,
    KEY_END,
    KEY_PAGE_UP,
    KEY_PAGE_DOWN,
    KEY_DELETE,
    KEY_OTHER /* a sequence that has no meaning here */
};
enum { KEY_TAB = 9, KEY_ENTER = 13, KEY_CONTROL_U = 21, KEY_ESCAPE = 27, KEY_BACKSPACE = 127 };

struct terminal {
    int columns, rows;
    bool colour;
    unsigned char bytes[64]; /* read and not used yet */
    int byte_count;
};

/* Takes the terminal: no echo, no lines, a screen of its own. ML_ERR_ARG where there is none. One
 * at a time. Signals that end the program put the terminal back first. */
int terminal_open(struct terminal *terminal, struct ml_error *err);
void terminal_close(struct terminal *terminal); /* accepts one that is not open */

/* Waits for a key: 1. 0: the page must be drawn again (a new size, or back from being stopped).
 * ML_ERR_CANCELLED: a signal asks to end (Ctrl-C, too), or the terminal has gone. */
int terminal_key(struct terminal *terminal, int *key, struct ml_error *err);

/* Shows a page: lines that end with \n, as many as there are rows at most. */
int terminal_draw(struct terminal *terminal, const struct ml_buffer *page, struct ml_error *err);

#endif
