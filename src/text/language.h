/* Which language a text is in: 30 languages by n-grams of characters, a linear model that our own
 * recipe trained (starters/languages) and that is part of the program. */
#ifndef ML_TEXT_LANGUAGE_H
#define ML_TEXT_LANGUAGE_H

#include "text/classifier.h"

/* Bytes of a text that are looked at, in pieces spread over it: more changes no answer. */
#define ML_LANGUAGE_SAMPLE 1024

struct ml_language {
    char code[8];      /* ISO 639-1; "" when there is no letter in it */
    float probability; /* 0 to 1 */
};

/* The model is unpacked from the program: some 2 MB, once a process or thread. */
int ml_language_model_open(struct ml_classifier **out, struct ml_error *err);
/* text must be UTF-8. */
int ml_language_identify(const struct ml_classifier *model, struct ml_classifier_work *work,
                         const char *text, size_t size, struct ml_language *out,
                         struct ml_error *err);

#endif
