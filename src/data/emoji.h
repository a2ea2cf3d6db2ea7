/* Emoji as pictures with captions: the PNG strikes of a colour font (tables cmap, CBLC, CBDT of
 * OpenType) and the names that CLDR gives their characters, in Chinese and English. Only what is
 * one character; families and flags, which a font puts together of several, are left aside. */
#ifndef ML_DATA_EMOJI_H
#define ML_DATA_EMOJI_H

#include "data/media_bytes.h"
#include "data/reader.h"

#define ML_EMOJI_FONT "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
#define ML_EMOJI_CLDR "/usr/share/unicode/cldr/common"

struct ml_emoji_font {
    struct ml_span map;    /* cmap subtable of format 12 */
    struct ml_span places; /* CBLC */
    struct ml_span data;   /* CBDT */
};
/* The bytes are borrowed. ML_ERR_FORMAT: no font with such tables. `uri` is for messages. */
int ml_emoji_font_open(struct ml_emoji_font *out, const char *uri, const void *bytes, size_t n,
                       struct ml_error *err);
/* The glyph of a character; 0: none. */
uint32_t ml_emoji_glyph(const struct ml_emoji_font *font, uint32_t character);
/* The PNG of a glyph, of the largest strike; empty: it has none. */
struct ml_span ml_emoji_picture(const struct ml_emoji_font *font, uint32_t glyph);

/* Names of characters in one language. Zero-initialise. */
struct ml_emoji_names {
    struct ml_emoji_name {
        uint32_t character;
        size_t name; /* offset in texts */
    } * list;
    size_t count, capacity;
    struct ml_buffer texts;
};
/* Adds what a file of CLDR annotations names. */
int ml_emoji_names_add(struct ml_emoji_names *names, const char *xml, size_t n,
                       struct ml_error *err);
void ml_emoji_names_sort(struct ml_emoji_names *names); /* once, before they are looked for */
const char *ml_emoji_name(const struct ml_emoji_names *names, uint32_t character); /* NULL */
void ml_emoji_names_clear(struct ml_emoji_names *names);

/* Gives each picture that has a name to the sink, in the order of characters. */
int ml_emoji_give(const struct ml_emoji_font *font, const struct ml_emoji_names *english,
                  const struct ml_emoji_names *chinese, const struct ml_reader_sink *sink,
                  struct ml_error *err);

#endif
