/* Headers of pictures (data/media_probe.h). */
#include "data/media_impl.h"

/* A picture of more pixels than these bytes can hold lies: whoever makes room for it first runs out
 * of memory. `most` is how many pixels a byte can hold in this format. */
static bool sized(struct ml_span file, uint64_t width, uint64_t height, uint64_t most,
                  struct ml_media *out, const char **why)
{
    *why = "its header says it has no width or height";
    if (width == 0 || height == 0 || width > UINT32_MAX || height > UINT32_MAX)
        return false;
    *why = "it says it has more than 2^31 pixels";
    if (width * height > ML_MEDIA_MAX_PIXELS)
        return false;
    *why = "it says it has more pixels than its bytes can hold";
    if (most && width * height / most > file.n)
        return false;
    out->width = (uint32_t)width;
    out->height = (uint32_t)height;
    return true;
}

/* PNG (ISO 15948): a chunk is length, name, data, CRC. */
bool ml_media_png(struct ml_span file, struct ml_media *out, const char **why)
{
    static const uint8_t channels[] = {1, 0, 3, 1, 2, 0, 4};
    uint32_t depth = ml_span_u8(file, 24), colour = ml_span_u8(file, 25);
    bool data = false, ended = false;
    *why = "its first chunk is not a PNG header";
    if (!ml_span_is(file, 12, "IHDR", 4) || colour > 6 || !channels[colour] || depth == 0 ||
        depth > 16)
        return false;
    for (uint64_t at = 8; at + 12 <= file.n && !ended;) {
        data = data || ml_span_is(file, (size_t)at + 4, "IDAT", 4);
        ended = ml_span_is(file, (size_t)at + 4, "IEND", 4);
        at += 12 + ml_span_be(file, (size_t)at, 4);
        if (at > file.n)
            break;
    }
    *why = "it is cut off";
    if (!data || !ended)
        return false;
    /* Deflate packs at most 1032 bytes into one. */
    uint64_t bits = (uint64_t)depth * channels[colour], most = 1032 * 8 / bits;
    return sized(file, ml_span_be(file, 16, 4), ml_span_be(file, 20, 4), most ? most : 1, out, why);
}

/* JPEG (ITU T.81): segments up to the frame header. A block of 64 pixels takes at least one bit. */
bool ml_media_jpeg(struct ml_span file, struct ml_media *out, const char **why)
{
    for (size_t at = 2; at + 4 <= file.n;) {
        uint32_t marker = ml_span_u8(file, at + 1);
        if (ml_span_u8(file, at) != 0xFF || marker == 0xD9 || marker == 0xDA)
            break;
        if (marker == 0xFF) { /* filling */
            at++;
            continue;
        }
        if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC)
            return sized(file, ml_span_be(file, at + 7, 2), ml_span_be(file, at + 5, 2), 64 * 8,
                         out, why);
        bool bare = marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8);
        uint64_t length = bare ? 0 : ml_span_be(file, at + 2, 2);
        if (!bare && length < 2)
            break;
        at += 2 + (size_t)length;
    }
    *why = "it has no frame header";
    return false;
}

/* GIF89a: LZW codes of up to 12 bits, each for at most 4096 pixels. */
bool ml_media_gif(struct ml_span file, struct ml_media *out, const char **why)
{
    return sized(file, ml_span_le(file, 6, 2), ml_span_le(file, 8, 2), 4096, out, why);
}

/* WebP: RIFF with VP8 (RFC 6386), VP8L or VP8X in front. A plain colour takes no bytes at all in
 * VP8L, so only the count of pixels is held against it. */
bool ml_media_webp(struct ml_span file, struct ml_media *out, const char **why)
{
    uint64_t width = 0, height = 0;
    if (ml_span_is(file, 12, "VP8 ", 4) && ml_span_is(file, 23, "\x9d\x01\x2a", 3)) {
        width = ml_span_le(file, 26, 2) & 0x3FFF;
        height = ml_span_le(file, 28, 2) & 0x3FFF;
    } else if (ml_span_is(file, 12, "VP8L", 4) && ml_span_u8(file, 20) == 0x2F) {
        uint64_t bits = ml_span_le(file, 21, 4);
        width = (bits & 0x3FFF) + 1;
        height = ((bits >> 14) & 0x3FFF) + 1;
    } else if (ml_span_is(file, 12, "VP8X", 4) && file.n >= 30) {
        width = ml_span_le(file, 24, 3) + 1;
        height = ml_span_le(file, 27, 3) + 1;
    }
    *why = "it is cut off";
    if (ml_span_le(file, 4, 4) + 8 > (uint64_t)file.n + 1) /* the last byte may be filling */
        return false;
    return sized(file, width, height, 0, out, why);
}

bool ml_media_bmp(struct ml_span file, struct ml_media *out, const char **why)
{
    uint64_t header = ml_span_le(file, 14, 4), from = ml_span_le(file, 10, 4);
    bool old = header == 12;
    uint64_t width = ml_span_le(file, 18, old ? 2 : 4),
             height = ml_span_le(file, old ? 20 : 22, old ? 2 : 4);
    uint64_t bits = ml_span_le(file, old ? 24 : 28, 2), packed = old ? 0 : ml_span_le(file, 30, 4);
    *why = "its header makes no sense";
    if ((!old && header < 40) || bits > 32 || bits == 0)
        return false;
    if (height > INT32_MAX) /* negative: from top to bottom */
        height = (uint64_t)UINT32_MAX + 1 - height;
    /* Run lengths (1, 2) hold at most 255 pixels in two bytes; the rest lies there as it is. */
    if (!sized(file, width, height, packed == 1 || packed == 2 ? 128 : 8, out, why))
        return false;
    *why = "it is cut off";
    return packed == 1 || packed == 2 || packed > 3 ||
           from + (width * bits + 31) / 32 * 4 * height <= file.n;
}

/* TIFF 6.0: the first directory. */
bool ml_media_tiff(struct ml_span file, struct ml_media *out, const char **why)
{
    bool big = ml_span_u8(file, 0) == 'M';
    uint64_t (*get)(struct ml_span, size_t, int) = big ? ml_span_be : ml_span_le;
    uint64_t at = get(file, 4, 4), count = get(file, (size_t)at, 2), width = 0, height = 0;
    for (uint64_t i = 0; i < count; i++) {
        size_t entry = (size_t)(at + 2 + i * 12);
        uint64_t tag = get(file, entry, 2), form = get(file, entry + 2, 2);
        if (tag == 256 || tag == 257)
            *(tag == 256 ? &width : &height) = get(file, entry + 8, form == 3 ? 2 : 4);
    }
    return sized(file, width, height, 0, out, why);
}
