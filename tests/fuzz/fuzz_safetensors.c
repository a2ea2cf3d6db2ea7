/* The safetensors reader: any bytes give a file whose every tensor can be touched, or one message.
 */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "format/safetensors.h"
#include "fuzz.h"

#define MOST 4096 /* numbers that are loaded */

static void visit(const struct ml_safetensors *file, const struct ml_safetensors_entry *entry,
                  const uint8_t *data, size_t size)
{
    static float numbers[MOST];
    const uint8_t *first = entry->data;
    if (first < data || entry->bytes > size || first + entry->bytes > data + size)
        abort();
    if (ml_safetensors_find(file, entry->name) != entry)
        abort();
    for (int i = 0; i < entry->ndim; i++)
        if (entry->dim[i] < 0)
            abort();
    if (entry->count > MOST)
        return;
    struct ml_error err = {0};
    int rc = ml_safetensors_load(file, entry, ML_F32, numbers, &err);
    if (rc != err.code)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_safetensors file = {0};
    struct ml_error err = {0};
    int rc = ml_safetensors_parse(&file, data, size, "fuzz.safetensors", &err);
    if (rc != err.code || !ml_utf8_valid(err.message, strlen(err.message)) ||
        strchr(err.message, '\n'))
        abort();
    for (int i = 0; i < file.count; i++)
        visit(&file, &file.entries[i], data, size);
    if (rc == 0)
        ml_safetensors_check_finite(&file, NULL);
    ml_safetensors_close(&file);
    return 0;
}
