/* Paragraphs, headings, lists and tables of office documents as Markdown. One table of rules a
 * format says what its elements are; one walk reads them all. */
#ifndef ML_DATA_OFFICE_TEXT_H
#define ML_DATA_OFFICE_TEXT_H

#include "base/arena.h"
#include "data/zip_xml.h"

enum ml_office_role {
    ML_OFFICE_NONE, /* ends the list of rules */
    ML_OFFICE_BLOCK,
    ML_OFFICE_HEADING, /* of `level` */
    ML_OFFICE_ITEM,
    ML_OFFICE_TABLE,
    ML_OFFICE_ROW,
    ML_OFFICE_CELL,
    ML_OFFICE_BREAK,
    ML_OFFICE_TAB,
    ML_OFFICE_SPACE,
    ML_OFFICE_TEXT, /* text counts within it only, if the format has any such element */
    ML_OFFICE_PRE,  /* its white space counts */
    ML_OFFICE_SKIP, /* neither it nor what lies in it */
};
struct ml_office_rule {
    const char *name;
    enum ml_office_role role;
    int level;
};

struct ml_office_text;
struct ml_office_form {
    const struct ml_office_rule *rules;
    bool marked;     /* text counts only within ML_OFFICE_TEXT */
    bool keep_space; /* runs of blanks count everywhere */
    /* Elements that change what the block at hand is; NULL: none. */
    void (*open)(struct ml_office_text *text, const struct ml_zip_xml *xml, void *arg);
};

struct ml_office_text {
    struct ml_buffer out;  /* what is finished */
    struct ml_buffer line; /* the block at hand */
    struct ml_buffer cell, row;
    int heading;   /* level of the block at hand; 0: none */
    int items;     /* how deep in lists */
    bool item_new; /* the next block is an item's first */
    bool listed;   /* the last finished block belonged to a list */
    int tables, rows, cells, marked, pre;
    int mark; /* for form.open to remember something by */
};
/* Reads one part and appends it; blocks do not cross parts. */
int ml_office_walk(struct ml_office_text *text, const char *bytes, size_t n,
                   const struct ml_office_form *form, void *arg, struct ml_error *err);
void ml_office_text_clear(struct ml_office_text *text);

/* For ml_office_form.open: the block at hand is an item of a list, that deep (from 0). */
void ml_office_make_item(struct ml_office_text *text, int depth);
int ml_office_put(struct ml_office_text *text, const char *bytes, size_t n, struct ml_error *err);

#endif
