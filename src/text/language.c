#include "text/language.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "maliang_config.h"

enum { PIECES = 4, PIECE = ML_LANGUAGE_SAMPLE / PIECES };

/* starters/languages/languages.mlc as bytes of the program, so that it is never missing. */
__asm__(".section .rodata\n"
        ".balign 16\n"
        ".global ml_language_model_begin\n"
        "ml_language_model_begin:\n"
        ".incbin \"" MALIANG_LANGUAGE_MODEL "\"\n"
        ".global ml_language_model_end\n"
        "ml_language_model_end:\n"
        ".byte 0\n"
        ".previous\n");
extern const char ml_language_model_begin[], ml_language_model_end[];

int ml_language_model_open(struct ml_classifier **out, struct ml_error *err)
{
    return ml_classifier_parse(out, ml_language_model_begin,
                               (size_t)(ml_language_model_end - ml_language_model_begin),
                               "the language model", err);
}

/* The first place at or after `at` where a character begins. */
static size_t character_at(const char *text, size_t size, size_t at)
{
    while (at < size && ((unsigned char)text[at] & 0xC0) == 0x80)
        at++;
    return at;
}

/* Pieces at equal distances, cut between characters and put together with blanks. */
static size_t sample(char out[ML_LANGUAGE_SAMPLE + PIECES], const char *text, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < PIECES; i++) {
        size_t from = character_at(text, size, (size - PIECE) / (PIECES - 1) * i);
        size_t to = from + PIECE < size ? from + PIECE : size;
        while (to > from && to < size && ((unsigned char)text[to] & 0xC0) == 0x80)
            to--;
        memcpy(out + used, text + from, to - from);
        used += to - from;
        out[used++] = ' ';
    }
    return used;
}

int ml_language_identify(const struct ml_classifier *model, struct ml_classifier_work *work,
                         const char *text, size_t size, struct ml_language *out,
                         struct ml_error *err)
{
    char pieces[ML_LANGUAGE_SAMPLE + PIECES];
    float probabilities[ML_CLASSIFIER_MAX_LABELS];
    if (size > ML_LANGUAGE_SAMPLE) {
        size = sample(pieces, text, size);
        text = pieces;
    }
    int best = ml_classifier_apply(model, work, text, size, probabilities, err);
    if (best < 0)
        return best;
    struct ml_language found = {.probability = work->count ? probabilities[best] : 0};
    if (work->count)
        snprintf(found.code, sizeof found.code, "%.7s", ml_classifier_label(model, best));
    *out = found;
    return 0;
}
