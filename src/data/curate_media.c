/* Steps that look at pictures and listen to sound. Each leaves records of other kinds alone. */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "data/curate_parse.h"
#include "data/media_decode.h"

#define ALIKE 8 /* bits in which pictures that are nearly the same differ at most */

/* ---- options: a table for each step, in the order of step->limits ---- */

struct limit {
    const char *name;
    double normal;
    struct ml_curate_range range;
};

enum { SIDE, SHARPNESS, CONTRAST, DARK, BRIGHT, PICTURE_LIMITS };
static const struct limit picture_limits[PICTURE_LIMITS] = {
    {"least_side", 64, {1, 65535}},                        /* pixels */
    {"sharpness", 30, {0, 1e6}},                           /* variance of the Laplacian */
    {"contrast", 0.02, {0, 1}},     {"dark", 0.9, {0, 1}}, /* the most */
    {"bright", 0.9, {0, 1}},
};
const char *const ml_curate_picture_options[] = {"least_side", "sharpness", "contrast",
                                                 "dark",       "bright",    NULL};

enum { LEAST_SECONDS, MOST_SECONDS, LEVEL, SNR, SILENCE, CLIPPED, SOUND_LIMITS };
static const struct limit sound_limits[SOUND_LIMITS] = {
    {"least_seconds", 0.5, {0, 1e6}}, {"most_seconds", 1e6, {0, 1e6}},
    {"level", -45, {-100, 0}},        {"snr", 0, {0, 100}},
    {"silence", 0.9, {0, 1}},         {"clipped", 0.01, {0, 1}},
};
const char *const ml_curate_sound_options[] = {"least_seconds", "most_seconds", "level", "snr",
                                               "silence",       "clipped",      NULL};
enum { FILM_LEAST, FILM_MOST, BLACK, FROZEN, MOTION, CUTS, FILM_LIMITS };
static const struct limit film_limits[FILM_LIMITS] = {
    {"least_seconds", 1, {0, ML_MEDIA_FILM_SECONDS - 1}},
    /* behind that nothing is looked at */
    {"most_seconds", 1e6, {0, ML_MEDIA_FILM_SECONDS - 1}},
    {"black", 0.5, {0, 1}},
    {"frozen", 0.9, {0, 1}},
    {"motion", 0, {0, 1}},   /* the least */
    {"cuts", 1e6, {0, 1e6}}, /* a minute */
};
const char *const ml_curate_film_options[] = {"least_seconds", "most_seconds", "black", "frozen",
                                              "motion",        "cuts",         NULL};
enum { CUT_LEAST, CUT_MOST, CUT_SILENCE, CUT_LEAST_SILENCE, CUT_LIMITS };
static const struct limit cut_limits[CUT_LIMITS] = {
    {"least_seconds", 3, {0.1, 3600}},
    {"most_seconds", 30, {0.2, 3600}},
    {"silence", 0, {-100, 0}}, /* dB; 0: by the sound itself */
    {"least_silence", 0.3, {0.02, 60}},
};
const char *const ml_curate_cut_options[] = {"least_seconds", "most_seconds", "silence",
                                             "least_silence", NULL};
const char *const ml_curate_alike_options[] = {"distance", NULL};

static int parse_limits(struct ml_curate_step *s, const struct ml_yaml *map, const char *file,
                        const struct limit *limits, int count, struct ml_error *err)
{
    int status = 0;
    for (int i = 0; i < count && status == 0; i++) {
        s->limits[i] = limits[i].normal;
        status = ml_curate_number(map, limits[i].name, file, &limits[i].range, &s->limits[i], err);
    }
    return status;
}

int ml_curate_parse_picture(struct ml_curate_step *s, const struct ml_yaml *map, const char *file,
                            struct ml_error *err)
{
    return parse_limits(s, map, file, picture_limits, PICTURE_LIMITS, err);
}

int ml_curate_parse_sound(struct ml_curate_step *s, const struct ml_yaml *map, const char *file,
                          struct ml_error *err)
{
    return parse_limits(s, map, file, sound_limits, SOUND_LIMITS, err);
}

int ml_curate_parse_film(struct ml_curate_step *s, const struct ml_yaml *map, const char *file,
                         struct ml_error *err)
{
    return parse_limits(s, map, file, film_limits, FILM_LIMITS, err);
}

int ml_curate_parse_cut(struct ml_curate_step *s, const struct ml_yaml *map, const char *file,
                        struct ml_error *err)
{
    int status = parse_limits(s, map, file, cut_limits, CUT_LIMITS, err);
    if (status == 0 && s->limits[CUT_MOST] < 2 * s->limits[CUT_LEAST])
        status = ml_curate_fail(map, file, err,
                                "most_seconds is twice least_seconds or more, so that what is too "
                                "long can be cut");
    return status;
}

