/* Headers of films: boxes of MP4 and MOV (ISO 14496-12), elements of Matroska and WebM (RFC 9559).
 * See data/media_probe.h. */
#include "data/media_impl.h"

/* ---- MP4 ---- */

/* The next box of `all` at *at, and its content. False at the end, or where the sizes break. */
static bool next_box(struct ml_span all, uint64_t *at, char name[4], struct ml_span *content)
{
    uint64_t size = ml_span_be(all, (size_t)*at, 4), head = 8, left = all.n - *at;
    if (*at >= all.n || left < 8)
        return false;
    memcpy(name, all.data + *at + 4, 4);
    if (size == 1) {
        size = ml_span_be(all, (size_t)*at + 8, 8);
        head = 16;
    } else if (size == 0) {
        size = left;
    }
    if (size < head || left < head)
        return false;
    *content = ml_span_part(all, *at + head, size - head);
    *at = size > left ? all.n : *at + size; /* the last one may be cut off */
    return true;
}

static struct ml_span find_box(struct ml_span all, const char *wanted)
{
    uint64_t at = 0;
    char name[4];
    struct ml_span content;
    while (next_box(all, &at, name, &content))
        if (memcmp(name, wanted, 4) == 0)
            return content;
    return (struct ml_span){all.data, 0};
}

static void read_track(struct ml_span track, struct ml_media *out, bool *picture, bool *sound)
{
    struct ml_span head = find_box(track, "tkhd"), media = find_box(track, "mdia");
    struct ml_span handler = find_box(media, "hdlr");
    size_t size_at = ml_span_u8(head, 0) == 1 ? 88 : 76;
    if (ml_span_is(handler, 8, "vide", 4)) {
        uint32_t width = (uint32_t)ml_span_be(head, size_at, 2);
        uint32_t height = (uint32_t)ml_span_be(head, size_at + 4, 2);
        if (!*picture && width > 0 && height > 0) {
            out->width = width;
            out->height = height;
        }
        *picture = true;
    } else if (ml_span_is(handler, 8, "soun", 4)) {
        struct ml_span entry = find_box(find_box(find_box(media, "minf"), "stbl"), "stsd");
        if (!*sound) {
            out->channels = (uint32_t)ml_span_be(entry, 8 + 24, 2);
            out->rate = (uint32_t)ml_span_be(entry, 8 + 32, 2);
        }
        *sound = true;
    }
}

bool ml_media_mp4(struct ml_span file, struct ml_media *out, const char **why)
{
    struct ml_span movie = find_box(file, "moov"), head = find_box(movie, "mvhd"), track;
    bool picture = false, sound = false, wide = ml_span_u8(head, 0) == 1;
    uint64_t at = 0, scale = ml_span_be(head, wide ? 20 : 12, 4);
    uint64_t length = ml_span_be(head, wide ? 24 : 16, wide ? 8 : 4);
    char name[4];
    while (next_box(movie, &at, name, &track))
        if (memcmp(name, "trak", 4) == 0)
            read_track(track, out, &picture, &sound);
    *why = movie.n ? "there is neither picture nor sound in it"
                   : "it is cut off: its table of contents (moov) is missing";
    if (!picture && !sound)
        return false;
    if (scale > 0 && length != UINT32_MAX && length != UINT64_MAX)
        out->seconds = (double)length / (double)scale;
    if (ml_span_is(file, 8, "qt  ", 4))
        out->type = "video/quicktime";
    if (!picture) {
        out->kind = "audio";
        out->type = "audio/mp4";
    }
    return true;
}

/* ---- Matroska ---- */

/* A number whose first byte tells its length. With keep the mark stays in it (names of elements).
 * 0 bytes: none is there. */
static int read_number(struct ml_span s, uint64_t at, bool keep, uint64_t *out)
{
    uint32_t first = ml_span_u8(s, (size_t)at);
    int bytes = 1;
    while (bytes <= 8 && !(first & 0x80u >> (bytes - 1)))
        bytes++;
    if (bytes > 8 || at + (uint64_t)bytes > s.n)
        return 0;
    *out = ml_span_be(s, (size_t)at, bytes);
    if (!keep)
        *out &= ((uint64_t)1 << (7 * bytes)) - 1;
    return bytes;
}

