#include "data/media_probe.h"

#include <stdio.h>
#include <strings.h>

#include "base/fail.h"
#include "data/media_impl.h"
#include "data/readers.h"

/* One row a format: how its first bytes look ('?' stands for any) and who reads its header. */
static const struct format {
    const char *magic;
    size_t n;
    const char *kind, *type;
    ml_media_fn *probe;
} formats[] = {
    {"\x89PNG\r\n\x1a\n", 8, "image", "image/png", ml_media_png},
    {"\xFF\xD8\xFF", 3, "image", "image/jpeg", ml_media_jpeg},
    {"GIF87a", 6, "image", "image/gif", ml_media_gif},
    {"GIF89a", 6, "image", "image/gif", ml_media_gif},
    {"RIFF????WEBPVP8", 15, "image", "image/webp", ml_media_webp},
    {"BM????\0\0\0\0", 10, "image", "image/bmp", ml_media_bmp},
    {"II*\0", 4, "image", "image/tiff", ml_media_tiff},
    {"MM\0*", 4, "image", "image/tiff", ml_media_tiff},
    {"RIFF????WAVE", 12, "audio", "audio/wav", ml_media_wav},
    {"fLaC", 4, "audio", "audio/flac", ml_media_flac},
    {"OggS", 4, "audio", "audio/ogg", ml_media_ogg},
    {"????ftyp", 8, "video", "video/mp4", ml_media_mp4},
    {"????moov", 8, "video", "video/quicktime", ml_media_mp4},
    {"????wide", 8, "video", "video/quicktime", ml_media_mp4},
    {"\x1A\x45\xDF\xA3", 4, "video", "video/x-matroska", ml_media_matroska},
    {"ID3", 3, "audio", "audio/mpeg", ml_media_mp3},
    {"\xFF\xFB", 2, "audio", "audio/mpeg", ml_media_mp3},
    {"\xFF\xF3", 2, "audio", "audio/mpeg", ml_media_mp3},
    {"\xFF\xF2", 2, "audio", "audio/mpeg", ml_media_mp3},
    {"\xFF\xFA", 2, "audio", "audio/mpeg", ml_media_mp3},
};
#define N_FORMATS (sizeof formats / sizeof formats[0])

static bool fits(const struct format *format, struct ml_span file)
{
    bool same = file.n >= format->n;
    for (size_t i = 0; same && i < format->n; i++)
        same = format->magic[i] == '?' || file.data[i] == (uint8_t)format->magic[i];
    return same;
}

bool ml_looks_like_media(const char *bytes, size_t n)
{
    const struct ml_span file = {(const uint8_t *)bytes, n};
    for (size_t i = 0; i < N_FORMATS; i++)
        if (formats[i].n > 2 && fits(&formats[i], file)) /* two bytes prove nothing */
            return true;
    return false;
}

int ml_media_probe(struct ml_media *out, const char *uri, const void *bytes, size_t n,
                   struct ml_error *err)
{
    const struct ml_span file = {bytes, n};
    const char *why = "", *other = "";
    for (size_t i = 0; i < N_FORMATS; i++) {
        struct ml_media media = {.kind = formats[i].kind, .type = formats[i].type};
        if (!fits(&formats[i], file))
            continue;
        bool sound = formats[i].probe(file, &media, &why);
        if (!sound && formats[i].probe == ml_media_mp3 &&
            ml_media_flac(file, &media, &other)) { /* FLAC behind a tag of MP3 */
            media.type = "audio/flac";
            sound = true;
        }
        if (!sound)
            return ml_fail(err, ML_ERR_FORMAT, "%s: damaged (%s): %s", uri, formats[i].type, why);
        *out = media;
        return 0;
    }
    return ml_fail(err, ML_ERR_FORMAT, "%s: no picture, sound or film of a kind that is read", uri);
}

const char *ml_media_kind(const char *ending, size_t n)
{
    static const struct {
        const char *ending, *kind;
    } kinds[] = {
        {"png", "image"}, {"jpg", "image"}, {"jpeg", "image"}, {"gif", "image"},  {"webp", "image"},
        {"bmp", "image"}, {"tif", "image"}, {"tiff", "image"}, {"wav", "audio"},  {"flac", "audio"},
        {"mp3", "audio"}, {"ogg", "audio"}, {"oga", "audio"},  {"opus", "audio"}, {"m4a", "audio"},
        {"mp4", "video"}, {"m4v", "video"}, {"mov", "video"},  {"mkv", "video"},  {"webm", "video"},
        {"ogv", "video"}, {"mka", "audio"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strlen(kinds[i].ending) == n && strncasecmp(kinds[i].ending, ending, n) == 0)
            return kinds[i].kind;
    return NULL;
}

/* ---- as a reader ---- */

static void write_fields(const struct ml_media *m, char *out, size_t room)
{
    size_t at = 0;
    const char *between = "{";
    if (m->width && m->height) {
        at += (size_t)snprintf(out + at, room - at, "%s\"width\":%u,\"height\":%u", between,
                               m->width, m->height);
        between = ",";
    }
    if (m->seconds > 0 && m->seconds < 1e9) {
        /* In whole numbers: a locale may write its decimals with a comma. */
        unsigned long long ms = (unsigned long long)(m->seconds * 1000 + 0.5);
        at += (size_t)snprintf(out + at, room - at, "%s\"seconds\":%llu.%03llu", between, ms / 1000,
                               ms % 1000);
        between = ",";
    }
    if (m->rate && m->channels) {
        at += (size_t)snprintf(out + at, room - at, "%s\"rate\":%u,\"channels\":%u", between,
                               m->rate, m->channels);
        between = ",";
    }
    snprintf(out + at, room - at, "%s}", *between == '{' ? "{" : "");
}

static int read_media(const struct ml_reader_input *input, const struct ml_reader_limits *limits,
                      const struct ml_reader_sink *sink, struct ml_error *err)
{
    struct ml_media media;
    char fields[160];
    (void)limits;
    int status = ml_media_probe(&media, input->uri, input->bytes, input->size, err);
    if (status)
        return status;
    write_fields(&media, fields, sizeof fields);
    const struct ml_document document = {.kind = media.kind,
                                         .type = media.type,
                                         .bytes = input->bytes,
                                         .size = input->size,
                                         .meta = fields};
    return sink->document(sink->arg, &document, err);
}

const struct ml_reader ml_reader_media = {
    .name = "media 1",
    .endings = (const char *const[]){"png", "jpg",  "jpeg", "gif",  "webp", "bmp",  "tif", "tiff",
                                     "wav", "flac", "mp3",  "ogg",  "oga",  "opus", "m4a", "mp4",
                                     "m4v", "mov",  "mkv",  "webm", "ogv",  "mka",  NULL},
    .types =
        (const char *const[]){"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp",
                              "image/tiff", "audio/wav", "audio/x-wav", "audio/flac", "audio/mpeg",
                              "audio/ogg", "audio/opus", "audio/mp4", "video/mp4", "video/ogg",
                              "video/quicktime", "video/webm", "video/x-matroska", NULL},
    .read = read_media,
};
