/* Tables: CSV, TSV, and lists of JSON, by the first byte. */
#include "fuzz.h"
#include "fuzz_sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 'j')
        fuzz_read(&ml_reader_json, "a.json", data + 1, size - 1);
    else if (data[0] == 'm')
        fuzz_read(&ml_reader_markdown, "a.md", data + 1, size - 1);
    else
        fuzz_read(&ml_reader_csv, data[0] == 't' ? "a.tsv" : "a.csv", data + 1, size - 1);
    return 0;
}
