/* Shared by rhyme.c and rhyme_learn.c. Private to src/text. */
#ifndef ML_TEXT_RHYME_IMPL_H
#define ML_TEXT_RHYME_IMPL_H

#include "text/rhyme.h"

struct ml_rhyme_member {
    uint32_t character;
    int group;
};

struct ml_rhyme {
    struct ml_rhyme_member *listed; /* [count] group by group, as in the file */
    struct ml_rhyme_member *sorted; /* [count] by character, then group */
    size_t count;
    int groups;
};

/* Copies members, which are listed group by group from 0. */
int ml_rhyme_make(struct ml_rhyme **out, const struct ml_rhyme_member *members, size_t count,
                  struct ml_error *err);

#endif
