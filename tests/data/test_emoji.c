#include "media_make.h"
#include "reader_sink.h"

#include "data/emoji.h"

static struct sunk s;
static const struct ml_reader_sink sink = {
    .document = sunk_document, .left_out = sunk_left_out, .arg = &s};

static void put_table(struct ml_buffer *font, int row, const char *tag,
                      const struct ml_buffer *table)
{
    struct ml_buffer entry = {0};
    media_word(&entry, tag);
    media_be(&entry, 0, 4);
    media_be(&entry, font->size, 4);
    media_be(&entry, table->size, 4);
    memcpy(font->data + 12 + 16 * row, entry.data, 16);
    media_put(font, table->data, table->size);
    ml_buffer_clear(&entry);
}

/* Glyphs 5 and 6 for U+1F600 and U+1F601, pictures in index format 1 and image format 17; glyph 6
 * has none. */
static void make_font(struct ml_buffer *font)
{
    struct ml_buffer cmap = {0}, places = {0}, data = {0}, png = {0};
    media_png(&png, 16, 16, 10);
    media_be(&data, 0x30000, 4);
    media_be(&data, 0, 5);
    media_be(&data, png.size, 4);
    media_put(&data, png.data, png.size);
    media_be(&cmap, 1, 4);
    media_be(&cmap, 3 << 16 | 10, 4);
    media_be(&cmap, 12, 4);
    media_be(&cmap, 12 << 16, 4);
    media_be(&cmap, 16 + 12, 4);
    media_be(&cmap, 0, 4);
    media_be(&cmap, 1, 4);
    media_be(&cmap, 0x1F600, 4);
    media_be(&cmap, 0x1F601, 4);
    media_be(&cmap, 5, 4);
    media_be(&places, 0x30000, 4);
    media_be(&places, 1, 4);
    media_be(&places, 56, 4); /* where the list of subtables begins */
    media_be(&places, 28, 4);
    media_be(&places, 1, 4);
    for (int i = 0; i < 32; i++)
        media_be(&places, 0, 1);
    media_be(&places, 109 << 24 | 109 << 16 | 32 << 8 | 1, 4);
    media_be(&places, 5 << 16 | 6, 4);
    media_be(&places, 8, 4);
    media_be(&places, 1 << 16 | 17, 4);
    media_be(&places, 4, 4);
    media_be(&places, 0, 4);
    media_be(&places, 9 + png.size, 4);
    media_be(&places, 9 + png.size, 4);
    media_be(font, 0x00010000, 4);
    media_be(font, 3, 2);
    media_be(font, 0, 6);
    for (int i = 0; i < 48; i++)
        media_be(font, 0, 1);
    put_table(font, 0, "CBDT", &data);
    put_table(font, 1, "CBLC", &places);
    put_table(font, 2, "cmap", &cmap);
    ml_buffer_clear(&cmap);
    ml_buffer_clear(&places);
    ml_buffer_clear(&data);
    ml_buffer_clear(&png);
}

static void add(struct ml_emoji_names *names, const char *xml)
{
    struct ml_error err = {0};
    assert_ok(ml_emoji_names_add(names, xml, strlen(xml), &err), err);
    ml_emoji_names_sort(names);
}

static void pictures_with_names(void **state)
{
    struct ml_error err = {0};
    struct ml_buffer font = {0};
    struct ml_emoji_font opened;
    struct ml_emoji_names english = {0}, chinese = {0};
    make_font(&font);
    add(&english, "<ldml><annotations><annotation cp='😁' type='tts'>beaming</annotation>"
                  "<annotation cp='😀'>face | grin</annotation>"
                  "<annotation cp='😀' type='tts'>grinning face</annotation>"
                  "<annotation cp='😀😀' type='tts'>two</annotation></annotations></ldml>");
    add(&chinese, "<ldml><annotation cp='😀' type='tts'>嘿嘿</annotation></ldml>");
    assert_string_equal(ml_emoji_name(&english, 0x1F600), "grinning face");
    assert_null(ml_emoji_name(&chinese, 0x1F601));
    assert_ok(ml_emoji_font_open(&opened, "x", font.data, font.size, &err), err);
    assert_int_equal(ml_emoji_glyph(&opened, 0x1F601), 6);
    assert_int_equal(ml_emoji_glyph(&opened, 0x1F602), 0);
    assert_int_equal(ml_emoji_picture(&opened, 6).n, 0);
    assert_ok(ml_emoji_give(&opened, &english, &chinese, &sink, &err), err);
    assert_string_equal(sunk_text(&s.documents),
                        "image image/png 67 {\"caption\":\"grinning face\",\"caption_en\":"
                        "\"grinning face\",\"caption_zh\":\"嘿嘿\",\"emoji\":\"😀\","
                        "\"character\":\"U+1F600\",\"width\":16,\"height\":16}\n");
    assert_int_equal(s.left_out_count, 0);
    sunk_clear(&s);
    /* Every byte turned over: no crash, and nothing but whole PNGs. */
    for (size_t i = 0; i < font.size; i++) {
        font.data[i] ^= (char)0xFF;
        if (ml_emoji_font_open(&opened, "x", font.data, font.size, &err) == 0)
            assert_ok(ml_emoji_give(&opened, &english, &chinese, &sink, &err), err);
        err = (struct ml_error){0};
        font.data[i] ^= (char)0xFF;
        sunk_clear(&s);
    }
    ml_emoji_names_clear(&english);
    ml_emoji_names_clear(&chinese);
    ml_buffer_clear(&font);
}

static void no_fonts(void **state)
{
    struct ml_error err = {0};
    struct ml_emoji_font opened;
    struct ml_emoji_names names = {0};
    assert_fails(ml_emoji_font_open(&opened, "a.ttf", "text", 4, &err), ML_ERR_FORMAT,
                 "a.ttf: no font with coloured pictures", err);
    assert_fails(ml_emoji_names_add(&names, "<a", 2, &err), ML_ERR_FORMAT, "XML", err);
    ml_emoji_names_clear(&names);
}

/* The real one, where it is installed. */
static void noto(void **state)
{
    struct ml_error err = {0};
    struct ml_arena arena;
    char *font = NULL;
    size_t n = 0;
    if (!ml_path_exists(ML_EMOJI_FONT) || !ml_path_is_dir(ML_EMOJI_CLDR)) {
        print_message("fonts-noto-color-emoji or unicode-cldr-core is not installed\n");
        skip();
    }
    ml_arena_init(&arena, 0);
    assert_ok(ml_file_read(&arena, ML_EMOJI_FONT, 64 << 20, &font, &n, &err), err);
    const struct ml_reader_input input = {.uri = "emoji:", .bytes = font, .size = n};
    struct ml_reader_limits limits =
        ml_reader_limits_or_default(&(struct ml_reader_limits){.max_members = 0});
    assert_ok(ml_reader_emoji.read(&input, &limits, &sink, &err), err);
    assert_true(s.document_count > 1000);
    assert_int_equal(s.left_out_count, 0);
    assert_non_null(
        strstr(s.documents.data, "\"caption_en\":\"grinning face\",\"caption_zh\":\"嘿嘿\""));
    ml_arena_clear(&arena);
    sunk_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_with_names),
        cmocka_unit_test(no_fonts),
        cmocka_unit_test(noto),
    };
    return cmocka_run_group_tests_name("emoji", tests, NULL, NULL);
}
