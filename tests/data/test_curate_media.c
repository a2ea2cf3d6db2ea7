/* Curating pictures and sound (data/curate_media.c). */
#include "data_material.h"

#include <math.h>

#include "base/rng.h"
#include "base/threads.h"
#include "data/curation.h"
#include "data/media_decode.h"
#include "media_bmp.h"

enum { SIDE = 128, RATE = 8000 };

static struct material m;

static int set_up(void **state)
{
    material_make(&m);
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(m.root);
    return 0;
}

/* Checks of different sizes and grey values, so that pictures differ in shape. */
static void picture(const char *name, int side, int cell, int low, int high)
{
    struct ml_buffer bmp = {0};
    unsigned char *rgb = malloc((size_t)side * (size_t)side * 3);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            memset(rgb + 3 * (y * side + x),
                   (x * SIDE / side / cell + y * SIDE / side / (cell + 5)) % 2 ? low : high, 3);
    media_bmp(&bmp, rgb, side, side);
    material_put(&m, name, bmp.data, bmp.size);
    ml_buffer_clear(&bmp);
    free(rgb);
}

/* Tones that come and go, others for each `which`. */
static void song(const char *name, int which, double seconds, double gain)
{
    struct ml_buffer wave = {0};
    struct ml_rng rng;
    int n = (int)(seconds * RATE);
    int16_t *samples = malloc((size_t)n * sizeof *samples);
    double step = 0, phase = 0;
    ml_rng_init(&rng, 4, (uint64_t)which);
    for (int i = 0; i < n; i++) {
        if (i % 800 == 0)
            step = 0.3 + 0.9 * ml_rng_double(&rng);
        phase += step;
        double v = 32767 * gain * (sin(phase) + 0.3 * sin(1.7 * phase)) * (i / 1000 % 3 ? 1 : 0.01);
        samples[i] = (int16_t)(v > 32767 ? 32767 : v < -32767 ? -32767 : v);
    }
    media_wave(&wave, samples, n, 1, RATE);
    material_put(&m, name, wave.data, wave.size);
    ml_buffer_clear(&wave);
    free(samples);
}

static void sound(const char *name, double seconds, double gain)
{
    song(name, 1, seconds, gain);
}

static const char recipe[] = "input: raw\n"
                             "output: clean\n"
                             "steps:\n"
                             "  - picture_quality: {least_side: 32}\n"
                             "  - picture_duplicates:\n"
                             "  - sound_quality: {least_seconds: 1}\n"
                             "  - sound_duplicates:\n";

static void why_of(const struct ml_curate_report *r, int step, const char *why, int64_t count)
{
    for (int i = 0; i < r->steps[step].reason_count; i++)
        if (strcmp(r->steps[step].reasons[i].why, why) == 0) {
            assert_int_equal(r->steps[step].reasons[i].count, count);
            return;
        }
    fail_msg("nothing was dropped as %s", why);
}

