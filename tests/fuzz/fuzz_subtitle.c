/* Subtitles of any kind: what kind is seen from the text. */
#include "fuzz.h"
#include "fuzz_sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_read(&ml_reader_subtitle, "a.srt", data, size);
    return 0;
}
