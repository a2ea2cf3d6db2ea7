/* Features of a text for embeddings. Private to src/find. */
#ifndef ML_FIND_EMBED_FEATURES_H
#define ML_FIND_EMBED_FEATURES_H

#include "find/embed.h"

/* Fills work->features: different rows in ascending order with their weights 1 + ln(count). */
int ml_embed_features(struct ml_embed_work *work, const char *text, size_t n, struct ml_error *err);

#endif
