/* Pictures and sound decoded by a locked-up ffmpeg (data/media_decode.h). */
#include "data/media_decode.h"

#include <math.h>
#include <string.h>

#include "media_bmp.h"
#include "scratch.h"

static void pictures(void **state)
{
    enum { W = 8, H = 5 };
    unsigned char rgb[W * H * 3];
    struct ml_buffer bmp = {0};
    struct ml_decoded_picture p = {0};
    struct ml_error err = {0};
    for (int i = 0; i < W * H * 3; i++)
        rgb[i] = (unsigned char)(i * 7);
    media_bmp(&bmp, rgb, W, H);
    if (ml_media_picture(&p, bmp.data, bmp.size, &err))
        fail_msg("%s", err.message);
    assert_int_equal(p.width, W);
    assert_int_equal(p.height, H);
    assert_memory_equal(p.rgb, rgb, sizeof rgb);
    ml_decoded_picture_clear(&p);
    /* A part of it, a lie about its size, a list that names another file, nothing. */
    assert_int_equal(ml_media_picture(&p, bmp.data, 40, &err), ML_ERR_FORMAT);
    put_little((unsigned char *)bmp.data + 18, 60000, 4);
    put_little((unsigned char *)bmp.data + 22, 60000, 4);
    assert_int_not_equal(ml_media_picture(&p, bmp.data, bmp.size, &err), 0);
    assert_int_equal(ml_media_picture(&p, "#EXTM3U\nfile:///etc/passwd\n", 27, &err),
                     ML_ERR_FORMAT);
    assert_int_equal(ml_media_picture(&p, "", 0, &err), ML_ERR_FORMAT);
    assert_non_null(strstr(err.message, "cannot be decoded"));
    ml_buffer_clear(&bmp);
}

static void sounds(void **state)
{
    enum { N = 4000 };
    static int16_t samples[2 * N];
    struct ml_buffer wave = {0};
    struct ml_decoded_sound s = {0};
    struct ml_error err = {0};
    for (int i = 0; i < N; i++) {
        samples[2 * i] = (int16_t)(16000 * sin(i / 10.0));
        samples[2 * i + 1] = (int16_t)-i;
    }
    media_wave(&wave, samples, N, 2, 8000);
    if (ml_media_sound(&s, wave.data, wave.size, &err))
        fail_msg("%s", err.message);
    assert_int_equal(s.span.frames, N);
    assert_int_equal(s.span.channels, 2);
    assert_int_equal(s.span.rate, 8000);
    for (int i = 0; i < 2 * N; i++)
        assert_true(s.samples[i] == (float)samples[i] / 32768);
    ml_decoded_sound_clear(&s);
    assert_int_equal(ml_media_sound(&s, "not a sound", 11, &err), ML_ERR_FORMAT);
    ml_buffer_clear(&wave);
}

/* A list of films is none, though what it names is there and can be read. */
static void playlists(void **state)
{
    char folder[SCRATCH_PATH], path[SCRATCH_PATH + 16], list[2 * SCRATCH_PATH];
    static const int16_t silence[8000];
    struct ml_buffer wave = {0};
    struct ml_decoded_sound s = {0};
    struct ml_error err = {0};
    scratch_make(folder);
    media_wave(&wave, silence, 8000, 1, 8000);
    snprintf(path, sizeof path, "%s/a.wav", folder);
    assert_int_equal(ml_file_write(path, wave.data, wave.size, &err), 0);
    int n = snprintf(list, sizeof list,
                     "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://%s\n"
                     "#EXT-X-ENDLIST\n",
                     path);
    assert_int_equal(ml_media_sound(&s, list, (size_t)n, &err), ML_ERR_FORMAT);
    n = snprintf(list, sizeof list, "ffconcat version 1.0\nfile '%s'\n", path);
    assert_int_equal(ml_media_sound(&s, list, (size_t)n, &err), ML_ERR_FORMAT);
    ml_buffer_clear(&wave);
    scratch_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pictures), cmocka_unit_test(sounds),
                                       cmocka_unit_test(playlists)};
    if (!ml_media_can_decode())
        return 77; /* ffmpeg is not installed */
    return cmocka_run_group_tests_name("media_decode", tests, NULL, NULL);
}
