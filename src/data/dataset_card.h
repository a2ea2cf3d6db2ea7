/* A dataset's card: Markdown in English or Chinese that says what is in it, where it is from and
 * what is known to be wrong with it, filled in from the store alone. With the front matter that
 * model and dataset hubs read. */
#ifndef ML_DATA_DATASET_CARD_H
#define ML_DATA_DATASET_CARD_H

#include "data/dataset_facts.h"

/* Appended to out. The same facts give the same bytes. */
int ml_dataset_card(struct ml_buffer *out, const struct ml_dataset_facts *facts, bool chinese,
                    struct ml_error *err);
/* Its part on known limits alone: a list of Markdown. */
int ml_dataset_limits(struct ml_buffer *out, const struct ml_dataset_facts *facts, bool chinese,
                      struct ml_error *err);

#endif
