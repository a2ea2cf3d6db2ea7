/* Which record of a dataset a label that comes from outside is about. */
#ifndef ML_DATA_LABEL_MATCH_H
#define ML_DATA_LABEL_MATCH_H

#include "store/datasets.h"

struct ml_label_match;
int ml_label_match_open(struct ml_label_match **out, struct ml_workspace *workspace,
                        const struct ml_dataset *dataset, struct ml_error *err);
void ml_label_match_close(struct ml_label_match *match); /* accepts NULL */

/* What is known of the record; "" and NULL: not stated. */
struct ml_label_clue {
    const char *hash;   /* SHA-256 of its bytes, hexadecimal */
    const char *source; /* path or URL, as stored */
    const char *file;   /* path or URL of which the last part counts */
    const char *text;
    size_t text_size;
};
/* *out: 0 when there is none, or when it could be several. The hash decides, then the source, the
 * file's name, the text. */
int ml_label_match_find(struct ml_label_match *match, const struct ml_label_clue *clue,
                        int64_t *out, struct ml_error *err);

#endif
