#include "data/sound_wave.h"

#include <math.h>
#include <string.h>

#include "base/fail.h"

static void put_little(unsigned char *at, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (unsigned char)(value >> 8 * i);
}

int ml_wave_put(struct ml_buffer *out, const struct ml_sound_span *sound,
                const struct ml_sound_piece *piece, struct ml_error *err)
{
    unsigned char head[ML_WAVE_HEAD] = "RIFF....WAVEfmt ";
    const size_t channels = (size_t)sound->channels;
    const size_t count = (piece->end - piece->start) * channels;
    const float *from = sound->samples + piece->start * channels;
    if (count > (UINT32_MAX - sizeof head) / 2)
        return ml_fail(err, ML_ERR_LIMIT, "a piece of sound is too long for a WAV file");
    put_little(head + 4, (uint32_t)(sizeof head - 8 + 2 * count), 4);
    put_little(head + 16, 16, 4); /* bytes of the format */
    put_little(head + 20, 1, 2);  /* plain samples */
    put_little(head + 22, (uint32_t)channels, 2);
    put_little(head + 24, (uint32_t)sound->rate, 4);
    put_little(head + 28, (uint32_t)(2 * channels) * (uint32_t)sound->rate, 4);
    put_little(head + 32, (uint32_t)(2 * channels), 2);
    put_little(head + 34, 16, 2);
    memcpy(head + 36, "data", 4);
    put_little(head + 40, (uint32_t)(2 * count), 4);
    int status = ml_buffer_put(out, head, sizeof head, err);
    if (status == 0)
        status = ml_buffer_reserve(out, out->size + 2 * count + 1, err);
    for (size_t i = 0; status == 0 && i < count; i++) {
        float v = roundf(from[i] * 32768);
        v = v > 32767 ? 32767 : v < -32768 ? -32768 : v;
        put_little((unsigned char *)out->data + out->size, (uint16_t)(int16_t)v, 2);
        out->size += 2;
    }
    return status;
}