static void pictures_and_sound(void **state)
{
    struct ml_curate_report report;
    struct ml_collect_report collected;
    struct ml_curate_recipe *parsed = NULL;
    struct ml_dataset dataset;
    struct ml_pool *pool = NULL;
    struct ml_arena arena;
    struct ml_error err = {0};
    const char *const paths[] = {m.folder};
    picture("a.bmp", SIDE, 16, 40, 200);
    picture("a-large.bmp", 2 * SIDE, 16, 60, 220); /* the same, larger and brighter */
    picture("b.bmp", SIDE, 37, 40, 200);
    picture("dark.bmp", SIDE, 16, 0, 9);
    picture("bright.bmp", SIDE, 16, 250, 255);
    picture("plain.bmp", SIDE, 16, 100, 102);
    picture("small.bmp", 16, 16, 40, 200);
    sound("good.wav", 4, 0.5);
    sound("good-softer.wav", 4, 0.2); /* the same */
    song("other.wav", 2, 4, 0.5);
    sound("short.wav", 0.3, 0.5);
    sound("quiet.wav", 2, 0.007);
    sound("clipped.wav", 2, 3);
    material_text(&m, "words.txt", "a text passes through");
    struct ml_workspace *ws = material_workspace(&m);
    assert_ok(ml_collect(ws, paths, 1, NULL, &collected, &err), err);
    assert_ok(ml_collect_dataset(ws, "raw", paths, 1, &dataset, NULL, &err), err);
    ml_arena_init(&arena, 0);
    assert_ok(ml_curate_recipe_parse(&parsed, &arena, recipe, strlen(recipe), "r.yaml", &err), err);
    assert_ok(ml_pool_new(&pool, 3, &err), err);
    for (int threads = 0; threads < 2; threads++) {
        const struct ml_curate_options options = {.dry_run = threads == 0,
                                                  .pool = threads ? pool : NULL};
        assert_ok(ml_curate(ws, parsed, &options, &report, &err), err);
        assert_int_equal(report.records, 14);
        why_of(&report, 0, "too dark", 1);
        why_of(&report, 0, "too bright", 1);
        why_of(&report, 0, "almost one colour", 1);
        why_of(&report, 0, "too small", 1);
        why_of(&report, 1, "nearly an earlier one", 1);
        why_of(&report, 2, "too short", 1);
        why_of(&report, 2, "too quiet", 1);
        why_of(&report, 2, "clipped", 1);
        why_of(&report, 3, "nearly an earlier one", 1);
        assert_int_equal(report.kept, 5);
    }
    ml_pool_free(pool);
    ml_arena_clear(&arena);
    ml_workspace_close(ws);
}

/* A picture and its enlargement go to the same split. */
static void splits_of_pictures(void **state)
{
    static const char split[] = "input: raw\noutput: parts\nsteps:\n  - split: {validation: 0.5}\n";
    struct ml_curate_report report;
    struct ml_collect_report collected;
    struct ml_curate_recipe *parsed = NULL;
    struct ml_dataset dataset;
    struct ml_arena arena;
    struct ml_error err = {0};
    const char *const paths[] = {m.folder};
    static const int cells[] = {13, 16, 21, 29, 37, 50};
    for (int i = 0; i < 6; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d.bmp", i);
        picture(name, SIDE, cells[i], 40, 200);
        snprintf(name, sizeof name, "%d-large.bmp", i);
        picture(name, 2 * SIDE, cells[i], 60, 220);
    }
    material_text(&m, "broken.bmp", "BM, but no picture");
    struct ml_workspace *ws = material_workspace(&m);
    assert_ok(ml_collect(ws, paths, 1, NULL, &collected, &err), err);
    assert_ok(ml_collect_dataset(ws, "raw", paths, 1, &dataset, NULL, &err), err);
    ml_arena_init(&arena, 0);
    assert_ok(ml_curate_recipe_parse(&parsed, &arena, split, strlen(split), "r.yaml", &err), err);
    assert_ok(ml_curate(ws, parsed, NULL, &report, &err), err);
    assert_int_equal(report.records, 12);
    assert_int_equal(report.split[0], 6);
    assert_int_equal(report.split[1], 6);
    /* "0.bmp" and "0-large.bmp" share their first byte. */
    int seen[6] = {0};
    struct ml_record_cursor *cursor;
    struct ml_record record;
    const struct ml_record_filter filter = {.dataset = report.validation.id};
    assert_ok(ml_records_open(&cursor, ws, &filter, &err), err);
    while (ml_records_next(cursor, &record, &err) == 1)
        seen[record.title[0] - '0']++;
    ml_records_close(cursor);
    for (int i = 0; i < 6; i++)
        assert_true(seen[i] == 0 || seen[i] == 2);
    ml_arena_clear(&arena);
    ml_workspace_close(ws);
}

/* Three times four seconds with a second of silence between: three records, each a file of its
 * own, all in one split; a picture and a text pass through. */
