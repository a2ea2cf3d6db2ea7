/* Archives and office documents: the same bytes as either. */
#include "fuzz.h"
#include "fuzz_sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    fuzz_read(&ml_reader_office, "a.docx", data, size);
    fuzz_read(&ml_reader_archive, "a.zip", data, size);
    return 0;
}
