/* Headers of pictures, sounds and films. */
#include "data/media_probe.h"
#include "fuzz.h"
#include "fuzz_sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_media media = {0};
    struct ml_error err = {0};
    int status = ml_media_probe(&media, "a", data, size, &err);
    if (status != err.code || (status == 0) != (media.kind != NULL))
        abort();
    if (status == 0 && strcmp(media.kind, "image") == 0 &&
        (media.width == 0 || media.height == 0 ||
         (uint64_t)media.width * media.height > ML_MEDIA_MAX_PIXELS))
        abort();
    if (status == 0 && !(media.seconds >= 0)) /* NaN too */
        abort();
    fuzz_read(&ml_reader_media, "a.png", data, size);
    return 0;
}