int ml_curate_parse_alike(struct ml_curate_step *s, const struct ml_yaml *map, const char *file,
                          struct ml_error *err)
{
    static const struct limit distance = {"distance", ALIKE, {0, 20}};
    return parse_limits(s, map, file, &distance, 1, err);
}

int ml_curate_begin_media(struct ml_curate_run *run, const struct ml_curate_step *step,
                          struct ml_error *err)
{
    if (ml_media_can_decode())
        return 0;
    return ml_fail(err, ML_ERR_UNSUPPORTED,
                   "%s: pictures and sound are measured by ffmpeg; install the package ffmpeg",
                   step->kind->name);
}

/* ---- reading ---- */

/* A workspace is read by one thread at a time; what was mapped stays. */
static int read_bytes(struct ml_curate_run *run, const struct ml_curate_item *item,
                      struct ml_blob_view *view, const char **bytes, size_t *n,
                      struct ml_error *err)
{
    pthread_mutex_lock(&run->reading);
    int status = ml_records_read(run->workspace, &item->record, view, bytes, n, err);
    pthread_mutex_unlock(&run->reading);
    return status;
}

/* The file's own fault; other failures are failures. */
static bool is_undecodable(int status)
{
    return status == ML_ERR_FORMAT || status == ML_ERR_LIMIT;
}

static void drop_undecoded(struct ml_curate_item *item, int step, int status)
{
    ml_curate_drop(item, step,
                   status == ML_ERR_LIMIT ? "too large to be decoded" : "cannot be decoded", 0);
}

/* After decoding: the record goes, or all of it fails. */
static int end_undecoded(struct ml_curate_item *item, int step, int status,
                         const struct ml_error *why, struct ml_error *err)
{
    if (!is_undecodable(status))
        return ml_fail(err, status, "%s: %s", item->record.source, why->message);
    drop_undecoded(item, step, status);
    return 0;
}

static int measure_picture(struct ml_curate_item *item, const char *bytes, size_t n,
                           struct ml_error *err)
{
    struct ml_decoded_picture p = {.rgb = NULL};
    int status = ml_media_picture(&p, bytes, n, err);
    if (status == 0)
        status = ml_picture_measure(&item->picture, p.rgb, p.width, p.height, err);
    if (status == 0)
        status = ml_picture_hash(&item->picture_hash, p.rgb, p.width, p.height, err);
    ml_decoded_picture_clear(&p);
    item->has_hash = status == 0;
    return status == ML_PICTURE_HASH_NONE ? 0 : status;
}

/* Once for all steps; item->undecoded says what was wrong with it. */
static int look_at_picture(struct ml_curate_run *run, struct ml_curate_item *item,
                           struct ml_error *err)
{
    struct ml_blob_view view = {0};
    struct ml_error why = {0};
    const char *bytes;
    size_t n;
    if (item->was_decoded)
        return 0;
    int status = read_bytes(run, item, &view, &bytes, &n, err);
    if (status)
        return status;
    status = measure_picture(item, bytes, n, &why);
    ml_blob_view_clear(&view);
    item->was_decoded = true;
    if (status != 0 && !is_undecodable(status))
        return ml_fail(err, status, "%s: %s", item->record.source, why.message);
    item->undecoded = status;
    return 0;
}

static int decode_picture(struct ml_curate_run *run, int step, struct ml_curate_item *item,
                          struct ml_error *err)
{
    int status = look_at_picture(run, item, err);
    if (status == 0 && item->undecoded)
        drop_undecoded(item, step, item->undecoded);
    return status;
}

/* ---- the steps ---- */

int ml_curate_each_picture(struct ml_curate_run *run, struct ml_curate_worker *w, int step,
                           struct ml_curate_item *item, struct ml_error *err)
{
    const double *limits = ml_curate_step_at(run, step)->limits;
    const struct ml_picture_facts *f = &item->picture;
    if (strcmp(item->record.kind, "image") != 0)
        return 0;
    int status = decode_picture(run, step, item, err);
    if (status || item->dropped_at >= 0)
        return status;
    int side = f->width < f->height ? f->width : f->height;
    if (side < limits[SIDE])
        ml_curate_drop(item, step, "too small", side);
    else if (f->dark > limits[DARK])
        ml_curate_drop(item, step, "too dark", f->dark);
    else if (f->bright > limits[BRIGHT])
        ml_curate_drop(item, step, "too bright", f->bright);
    else if (f->contrast < limits[CONTRAST])
        ml_curate_drop(item, step, "almost one colour", f->contrast);
    else if (f->sharpness < limits[SHARPNESS])
        ml_curate_drop(item, step, "blurred", f->sharpness);
    return 0;
}