static void sound_in_pieces(void **state)
{
    static const char cut[] = "input: raw\noutput: cut\nsteps:\n  - sound_split:\n  - split:\n";
    enum { PART = 4 * RATE, N = 3 * PART + 2 * RATE };
    static int16_t samples[N];
    struct ml_curate_report report;
    struct ml_collect_report collected;
    struct ml_curate_recipe *parsed = NULL;
    struct ml_dataset dataset;
    struct ml_arena arena;
    struct ml_buffer wave = {0};
    struct ml_error err = {0};
    const char *const paths[] = {m.folder};
    for (int i = 0; i < N; i++)
        samples[i] =
            (int16_t)(i % (PART + RATE) < PART ? 9000 * sin(i * (0.2 + 0.1 * (i / (PART + RATE))))
                                               : 0);
    media_wave(&wave, samples, N, 1, RATE);
    material_put(&m, "talk.wav", wave.data, wave.size);
    material_text(&m, "talk.txt", "what is said in all of it");
    picture("a.bmp", SIDE, 16, 40, 200);
    sound("short.wav", 1, 0.5);
    struct ml_workspace *ws = material_workspace(&m);
    assert_ok(ml_collect(ws, paths, 1, NULL, &collected, &err), err);
    assert_ok(ml_collect_dataset(ws, "raw", paths, 1, &dataset, NULL, &err), err);
    ml_arena_init(&arena, 0);
    assert_ok(ml_curate_recipe_parse(&parsed, &arena, cut, strlen(cut), "r.yaml", &err), err);
    assert_ok(ml_curate(ws, parsed, NULL, &report, &err), err);
    assert_int_equal(report.records, 3);
    assert_int_equal(report.kept, 4);
    why_of(&report, 0, "no piece is long enough", 1);
    assert_int_equal(report.steps[0].changed, 1);
    int pieces = 0;
    struct ml_record_cursor *cursor;
    struct ml_record record;
    assert_ok(ml_records_open(&cursor, ws, &(struct ml_record_filter){.kind = "audio"}, &err), err);
    while (ml_records_next(cursor, &record, &err) == 1) {
        struct ml_blob_view view = {0};
        struct ml_decoded_sound piece = {0};
        const char *bytes;
        size_t n;
        if (strncmp(record.source, "curate:", 7) != 0)
            continue;
        assert_ok(ml_records_read(ws, &record, &view, &bytes, &n, &err), err);
        assert_ok(ml_media_sound(&piece, bytes, n, &err), err);
        double seconds = (double)piece.span.frames / piece.span.rate;
        assert_true(fabs(seconds - 4.75) < 0.3);
        size_t first = (size_t)(pieces == 0 ? 0 : pieces * 5 * RATE - RATE / 2);
        assert_true(fabs((double)piece.samples[RATE] * 32768 - samples[first + RATE]) < 600);
        assert_non_null(strstr(record.lineage, "\"op\":\"sound_split\""));
        assert_non_null(strstr(record.lineage, "\"start\":"));
        char said[40];
        snprintf(said, sizeof said, "\"seconds\":%.3f", seconds);
        assert_non_null(strstr(record.meta, said));
        assert_null(strstr(record.meta, "what is said"));
        ml_decoded_sound_clear(&piece);
        ml_blob_view_clear(&view);
        pieces++;
    }
    ml_records_close(cursor);
    assert_int_equal(pieces, 3);
    assert_ok(ml_curate(ws, parsed, NULL, &report, &err), err); /* again: the same */
    assert_int_equal(report.kept, 4);
    assert_int_equal(report.output.version, 1);
    ml_buffer_clear(&wave);
    ml_arena_clear(&arena);
    ml_workspace_close(ws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pictures_and_sound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(splits_of_pictures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sound_in_pieces, set_up, tear_down)};
    if (!ml_media_can_decode())
        return 77; /* ffmpeg is not installed */
    return cmocka_run_group_tests_name("curate_media", tests, NULL, NULL);
}
