#include "media_make.h"
#include "reader_sink.h"

#include "data/media_probe.h"

static struct ml_buffer b;

/* "kind type WxH seconds rate channels" of what b holds; b is emptied. */
static void is(const char *expected)
{
    struct ml_error err = {0};
    struct ml_media m;
    char told[200];
    assert_ok(ml_media_probe(&m, "x", b.data, b.size, &err), err);
    snprintf(told, sizeof told, "%s %s %ux%u %.2f %u %u", m.kind, m.type, m.width, m.height,
             m.seconds, m.rate, m.channels);
    assert_string_equal(told, expected);
    ml_buffer_clear(&b);
}

static void is_bad(const char *why)
{
    struct ml_error err = {0};
    struct ml_media m;
    assert_fails(ml_media_probe(&m, "x.png", b.size ? b.data : "", b.size, &err), ML_ERR_FORMAT,
                 why, err);
    ml_buffer_clear(&b);
}

static void pictures(void **state)
{
    media_png(&b, 640, 480, 1000);
    is("image image/png 640x480 0.00 0 0");
    media_put(&b, "\xFF\xD8\xFF\xE0\0\4ab\xFF\xFF\xC2\0\x11\x08\0\x40\0\x80\3", 19);
    for (int i = 0; i < 30; i++)
        media_be(&b, 0, 1);
    is("image image/jpeg 128x64 0.00 0 0");
    media_put(&b, "GIF89a\x0A\0\x14\0", 10);
    is("image image/gif 10x20 0.00 0 0");
    media_put(&b, "RIFF\x1A\0\0\0WEBPVP8L\6\0\0\0\x2F\x09\xC0\4\0\0\0\0\0\0\0\0\0\0", 34);
    is("image image/webp 10x20 0.00 0 0");
    media_put(&b, "RIFF\x16\0\0\0WEBPVP8X\x0A\0\0\0\0\0\0\0\x09\0\0\x13\0\0", 30);
    is("image image/webp 10x20 0.00 0 0");
    media_put(&b, "RIFF\x16\0\0\0WEBPVP8 \x0A\0\0\0\0\0\0\x9d\x01\x2a\x0A\0\x14\0", 30);
    is("image image/webp 10x20 0.00 0 0");
    media_put(&b, "BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\2\0\0\0\xFE\xFF\xFF\xFF\1\0\x18\0", 30);
    media_le(&b, 0, 24 + 16);
    is("image image/bmp 2x2 0.00 0 0");
    media_put(&b, "II*\0\x08\0\0\0\2\0\0\1\3\0\1\0\0\0\7\0\0\0\1\1\4\0\1\0\0\0\x09\0\0\0", 34);
    is("image image/tiff 7x9 0.00 0 0");
    media_put(&b, "MM\0*\0\0\0\x08\0\2\1\0\0\3\0\0\0\1\0\7\0\0\1\1\0\4\0\0\0\1\0\0\0\x09", 34);
    is("image image/tiff 7x9 0.00 0 0");
}

static void lies(void **state)
{
    media_png(&b, 60000, 60000, 1000);
    is_bad("x.png: damaged (image/png): it says it has more than 2^31 pixels");
    media_png(&b, 30000, 30000, 1000);
    is_bad("more pixels than its bytes can hold");
    media_png(&b, 0, 10, 1000);
    is_bad("no width or height");
    media_png(&b, 10, 10, 100);
    b.size -= 12;
    is_bad("cut off");
    media_put(&b, "\xFF\xD8\xFF\xC0\0\x11\x08\xFF\xFF\xFF\xFF\3", 12);
    is_bad("more than 2^31");
    media_put(&b, "\xFF\xD8\xFF\xE0\0\0", 6);
    is_bad("no frame header");
    media_put(&b, "GIF89a\xFF\xFF\xFF\x7F", 10);
    is_bad("more pixels");
    media_put(&b, "RIFF\xFF\0\0\0WEBPVP8X\x0A\0\0\0\0\0\0\0\x09\0\0\x13\0\0", 30);
    is_bad("cut off");
    media_put(&b, "II*\0\xFF\xFF\xFF\xFF", 8);
    is_bad("no width");
    media_word(&b, "<html>");
    is_bad("no picture, sound or film");
    is_bad("no picture");
}