static void judge_sound(struct ml_curate_item *item, int step, const double *limits,
                        const struct ml_sound_facts *f)
{
    if (f->seconds < limits[LEAST_SECONDS])
        ml_curate_drop(item, step, "too short", f->seconds);
    else if (f->seconds > limits[MOST_SECONDS])
        ml_curate_drop(item, step, "too long", f->seconds);
    else if (f->silence_share > limits[SILENCE])
        ml_curate_drop(item, step, "almost silent", f->silence_share);
    else if (f->level_db < limits[LEVEL])
        ml_curate_drop(item, step, "too quiet", f->level_db);
    else if (f->clipped_share > limits[CLIPPED])
        ml_curate_drop(item, step, "clipped", f->clipped_share);
    else if (f->snr_db < limits[SNR])
        ml_curate_drop(item, step, "noisy", f->snr_db);
}

/* item->undecoded, and nothing in *sound, when that is the file's own fault. */
static int decode_sound(struct ml_curate_run *run, struct ml_curate_item *item,
                        struct ml_decoded_sound *sound, struct ml_error *why, struct ml_error *err)
{
    struct ml_blob_view view = {0};
    const char *bytes;
    size_t n;
    int status = read_bytes(run, item, &view, &bytes, &n, err);
    if (status)
        return status;
    status = ml_media_sound(sound, bytes, n, why);
    ml_blob_view_clear(&view);
    if (status != 0 && !is_undecodable(status))
        return ml_fail(err, status, "%s: %s", item->record.source, why->message);
    item->undecoded = status;
    return 0;
}

int ml_curate_each_sound(struct ml_curate_run *run, struct ml_curate_worker *w, int step,
                         struct ml_curate_item *item, struct ml_error *err)
{
    struct ml_decoded_sound sound = {0};
    struct ml_sound_facts facts;
    struct ml_error why = {0};
    if (strcmp(item->record.kind, "audio") != 0)
        return 0;
    int status = decode_sound(run, item, &sound, &why, err);
    if (status)
        return status;
    if (item->undecoded) {
        drop_undecoded(item, step, item->undecoded);
        return 0;
    }
    status = ml_sound_measure(&facts, sound.samples, sound.span.frames, sound.span.channels,
                              sound.span.rate, err);
    ml_decoded_sound_clear(&sound);
    if (status == 0)
        judge_sound(item, step, ml_curate_step_at(run, step)->limits, &facts);
    return status;
}

/* Where it is to be cut; the pieces are written with the batch (curate_write.c). */
int ml_curate_each_cut(struct ml_curate_run *run, struct ml_curate_worker *w, int step,
                       struct ml_curate_item *item, struct ml_error *err)
{
    const double *limits = ml_curate_step_at(run, step)->limits;
    const struct ml_sound_split_options how = {.least = limits[CUT_LEAST],
                                               .most = limits[CUT_MOST],
                                               .silence_db = limits[CUT_SILENCE],
                                               .least_silence = limits[CUT_LEAST_SILENCE]};
    struct ml_decoded_sound sound = {0};
    struct ml_error why = {0};
    if (strcmp(item->record.kind, "audio") != 0)
        return 0;
    int status = decode_sound(run, item, &sound, &why, err);
    if (status)
        return status;
    if (item->undecoded) {
        drop_undecoded(item, step, item->undecoded);
        return 0;
    }
    ml_sound_pieces_clear(&item->pieces);
    status = ml_sound_split(&item->pieces, &sound.span, &how, err);
    ml_decoded_sound_clear(&sound);
    if (status == 0 && item->pieces.count == 0)
        ml_curate_drop(item, step, "no piece is long enough", 0);
    else
        item->touched |= (uint64_t)1 << step;
    return status;
}

/* Once for all steps. One that is too long for a print is like no other. */
static int print_sound(struct ml_curate_run *run, struct ml_curate_item *item, struct ml_error *err)
{
    struct ml_decoded_sound sound = {0};
    struct ml_error why = {0};
    if (item->was_decoded)
        return 0;
    int status = decode_sound(run, item, &sound, &why, err);
    item->was_decoded = true;
    if (status || item->undecoded)
        return status;
    status = ml_sound_print(&item->print, &sound.span, &why);
    ml_decoded_sound_clear(&sound);
    return status == 0 || status == ML_ERR_LIMIT ? 0 : ml_fail(err, status, "%s", why.message);
}

int ml_curate_each_print(struct ml_curate_run *run, struct ml_curate_worker *w, int step,
                         struct ml_curate_item *item, struct ml_error *err)
{
    if (strcmp(item->record.kind, "audio") != 0)
        return 0;
    int status = print_sound(run, item, err);
    if (status == 0 && item->undecoded)
        drop_undecoded(item, step, item->undecoded);
    return status;
}

