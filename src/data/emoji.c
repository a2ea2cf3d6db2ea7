#include "data/emoji.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/utf8.h"
#include "data/media_probe.h"
#include "data/zip_xml.h"

/* ---- the font (OpenType 1.9: cmap, CBLC, CBDT) ---- */

static struct ml_span table_of(struct ml_span file, const char *tag)
{
    uint64_t count = ml_span_be(file, 4, 2);
    for (uint64_t i = 0; i < count; i++) {
        size_t row = (size_t)(12 + 16 * i);
        if (ml_span_is(file, row, tag, 4))
            return ml_span_part(file, ml_span_be(file, row + 8, 4), ml_span_be(file, row + 12, 4));
    }
    return (struct ml_span){file.data, 0};
}

/* The subtable of format 12, which alone reaches beyond the first 65,536 characters. */
static struct ml_span map_of(struct ml_span cmap)
{
    uint64_t count = ml_span_be(cmap, 2, 2);
    for (uint64_t i = 0; i < count; i++) {
        struct ml_span map = ml_span_part(cmap, ml_span_be(cmap, (size_t)(8 + 8 * i), 4), cmap.n);
        if (ml_span_be(map, 0, 2) == 12)
            return map;
    }
    return (struct ml_span){cmap.data, 0};
}

/* How many rows of `size` bytes a table can hold behind `head`, whatever it says. */
static uint64_t rows_in(struct ml_span table, uint64_t said, size_t head, size_t size)
{
    uint64_t room = table.n > head ? (table.n - head) / size : 0;
    return said < room ? said : room;
}

int ml_emoji_font_open(struct ml_emoji_font *out, const char *uri, const void *bytes, size_t n,
                       struct ml_error *err)
{
    const struct ml_span file = {bytes, n};
    struct ml_emoji_font font = {.map = map_of(table_of(file, "cmap")),
                                 .places = table_of(file, "CBLC"),
                                 .data = table_of(file, "CBDT")};
    if (font.map.n == 0 || font.places.n == 0 || font.data.n == 0)
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s: no font with coloured pictures in it (CBDT); use NotoColorEmoji.ttf of "
                       "the package fonts-noto-color-emoji",
                       uri);
    *out = font;
    return 0;
}

/* Groups are in order of characters: first, last, first glyph. */
uint32_t ml_emoji_glyph(const struct ml_emoji_font *font, uint32_t character)
{
    uint64_t low = 0, high = rows_in(font->map, ml_span_be(font->map, 12, 4), 16, 12);
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        size_t row = (size_t)(16 + 12 * middle);
        uint64_t first = ml_span_be(font->map, row, 4), last = ml_span_be(font->map, row + 4, 4);
        if (character < first)
            high = middle;
        else if (character > last)
            low = middle + 1;
        else
            return (uint32_t)(ml_span_be(font->map, row + 8, 4) + (character - first));
    }
    return 0;
}

/* Where a glyph's bytes lie in CBDT by one index subtable; false: it has none there. Formats 1 and
 * 3 list offsets of all glyphs from `first` on, in four bytes or two; 4 lists glyph and offset. */
static bool place_in(struct ml_span index, uint64_t first, uint64_t glyph, uint64_t *at,
                     uint64_t *size)
{
    uint64_t form = ml_span_be(index, 0, 2), base = ml_span_be(index, 4, 4), next = 0, here = 0;
    if (form == 1 || form == 3) {
        int width = form == 1 ? 4 : 2;
        size_t row = (size_t)(8 + (glyph - first) * (uint64_t)width);
        here = ml_span_be(index, row, width);
        next = ml_span_be(index, row + (size_t)width, width);
    } else if (form == 4) {
        uint64_t count = rows_in(index, ml_span_be(index, 8, 4), 12, 4);
        for (uint64_t i = 0; i < count && next == 0; i++)
            if (ml_span_be(index, (size_t)(12 + 4 * i), 2) == glyph) {
                here = ml_span_be(index, (size_t)(14 + 4 * i), 2);
                next = ml_span_be(index, (size_t)(18 + 4 * i), 2);
            }
    }
    *at = base + here;
    *size = next > here ? next - here : 0;
    return next > here;
}