static void sounds(void **state)
{
    media_wav(&b, 8000, 4000);
    is("audio audio/wav 0x0 0.50 8000 1");
    media_put(&b, "fLaC\0\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x0A\xC4\x42\xF0\0\0\xAC\x44", 26);
    is("audio audio/flac 0x0 1.00 44100 2");
    /* MPEG-1 layer III, 128 kbit/s, 44.1 kHz: frames of 417 bytes. */
    for (int frame = 0; frame < 3; frame++) {
        media_put(&b, "\xFF\xFB\x90\0", 4);
        for (int i = 4; i < 417; i++)
            media_be(&b, 0, 1);
    }
    is("audio audio/mpeg 0x0 0.08 44100 2");
    /* Behind an ID3 tag, with Xing's count of frames. */
    media_put(&b, "ID3\4\0\0\0\0\0\3abc", 13);
    media_put(&b, "\xFF\xFB\x90\0", 4);
    media_be(&b, 0, 32);
    media_word(&b, "Xing");
    media_put(&b, "\0\0\0\1\0\0\3\xE8", 8);
    is("audio audio/mpeg 0x0 26.12 44100 2");
    static const char page[] = "OggS\0\2\0\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\0\0\0\0\1\x1e";
    media_put(&b, page, 28);
    media_put(&b, "\1vorbis\0\0\0\0\2\x44\xAC\0\0", 16);
    media_put(&b, "OggS\0\4\x88\x58\1\0\0\0\0\0\7\0\0\0\0\0\0\0\0\0\0\0\0", 27);
    is("audio audio/ogg 0x0 2.00 44100 2");
    media_put(&b, page, 28);
    media_put(&b, "OpusHead\1\2\x38\1\x80\xBB\0\0", 16);
    media_put(&b, "OggS\0\4\xB8\xBC\0\0\0\0\0\0\7\0\0\0\0\0\0\0\0\0\0\0\0", 27);
    is("audio audio/opus 0x0 1.00 48000 2");
    media_put(&b, page, 28);
    media_word(&b, "unknown codec");
    is_bad("neither Vorbis");
    media_put(&b, "\xFF\xFB\x90\0\0\0\0\0\0\0", 10);
    is("audio audio/mpeg 0x0 0.00 44100 2");
    media_put(&b, "ID3\4\0\0\0\0\0\3abc but no sound", 26);
    is_bad("no frames of MP3");
    media_put(&b, "RIFF\4\0\0\0WAVE", 12);
    is_bad("no sound in it");
}

/* A box with what is put into it between box_begin and box_end. */
static size_t box_begin(const char *name)
{
    size_t at = b.size;
    media_be(&b, 0, 4);
    media_word(&b, name);
    return at;
}

static void box_end(size_t at)
{
    size_t size = b.size - at;
    for (int i = 0; i < 4; i++)
        b.data[at + (size_t)i] = (char)(size >> (8 * (3 - i)));
}

static void put_handler(const char *kind)
{
    size_t at = box_begin("hdlr");
    media_be(&b, 0, 8);
    media_word(&b, kind);
    box_end(at);
}

static void put_movie(bool picture)
{
    size_t at = box_begin("ftyp"), movie, track, media;
    media_word(&b, "isom");
    box_end(at);
    movie = box_begin("moov");
    at = box_begin("mvhd");
    media_be(&b, 0, 12);
    media_be(&b, 1000, 4);
    media_be(&b, 2500, 4);
    box_end(at);
    track = box_begin("trak");
    at = box_begin("tkhd");
    media_be(&b, 0, 8);
    media_be(&b, 0, 8);
    for (int i = 0; i < 60; i++)
        media_be(&b, 0, 1);
    media_be(&b, 320 << 16, 4);
    media_be(&b, 240 << 16, 4);
    box_end(at);
    media = box_begin("mdia");
    put_handler(picture ? "vide" : "soun");
    size_t info = box_begin("minf"), sample = box_begin("stbl");
    at = box_begin("stsd");
    media_be(&b, 1, 8);
    for (int i = 0; i < 24; i++)
        media_be(&b, 0, 1);
    media_be(&b, 2, 2);
    media_be(&b, 0, 6);
    media_be(&b, 44100u << 16, 4);
    box_end(at);
    box_end(sample);
    box_end(info);
    box_end(media);
    box_end(track);
    box_end(movie);
}

