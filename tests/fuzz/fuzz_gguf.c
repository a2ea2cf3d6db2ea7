/* The GGUF reader: any bytes give a file whose every value and tensor can be touched, or one
 * message. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "format/gguf.h"
#include "fuzz.h"

#define MOST 4096 /* numbers that are loaded */

static void visit_value(const struct ml_gguf *file, const struct ml_gguf_value *value)
{
    uint64_t at = 0, strings = 0;
    size_t length = 0;
    double sum = 0;
    if (ml_gguf_get(file, value->key) != value)
        abort();
    for (uint64_t i = 0; i < value->count && i < MOST; i++)
        sum += ml_gguf_number(value, i);
    while (ml_gguf_next_string(value, &at, &length))
        strings++;
    if (value->is_array && value->type == ML_GGUF_STRING && strings != value->count)
        abort();
    volatile double sink = sum;
    (void)sink;
}

static void visit_tensor(const struct ml_gguf *file, const struct ml_gguf_tensor *tensor,
                         const uint8_t *data, size_t size)
{
    static float numbers[MOST];
    const uint8_t *first = tensor->data;
    if (first < data || tensor->bytes > size || first + tensor->bytes > data + size)
        abort();
    if (ml_gguf_find(file, tensor->name) != tensor)
        abort();
    if (tensor->count <= MOST)
        ml_gguf_load(file, tensor, ML_F32, numbers, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_gguf file = {0};
    struct ml_error err = {0};
    int rc = ml_gguf_parse(&file, data, size, "fuzz.gguf", &err);
    if (rc != err.code || !ml_utf8_valid(err.message, strlen(err.message)) ||
        strchr(err.message, '\n'))
        abort();
    for (int i = 0; i < file.value_count; i++)
        visit_value(&file, &file.values[i]);
    for (int i = 0; i < file.tensor_count; i++)
        visit_tensor(&file, &file.tensors[i], data, size);
    ml_gguf_close(&file);
    return 0;
}
