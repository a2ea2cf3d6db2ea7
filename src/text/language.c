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

/* A text in ideographs is Chinese or Japanese and one in hangul is Korean, whatever single lines
 * that the model never saw look like to it. */
static void keep_script(const struct ml_classifier *model, const char *text, size_t size,
                        float *probabilities)
{
    size_t counts[ML_CHAR_CLASS_COUNT] = {0};
    float sum = 0;
    for (size_t at = 0; at < size;) {
        uint32_t c;
        at += ml_char_next(text + at, &c);
        counts[ml_char_class(c)]++;
    }
    size_t ideographs = counts[ML_CHAR_HAN] + counts[ML_CHAR_KANA];
    bool hangul = counts[ML_CHAR_HANGUL] > ideographs + counts[ML_CHAR_LETTER];
    if (!hangul && ideographs <= counts[ML_CHAR_HANGUL] + counts[ML_CHAR_LETTER])
        return;
    for (int i = 0; i < ml_classifier_labels(model); i++) {
        const char *code = ml_classifier_label(model, i);
        bool fits = hangul ? strcmp(code, "ko") == 0
                           : strcmp(code, "ja") == 0 ||
                                 (strcmp(code, "zh") == 0 && counts[ML_CHAR_KANA] == 0) ||
                                 (strcmp(code, "zh") == 0 &&
                                  counts[ML_CHAR_KANA] * 20 < counts[ML_CHAR_HAN]);
        probabilities[i] = fits ? probabilities[i] + 1e-9f : 0;
        sum += probabilities[i];
    }
    for (int i = 0; i < ml_classifier_labels(model); i++)
        probabilities[i] /= sum;
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
    keep_script(model, text, size, probabilities);
    for (int i = 0; i < ml_classifier_labels(model); i++)
        best = probabilities[i] > probabilities[best] ? i : best;
    struct ml_language found = {.probability = work->count ? probabilities[best] : 0};
    if (work->count)
        snprintf(found.code, sizeof found.code, "%.7s", ml_classifier_label(model, best));
    *out = found;
    return 0;
}
