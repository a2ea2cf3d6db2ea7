/* The little XML that S3 answers with: lists of objects, and errors. Not a parser of XML: it finds
 * elements by name and looks at nothing else. */
#ifndef ML_STORE_S3_XML_H
#define ML_STORE_S3_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ML_S3_KEY_BYTES 1025 /* longest key, with the NUL */

/* The text of the first element of that name between at and end, entities resolved; cut to size.
 * Returns where the element ends, or NULL: there is none, or it does not end. */
const char *ml_s3_element(const char *at, const char *end, const char *name, char *out,
                          size_t size);

struct ml_s3_object {
    char key[ML_S3_KEY_BYTES];
    uint64_t bytes;
};
/* The next <Contents> from *at on, which moves behind it; false: no more. */
bool ml_s3_next_object(const char **at, const char *end, struct ml_s3_object *out);

#endif