/* The PNG within a glyph's bytes: formats 17 and 18 have its measures in front (5 or 8 bytes). */
static struct ml_span png_in(struct ml_span glyph, uint64_t form)
{
    size_t head = form == 17 ? 5 : form == 18 ? 8 : 0;
    if (form < 17 || form > 19)
        return (struct ml_span){glyph.data, 0};
    struct ml_span png = ml_span_part(glyph, head + 4, ml_span_be(glyph, head, 4));
    return ml_span_is(png, 0, "\x89PNG", 4) ? png : (struct ml_span){glyph.data, 0};
}

/* In one strike, whose row of CBLC begins at `strike`. */
static struct ml_span picture_in(const struct ml_emoji_font *font, size_t strike, uint32_t glyph)
{
    uint64_t list = ml_span_be(font->places, strike, 4);
    struct ml_span subtables = ml_span_part(font->places, list, font->places.n);
    uint64_t count = rows_in(subtables, ml_span_be(font->places, strike + 8, 4), 0, 8);
    for (uint64_t i = 0; i < count; i++) {
        size_t row = (size_t)(8 * i);
        uint64_t first = ml_span_be(subtables, row, 2), last = ml_span_be(subtables, row + 2, 2);
        uint64_t at, size;
        if (glyph < first || glyph > last)
            continue;
        struct ml_span index =
            ml_span_part(subtables, ml_span_be(subtables, row + 4, 4), subtables.n);
        if (place_in(index, first, glyph, &at, &size))
            return png_in(ml_span_part(font->data, at, size), ml_span_be(index, 2, 2));
    }
    return (struct ml_span){font->data.data, 0};
}

struct ml_span ml_emoji_picture(const struct ml_emoji_font *font, uint32_t glyph)
{
    uint64_t count = rows_in(font->places, ml_span_be(font->places, 4, 4), 8, 48);
    struct ml_span best = {font->data.data, 0};
    uint32_t best_size = 0;
    /* A font has a strike or a handful; one that says it has thousands is nobody's. */
    for (uint64_t i = 0; i < count && i < 16; i++) {
        size_t strike = (size_t)(8 + 48 * i);
        uint32_t size = ml_span_u8(font->places, strike + 45); /* pixels to the em, vertical */
        struct ml_span found = size > best_size ? picture_in(font, strike, glyph) : best;
        if (size > best_size && found.n > 0) {
            best = found;
            best_size = size;
        }
    }
    return best;
}

/* ---- names ---- */

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading the names of emoji");
}

static int put_name(struct ml_emoji_names *names, uint32_t character, const char *text, size_t n,
                    struct ml_error *err)
{
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? 2 * names->capacity : 2048;
        void *grown = ml_mem_realloc(names->list, capacity * sizeof *names->list);
        if (!grown)
            return fail_memory(err);
        names->list = grown;
        names->capacity = capacity;
    }
    size_t at = names->texts.size;
    int status = ml_buffer_put(&names->texts, text, n, err);
    if (status == 0)
        status = ml_buffer_put(&names->texts, "", 1, err);
    if (status == 0)
        names->list[names->count++] = (struct ml_emoji_name){character, at};
    return status;
}

/* The one character of <annotation cp="X" type="tts">; 0: another element, or several. */
static uint32_t annotated(const struct ml_zip_xml *x)
{
    const char *type = ml_zip_xml_get(x, "type"), *cp = ml_zip_xml_get(x, "cp");
    uint32_t character = 0;
    if (strcmp(x->name, "annotation") != 0 || !type || strcmp(type, "tts") != 0 || !cp)
        return 0;
    size_t n = ml_utf8_decode(cp, strlen(cp), &character);
    return n > 0 && cp[n] == '\0' ? character : 0;
}

