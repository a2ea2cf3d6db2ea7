/* Tasks of labelling: any bytes give a task or one message that names the file. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "data/label_task.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_arena arena;
    struct ml_label_task task;
    struct ml_error err = {0};
    ml_arena_init(&arena, 0);
    int status = ml_label_task_parse(&task, &arena, (const char *)data, size, "task.yaml", &err);
    if (status != err.code || !ml_utf8_valid(err.message, strlen(err.message)) ||
        (status && !strstr(err.message, "task.yaml")))
        abort();
    for (int i = 0; status == 0 && i < task.label_count; i++)
        if (ml_label_task_find(&task, task.labels[i].name) != i)
            abort();
    ml_arena_clear(&arena);
    return 0;
}