int ml_curate_join_print(struct ml_curate_run *run, int step, struct ml_curate_item *item,
                         struct ml_error *err)
{
    struct ml_print_match match = {.id = 0};
    bool found = false;
    if (item->print.loud == 0)
        return 0;
    int status = ml_print_index_find(&run->sounds, &item->print, NULL, &match, &found, err);
    if (status == 0 && found)
        ml_curate_drop(item, step, "nearly an earlier one", match.errors);
    else if (status == 0)
        status = ml_print_index_add(&run->sounds, &item->print, item->record.id, err);
    return status;
}

static void judge_film(struct ml_curate_item *item, int step, const double *limits,
                       const struct ml_film_facts *f)
{
    double cuts = (double)f->cuts * 60 / f->seconds;
    if (f->seconds < limits[FILM_LEAST])
        ml_curate_drop(item, step, "too short", f->seconds);
    else if (f->seconds > limits[FILM_MOST])
        ml_curate_drop(item, step, "too long", f->seconds);
    else if (f->black > limits[BLACK])
        ml_curate_drop(item, step, "mostly black", f->black);
    else if (f->frozen > limits[FROZEN])
        ml_curate_drop(item, step, "stands still", f->frozen);
    else if (f->motion < limits[MOTION])
        ml_curate_drop(item, step, "little moves", f->motion);
    else if (cuts > limits[CUTS])
        ml_curate_drop(item, step, "too many cuts", cuts);
}

int ml_curate_each_film(struct ml_curate_run *run, struct ml_curate_worker *w, int step,
                        struct ml_curate_item *item, struct ml_error *err)
{
    struct ml_blob_view view = {0};
    struct ml_decoded_film film = {.frames = {.count = 0}};
    struct ml_film_facts facts;
    struct ml_error why = {0};
    const char *bytes;
    size_t n;
    if (strcmp(item->record.kind, "video") != 0)
        return 0;
    int status = read_bytes(run, item, &view, &bytes, &n, err);
    if (status)
        return status;
    status = ml_media_film(&film, bytes, n, &why);
    ml_blob_view_clear(&view);
    if (status == 0)
        status = ml_film_measure(&facts, &film.frames, &why);
    ml_decoded_film_clear(&film);
    if (status)
        return end_undecoded(item, step, status, &why, err);
    judge_film(item, step, ml_curate_step_at(run, step)->limits, &facts);
    return 0;
}

int ml_curate_each_alike(struct ml_curate_run *run, struct ml_curate_worker *w, int step,
                         struct ml_curate_item *item, struct ml_error *err)
{
    return strcmp(item->record.kind, "image") == 0 ? decode_picture(run, step, item, err) : 0;
}

int ml_curate_join_alike(struct ml_curate_run *run, int step, struct ml_curate_item *item,
                         struct ml_error *err)
{
    int radius = (int)ml_curate_step_at(run, step)->limits[0], distance = 0;
    int64_t earlier;
    if (!item->has_hash)
        return 0;
    if (!ml_hash_index_find(&run->pictures, item->picture_hash, radius, &earlier, &distance))
        return ml_hash_index_add(&run->pictures, item->picture_hash, item->record.id, err);
    ml_curate_drop(item, step, "nearly an earlier one", distance);
    return 0;
}

/* ---- for split ---- */

int ml_curate_look(struct ml_curate_run *run, struct ml_curate_item *item, struct ml_error *err)
{
    if (!ml_media_can_decode())
        return 0;
    if (strcmp(item->record.kind, "image") == 0)
        return look_at_picture(run, item, err);
    return strcmp(item->record.kind, "audio") == 0 ? print_sound(run, item, err) : 0;
}

int ml_curate_media_splits(const struct ml_curate_run *run, const struct ml_curate_item *item,
                           unsigned *splits, struct ml_error *err)
{
    int64_t id;
    int status = 0;
    for (int i = 0; i < 3 && status == 0; i++) {
        struct ml_print_match match;
        bool found = item->has_hash && ml_hash_index_find(&run->split_pictures[i],
                                                          item->picture_hash, ALIKE, &id, NULL);
        if (item->print.loud > 0)
            status =
                ml_print_index_find(&run->split_sounds[i], &item->print, NULL, &match, &found, err);
        *splits |= status == 0 && found ? 1u << i : 0;
    }
    return status;
}

int ml_curate_media_joins(struct ml_curate_run *run, const struct ml_curate_item *item,
                          struct ml_error *err)
{
    if (item->has_hash)
        return ml_hash_index_add(&run->split_pictures[item->split], item->picture_hash,
                                 item->record.id, err);
    return ml_print_index_add(&run->split_sounds[item->split], &item->print, item->record.id, err);
}