int ml_emoji_names_add(struct ml_emoji_names *names, const char *xml, size_t n,
                       struct ml_error *err)
{
    struct ml_zip_xml x;
    uint32_t character = 0;
    int got;
    ml_zip_xml_open(&x, xml, n);
    while ((got = ml_zip_xml_next(&x, err)) > 0) {
        if (x.event == ML_ZIP_XML_OPEN)
            character = annotated(&x);
        else if (x.event == ML_ZIP_XML_CLOSE)
            character = 0;
        else if (character && x.size > 0 && memchr(x.text, '\n', x.size) == NULL)
            got = put_name(names, character, x.text, x.size, err);
        if (got < 0)
            break;
    }
    ml_zip_xml_close(&x);
    return got;
}

static int by_character(const void *a, const void *b)
{
    const struct ml_emoji_name *x = a, *y = b;
    return x->character != y->character ? (x->character < y->character ? -1 : 1)
           : x->name != y->name         ? (x->name < y->name ? -1 : 1)
                                        : 0;
}

void ml_emoji_names_sort(struct ml_emoji_names *names)
{
    if (names->count > 1)
        qsort(names->list, names->count, sizeof names->list[0], by_character);
}

const char *ml_emoji_name(const struct ml_emoji_names *names, uint32_t character)
{
    size_t low = 0, high = names->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (names->list[middle].character < character)
            low = middle + 1;
        else
            high = middle;
    }
    return low < names->count && names->list[low].character == character
               ? names->texts.data + names->list[low].name
               : NULL;
}

void ml_emoji_names_clear(struct ml_emoji_names *names)
{
    ml_mem_free(names->list);
    ml_buffer_clear(&names->texts);
    *names = (struct ml_emoji_names){0};
}

/* ---- pictures with captions ---- */

static int give_one(uint32_t character, struct ml_span png, const char *english,
                    const char *chinese, const struct ml_reader_sink *sink, struct ml_error *err)
{
    char spelt[5] = "", code[16], *text = NULL;
    struct ml_media media;
    struct ml_error inner = {0};
    ml_utf8_encode(character, spelt);
    snprintf(code, sizeof code, "U+%04X", character);
    if (ml_media_probe(&media, code, png.data, png.n, &inner) != 0) {
        sink->left_out(sink->arg, code, inner.message);
        return 0;
    }
    const char *caption = english ? english : chinese;
    json_t *meta =
        json_pack("{s:s, s:s*, s:s*, s:s, s:s, s:i, s:i}", "caption", caption, "caption_en",
                  english, "caption_zh", chinese, "emoji", spelt, "character", code, "width",
                  (int)media.width, "height", (int)media.height);
    int status = meta ? ml_json_text(&text, meta, JSON_COMPACT, err) : fail_memory(err);
    json_decref(meta);
    const struct ml_document document = {.kind = "image",
                                         .type = "image/png",
                                         .bytes = (const char *)png.data,
                                         .size = png.n,
                                         .title = caption,
                                         .meta = text};
    if (status == 0)
        status = sink->document(sink->arg, &document, err);
    ml_mem_free(text);
    return status;
}

/* The smaller of what two lists have next, in step. */
static uint32_t next_character(const struct ml_emoji_names *a, const struct ml_emoji_names *b,
                               size_t *i, size_t *j)
{
    uint32_t x = *i < a->count ? a->list[*i].character : UINT32_MAX;
    uint32_t y = *j < b->count ? b->list[*j].character : UINT32_MAX;
    uint32_t least = x < y ? x : y;
    while (*i < a->count && a->list[*i].character == least)
        (*i)++;
    while (*j < b->count && b->list[*j].character == least)
        (*j)++;
    return least;
}

int ml_emoji_give(const struct ml_emoji_font *font, const struct ml_emoji_names *english,
                  const struct ml_emoji_names *chinese, const struct ml_reader_sink *sink,
                  struct ml_error *err)
{
    size_t i = 0, j = 0;
    int status = 0;
    ml_json_setup();
    while (status == 0 && (i < english->count || j < chinese->count)) {
        uint32_t character = next_character(english, chinese, &i, &j);
        uint32_t glyph = character >= 0x80 ? ml_emoji_glyph(font, character) : 0;
        struct ml_span png = {NULL, 0};
        if (glyph)
            png = ml_emoji_picture(font, glyph);
        if (png.n > 0)
            status = give_one(character, png, ml_emoji_name(english, character),
                              ml_emoji_name(chinese, character), sink, err);
    }
    return status;
}
