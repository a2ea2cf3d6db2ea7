/* The YAML tree: any bytes give a tree or one message. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "base/yaml.h"
#include "fuzz.h"

static size_t visit(const struct ml_yaml *node)
{
    size_t bytes = 1;
    if (node->line < 1 || (node->kind == ML_YAML_SCALAR) != (node->text != NULL))
        abort();
    if (node->text)
        bytes += strlen(node->text);
    for (const struct ml_yaml *child = node->first; child; child = child->next) {
        if ((node->kind == ML_YAML_MAP) != (child->key != NULL))
            abort();
        bytes += visit(child);
    }
    return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_arena arena;
    struct ml_yaml *root = NULL;
    struct ml_error err = {0};
    ml_arena_init(&arena, 0);
    int status = ml_yaml_parse(&arena, (const char *)data, size, "fuzz.yaml", &root, &err);
    if (status != err.code || (status == 0) != (root != NULL) || (root && visit(root) == 0) ||
        !ml_utf8_valid(err.message, strlen(err.message)))
        abort();
    ml_arena_clear(&arena);
    return 0;
}