/* The next element; one of unknown length goes to the end of what it lies in. */
static bool next_element(struct ml_span all, uint64_t *at, uint64_t *name, struct ml_span *content)
{
    uint64_t size;
    int head = read_number(all, *at, true, name);
    int more = head ? read_number(all, *at + (uint64_t)head, false, &size) : 0;
    if (!head || !more)
        return false;
    uint64_t from = *at + (uint64_t)(head + more);
    if (size == ((uint64_t)1 << (7 * more)) - 1)
        size = all.n - from;
    *content = ml_span_part(all, from, size);
    *at = size > all.n - from ? all.n : from + size;
    return true;
}

static uint64_t whole_of(struct ml_span content)
{
    return content.n <= 8 ? ml_span_be(content, 0, (int)content.n) : 0;
}

static double real_of(struct ml_span content)
{
    uint32_t narrow = (uint32_t)ml_span_be(content, 0, 4);
    uint64_t wide = ml_span_be(content, 0, 8);
    float single;
    double value = 0;
    if (content.n == 4) {
        memcpy(&single, &narrow, sizeof single);
        value = single;
    } else if (content.n == 8) {
        memcpy(&value, &wide, sizeof value);
    }
    return value > 0 && value < 1e18 ? value : 0; /* NaN and nonsense: not told */
}

static void read_settings(struct ml_span settings, struct ml_media *out)
{
    uint64_t at = 0, name;
    struct ml_span content;
    while (next_element(settings, &at, &name, &content)) {
        uint64_t value = whole_of(content);
        uint32_t small = value <= UINT32_MAX ? (uint32_t)value : 0;
        double rate = real_of(content);
        if (name == 0xB0)
            out->width = small;
        else if (name == 0xBA)
            out->height = small;
        else if (name == 0x9F)
            out->channels = small;
        else if (name == 0xB5)
            out->rate = rate < 1e9 ? (uint32_t)rate : 0;
    }
}

static void read_entry(struct ml_span entry, struct ml_media *out, bool *picture, bool *sound)
{
    uint64_t at = 0, name, form = 0;
    struct ml_span content;
    while (next_element(entry, &at, &name, &content)) {
        if (name == 0x83)
            form = whole_of(content);
        if ((name == 0xE0 && !*picture) || (name == 0xE1 && !*sound))
            read_settings(content, out);
    }
    *picture = *picture || form == 1;
    *sound = *sound || form == 2;
}

static void read_info(struct ml_span info, struct ml_media *out)
{
    uint64_t at = 0, name, scale = 1000000; /* nanoseconds */
    double length = 0;
    struct ml_span content;
    while (next_element(info, &at, &name, &content)) {
        if (name == 0x2AD7B1)
            scale = whole_of(content);
        else if (name == 0x4489)
            length = real_of(content);
    }
    out->seconds = length * (double)scale / 1e9;
}

static bool says_webm(struct ml_span header)
{
    uint64_t at = 0, name;
    struct ml_span content;
    while (next_element(header, &at, &name, &content))
        if (name == 0x4282)
            return ml_span_is(content, 0, "webm", 4);
    return false;
}

static void read_tracks(struct ml_span tracks, struct ml_media *out, bool *picture, bool *sound)
{
    uint64_t at = 0, name;
    struct ml_span entry;
    while (next_element(tracks, &at, &name, &entry))
        if (name == 0xAE)
            read_entry(entry, out, picture, sound);
}

bool ml_media_matroska(struct ml_span file, struct ml_media *out, const char **why)
{
    uint64_t at = 0, name;
    bool picture = false, sound = false, webm = false;
    struct ml_span segment = {file.data, 0}, content;
    while (segment.n == 0 && next_element(file, &at, &name, &content)) {
        if (name == 0x1A45DFA3)
            webm = says_webm(content);
        else if (name == 0x18538067)
            segment = content;
    }
    at = 0;
    while (next_element(segment, &at, &name, &content) && name != 0x1F43B675 /* the film */) {
        if (name == 0x1549A966)
            read_info(content, out);
        else if (name == 0x1654AE6B)
            read_tracks(content, out, &picture, &sound);
    }
    *why = "there is neither picture nor sound in it, or it is cut off";
    if (!picture && !sound)
        return false;
    out->kind = picture ? "video" : "audio";
    out->type = picture ? (webm ? "video/webm" : "video/x-matroska")
                        : (webm ? "audio/webm" : "audio/x-matroska");
    return true;
}
