/* Members of an archive as items. Media and notes that lie one behind the other under one name
 * (sets of pictures with captions are archived so) are held until the next name, so that a note
 * finds its picture whichever comes first. */
#ifndef ML_DATA_COLLECT_MEMBERS_H
#define ML_DATA_COLLECT_MEMBERS_H

#include "data/collect_impl.h"
#include "data/reader.h"

#define ML_MEMBERS_HELD 8

struct ml_held_member {
    char *uri;
    struct ml_buffer bytes;
};
/* Zero-initialise with collector and archive set. */
struct ml_members {
    struct ml_collector *collector;
    const struct ml_collect_item *archive;
    struct ml_held_member held[ML_MEMBERS_HELD];
    int count;
};
int ml_members_put(struct ml_members *members, const struct ml_member *member,
                   struct ml_error *err);
int ml_members_end(struct ml_members *members, struct ml_error *err); /* collects what is held */
void ml_members_clear(struct ml_members *members);

#endif
