/* What a server of S3 answers: a list of objects, or an error. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "store/s3_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"Code", "IsTruncated", "NextContinuationToken"};
    const char *text = (const char *)data, *at = text, *end = text + size;
    struct ml_s3_object object;
    char word[64];
    size_t found = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *behind = ml_s3_element(text, end, names[i], word, sizeof word);
        if (behind && (behind <= text || behind > end || strlen(word) >= sizeof word))
            abort();
    }
    while (ml_s3_next_object(&at, end, &object)) {
        if (at <= text || at > end || strlen(object.key) >= sizeof object.key ||
            ++found > size / 40)
            abort();
    }
    return 0;
}
