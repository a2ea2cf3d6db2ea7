/* What a decoder that was taken over may write. */
#include <stdint.h>
#include <stdlib.h>

#include "data/media_answer.h"
#include "data/picture_measure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ml_buffer copy(const uint8_t *data, size_t size)
{
    struct ml_buffer out = {0};
    if (size && ml_buffer_put(&out, data, size, NULL) != 0)
        abort();
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_decoded_picture picture = {.bytes = copy(data, size)};
    struct ml_decoded_film film = {.bytes = copy(data, size)};
    struct ml_picture_facts facts;
    struct ml_film_facts film_facts;
    int channels, rate = 0;
    if (ml_answer_pixmap(&picture))
        ml_picture_measure(&facts, picture.rgb, picture.width, picture.height, NULL);
    if (ml_answer_wave(&film.bytes, &channels, &rate) > size)
        abort();
    if (ml_answer_frames(&film))
        ml_film_measure(&film_facts, &film.frames, NULL);
    ml_decoded_picture_clear(&picture);
    ml_decoded_film_clear(&film);
    return 0;
}