static void films(void **state)
{
    put_movie(true);
    is("video video/mp4 320x240 2.50 0 0");
    put_movie(false);
    is("audio audio/mp4 0x0 2.50 44100 2");
    size_t at = box_begin("ftyp");
    media_word(&b, "isom");
    box_end(at);
    is_bad("table of contents (moov) is missing");
    static const char webm[] =
        "\x1A\x45\xDF\xA3\x87\x42\x82\x84webm"
        "\x18\x53\x80\x67\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
        "\x15\x49\xA9\x66\x8E\x2A\xD7\xB1\x83\x0F\x42\x40\x44\x89\x84\x45\x1C"
        "\x40\0"
        "\x16\x54\xAE\x6B\x90\xAE\x8E\x83\x81\1\xE0\x89\xB0\x82\1\x40\xBA\x81"
        "\xF0\x53\x00"
        "\x1F\x43\xB6\x75\x81x";
    media_put(&b, webm, sizeof webm - 1);
    is("video video/webm 320x240 2.50 0 0");
    media_put(&b, "\x1A\x45\xDF\xA3\x80", 5);
    is_bad("neither picture nor sound");
}

/* All headers cut off at every byte, and with every byte turned over. */
static void mangled(void **state)
{
    for (int kind = 0; kind < 4; kind++) {
        struct ml_buffer whole = {0};
        if (kind == 0)
            media_png(&b, 16, 16, 20);
        else if (kind == 1)
            media_wav(&b, 8000, 10);
        else
            put_movie(kind == 2);
        media_put(&whole, b.data, b.size);
        for (size_t i = 0; i < whole.size; i++) {
            struct ml_media m;
            struct ml_error err = {0};
            ml_media_probe(&m, "x", whole.data, i, &err);
            err = (struct ml_error){0};
            whole.data[i] ^= (char)0xFF;
            if (ml_media_probe(&m, "x", whole.data, whole.size, &err) == 0 && m.width)
                assert_true((uint64_t)m.width * m.height <= ML_MEDIA_MAX_PIXELS ||
                            strcmp(m.kind, "image") != 0);
            whole.data[i] ^= (char)0xFF;
        }
        ml_buffer_clear(&whole);
        ml_buffer_clear(&b);
    }
}

static void as_reader(void **state)
{
    struct sunk s = {0};
    struct ml_error err = {0};
    media_png(&b, 64, 48, 100);
    /* Its bytes tell, not its name. */
    assert_ok(sunk_read(&s, "a.jpg", b.data, b.size, NULL, &err), err);
    assert_string_equal(sunk_text(&s.documents),
                        "image image/png 157 {\"width\":64,\"height\":48}\n");
    ml_buffer_clear(&b);
    media_wav(&b, 16000, 24);
    assert_ok(sunk_read(&s, "no ending", b.data, b.size, NULL, &err), err);
    assert_string_equal(sunk_text(&s.documents),
                        "audio audio/wav 92 {\"seconds\":0.002,\"rate\":16000,\"channels\":1}\n");
    ml_buffer_clear(&b);
    media_word(&b, "BM but text");
    assert_null(ml_reader_find(
        &(struct ml_reader_input){.uri = "letter", .bytes = b.data, .size = b.size}));
    ml_buffer_clear(&b);
    sunk_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures), cmocka_unit_test(lies),    cmocka_unit_test(sounds),
        cmocka_unit_test(films),    cmocka_unit_test(mangled), cmocka_unit_test(as_reader),
    };
    return cmocka_run_group_tests_name("media_probe", tests, NULL, NULL);
}
