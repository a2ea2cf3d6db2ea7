/* What kind of character it is: enough to cut text of any script into words, and to count what is
 * in it. From the general categories of Unicode; the table is made by tools/unicode_class.py. */
#ifndef ML_TEXT_CHAR_CLASS_H
#define ML_TEXT_CHAR_CLASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ml_char_class {
    ML_CHAR_OTHER, /* control, format, private, not assigned */
    ML_CHAR_SPACE,
    ML_CHAR_LETTER, /* of scripts that have no class of their own below */
    ML_CHAR_DIGIT,
    ML_CHAR_MARK, /* combining */
    ML_CHAR_PUNCTUATION,
    ML_CHAR_SYMBOL,
    ML_CHAR_HAN,
    ML_CHAR_KANA,
    ML_CHAR_HANGUL,
    ML_CHAR_CLASS_COUNT
};

extern const uint8_t ml_char_block[256];
extern const uint8_t ml_char_blocks[][256];

static inline enum ml_char_class ml_char_class(uint32_t c)
{
    if (c < 0x10000)
        return (enum ml_char_class)ml_char_blocks[ml_char_block[c >> 8]][c & 255];
    if (c >= 0x20000 && c < 0x32400)
        return ML_CHAR_HAN;
    if (c >= 0x1F000 && c < 0x1FB00)
        return ML_CHAR_SYMBOL;
    return c < 0x1F000 ? ML_CHAR_LETTER : ML_CHAR_OTHER;
}

/* Characters that are words of their own, because their script puts no blanks between words. */
static inline bool ml_char_is_ideograph(enum ml_char_class class)
{
    return class == ML_CHAR_HAN || class == ML_CHAR_KANA;
}

/* Decodes text that is known to be valid UTF-8, which is several times as fast as checking it
 * again. Returns the length, 1 to 4. */
static inline size_t ml_char_next(const char *text, uint32_t *out)
{
    const uint8_t *b = (const uint8_t *)text;
    if (b[0] < 0x80) {
        *out = b[0];
        return 1;
    }
    if (b[0] < 0xE0) {
        *out = (b[0] & 0x1Fu) << 6 | (b[1] & 0x3Fu);
        return 2;
    }
    if (b[0] < 0xF0) {
        *out = (b[0] & 0x0Fu) << 12 | (b[1] & 0x3Fu) << 6 | (b[2] & 0x3Fu);
        return 3;
    }
    *out = (b[0] & 0x07u) << 18 | (b[1] & 0x3Fu) << 12 | (b[2] & 0x3Fu) << 6 | (b[3] & 0x3Fu);
    return 4;
}

/* Lower case of Latin, Greek, Cyrillic, Armenian and full-width letters (one character to one). */
uint32_t ml_char_lower(uint32_t c);

#endif
