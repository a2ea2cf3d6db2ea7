/* Headers of sounds (data/media_probe.h). */
#include "data/media_impl.h"

/* WAV: RIFF chunks, of which "fmt " and "data" matter. A stream that was never closed says its data
 * are as long as can be: then they go to the end of the file. */
bool ml_media_wav(struct ml_span file, struct ml_media *out, const char **why)
{
    uint64_t bytes_a_second = 0, data = 0;
    for (uint64_t at = 12; at + 8 <= file.n;) {
        uint64_t size = ml_span_le(file, (size_t)at + 4, 4), left = file.n - at - 8;
        if (ml_span_is(file, (size_t)at, "fmt ", 4)) {
            out->channels = (uint32_t)ml_span_le(file, (size_t)at + 10, 2);
            out->rate = (uint32_t)ml_span_le(file, (size_t)at + 12, 4);
            bytes_a_second = ml_span_le(file, (size_t)at + 16, 4);
        } else if (ml_span_is(file, (size_t)at, "data", 4)) {
            data = size < left ? size : left;
        }
        at += 8 + size + size % 2;
    }
    *why = "it has no sound in it, or no description of it";
    if (out->channels == 0 || out->rate == 0 || bytes_a_second == 0 || data == 0)
        return false;
    out->seconds = (double)data / (double)bytes_a_second;
    return true;
}

/* How long an ID3v2 tag in front is; 0: there is none. */
static size_t id3_size(struct ml_span file)
{
    if (!ml_span_is(file, 0, "ID3", 3) || file.n < 10)
        return 0;
    size_t size = 0;
    for (size_t i = 6; i < 10; i++)
        size = size << 7 | (ml_span_u8(file, i) & 0x7F);
    return size + 10 + (ml_span_u8(file, 5) & 0x10 ? 10 : 0);
}

/* FLAC (RFC 9639): the stream's description comes first. */
bool ml_media_flac(struct ml_span file, struct ml_media *out, const char **why)
{
    struct ml_span s = ml_span_part(file, id3_size(file), file.n);
    uint64_t packed = ml_span_be(s, 18, 8);
    *why = "its first block does not describe the stream";
    if (!ml_span_is(s, 0, "fLaC", 4) || (ml_span_u8(s, 4) & 0x7F) != 0 || packed >> 44 == 0)
        return false;
    out->rate = (uint32_t)(packed >> 44);
    out->channels = (uint32_t)(packed >> 41 & 7) + 1;
    out->seconds = (double)(packed & 0xFFFFFFFFF) / out->rate;
    return true;
}

/* ---- MP3 ---- */

struct mp3_frame {
    uint32_t rate, channels, samples;
    uint32_t bytes, bits_a_second;
    uint32_t side; /* bytes between its header and the sound, where Xing's tag may be */
};

/* The header of a layer III frame (ISO 11172-3, 13818-3, and the 2.5 that everyone reads). */
static bool read_frame(struct ml_span s, size_t at, struct mp3_frame *frame)
{
    static const uint16_t rates[] = {44100, 48000, 32000};
    static const uint16_t kbits[2][15] = {
        {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
        {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}};
    uint32_t head = (uint32_t)ml_span_be(s, at, 4);
    uint32_t version = head >> 19 & 3, layer = head >> 17 & 3, kbit = head >> 12 & 15,
             rate = head >> 10 & 3;
    if (head >> 21 != 0x7FF || version == 1 || layer != 1 || kbit == 0 || kbit == 15 || rate == 3)
        return false;
    bool first = version == 3, mono = (head >> 6 & 3) == 3;
    frame->rate = rates[rate] >> (first ? 0 : version == 2 ? 1 : 2);
    frame->channels = mono ? 1 : 2;
    frame->samples = first ? 1152 : 576;
    frame->bits_a_second = kbits[!first][kbit] * 1000u;
    frame->bytes = frame->samples / 8 * frame->bits_a_second / frame->rate + (head >> 9 & 1);
    frame->side = first ? (mono ? 17 : 32) : (mono ? 9 : 17);
    return true;
}

bool ml_media_mp3(struct ml_span file, struct ml_media *out, const char **why)
{
    struct mp3_frame frame = {0}, next;
    size_t at = id3_size(file), stop = at + 65536;
    bool found = false;
    for (; at + 4 <= file.n && at < stop && !found; at += !found) {
        found = read_frame(file, at, &frame);
        /* Any two bytes can look like a frame; two frames in a row cannot. */
        if (found && at + frame.bytes + 4 <= file.n)
            found = read_frame(file, at + frame.bytes, &next) && next.rate == frame.rate;
        else if (found)
            found = at == id3_size(file);
    }
    *why = "no frames of MP3 were found in it";
    if (!found)
        return false;
    size_t tag = at + 4 + frame.side;
    uint64_t frames = 0;
    if ((ml_span_is(file, tag, "Xing", 4) || ml_span_is(file, tag, "Info", 4)) &&
        ml_span_u8(file, tag + 7) & 1)
        frames = ml_span_be(file, tag + 8, 4);
    else if (ml_span_is(file, at + 36, "VBRI", 4))
        frames = ml_span_be(file, at + 50, 4);
    out->rate = frame.rate;
    out->channels = frame.channels;
    out->seconds = frames ? (double)frames * frame.samples / frame.rate
                          : (double)(file.n - at) * 8 / frame.bits_a_second;
    return true;
}

/* ---- Ogg ---- */

/* The position of the last page of the stream, in samples (RFC 3533); 0: not found. */
static uint64_t last_position(struct ml_span file)
{
    uint64_t serial = ml_span_le(file, 14, 4);
    size_t from = file.n > 65536 + 27 ? file.n - 65536 - 27 : 0;
    for (size_t at = file.n; at-- > from;)
        if (ml_span_is(file, at, "OggS", 4) && ml_span_le(file, at + 14, 4) == serial &&
            ml_span_le(file, at + 6, 8) != UINT64_MAX)
            return ml_span_le(file, at + 6, 8);
    return 0;
}

bool ml_media_ogg(struct ml_span file, struct ml_media *out, const char **why)
{
    struct ml_span packet = ml_span_part(file, 27 + ml_span_u8(file, 26), file.n);
    uint64_t end = last_position(file), skip = 0;
    if (ml_span_is(packet, 0, "\x01vorbis", 7)) {
        out->channels = ml_span_u8(packet, 11);
        out->rate = (uint32_t)ml_span_le(packet, 12, 4);
    } else if (ml_span_is(packet, 0, "OpusHead", 8)) {
        out->channels = ml_span_u8(packet, 9);
        out->rate = 48000; /* whatever it was made from */
        skip = ml_span_le(packet, 10, 2);
        out->type = "audio/opus";
    } else if (ml_span_is(packet, 0,
                          "\x7f"
                          "FLAC",
                          5)) {
        out->rate = (uint32_t)(ml_span_be(packet, 27, 3) >> 4);
        out->channels = (ml_span_u8(packet, 29) >> 1 & 7) + 1;
    } else if (ml_span_is(packet, 0, "\x80theora", 7)) {
        out->kind = "video";
        out->type = "video/ogg";
        out->width = (uint32_t)ml_span_be(packet, 14, 3);
        out->height = (uint32_t)ml_span_be(packet, 17, 3);
        *why = "it says that its picture has no size";
        return out->width > 0 && out->height > 0;
    }
    *why = "neither Vorbis, Opus, FLAC nor Theora is in it";
    if (out->rate == 0 || out->channels == 0)
        return false;
    out->seconds = end > skip ? (double)(end - skip) / out->rate : 0;
    return true;
}
