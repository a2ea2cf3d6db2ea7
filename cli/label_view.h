/* What a person sees while labelling (label_view.c), and what the keys do (label_keys.c). */
#ifndef ML_CLI_LABEL_VIEW_H
#define ML_CLI_LABEL_VIEW_H

#include "options.h"
#include "page.h"
#include "terminal.h"

enum { VIEW_MAX_LABELS = 200, VIEW_MAX_SPANS = 512, VIEW_MAX_TYPED = 4096 };

/* A word of the text, for spans: a run of letters, a character of Chinese or Japanese, or a mark.
 */
struct view_word {
    size_t start, end;   /* bytes */
    int64_t first, last; /* characters; last is behind it */
};
struct view_span {
    int64_t first, last; /* characters */
    int label;
};

struct label_view {
    struct cli *cli;
    const char *queue, *annotator;
    struct ml_labelling *session;
    const struct ml_labelling_task *task;
    struct terminal terminal;
    struct page page;
    struct ml_labelling_item item;
    double shown_since;
    int scroll, scroll_end; /* first line of the text that is shown; the last that may be */
    char note[256];         /* what just happened */
    bool help, done;
    /* The answer in the making. */
    bool chosen[VIEW_MAX_LABELS]; /* choice: the proposal; multi: what is on */
    int rating;                   /* the proposal, -1: none */
    char typed[VIEW_MAX_TYPED];   /* text */
    size_t typed_bytes;
    bool typing;
    struct view_span spans[VIEW_MAX_SPANS];
    int span_count;
    struct view_word *words;
    size_t word_count, word_capacity;
    size_t cursor, anchor;             /* words; anchor SIZE_MAX: none */
    struct ml_labelling_counts before; /* when the session began */
};

/* Takes what the session gives next and prepares an answer from its proposal; done is set when
 * nothing is left. */
int view_next(struct label_view *view, struct ml_error *err);
int view_draw(struct label_view *view, struct ml_error *err);
void view_clear(struct label_view *view); /* frees what it holds, but for the session */
/* One key. */
int view_key(struct label_view *view, int key, struct ml_error *err);

#endif
