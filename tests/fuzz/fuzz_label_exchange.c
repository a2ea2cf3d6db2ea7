/* Labels of other programs: any bytes give labels or one message, for every kind of task. The first
 * byte chooses the format and the kind. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "data/label_exchange.h"
#include "fuzz.h"

static const char *const tasks[] = {"kind: choice\nlabels: [a, b]\n",
                                    "kind: multi\nlabels: [a, b]\n",
                                    "kind: span\nlabels: [a, b]\n",
                                    "kind: rating\n",
                                    "kind: text\n",
                                    "kind: box\nlabels: [a, b]\n"};
enum { TASKS = sizeof tasks / sizeof tasks[0] };

/* What a label says is checked against the task, as importing does. */
static int take(void *arg, const struct ml_exchange_label *label, struct ml_error *err)
{
    const struct ml_label_task *task = arg;
    struct ml_error why = {0};
    json_t *checked = NULL;
    if (!label->hash || !label->source || !label->file || !label->annotator || !label->model ||
        (!label->skip && !label->value) || (label->text && label->text_size > (1u << 20)))
        abort();
    if (!label->skip && ml_label_value_check(&checked, task, label->value, 1000, &why) == 0) {
        json_t *again = NULL; /* the one form stays as it is */
        if (ml_label_value_check(&again, task, checked, 1000, &why) != 0 ||
            !json_equal(checked, again))
            abort();
        json_decref(again);
    }
    json_decref(checked);
    return 0;
}

static void left_out(void *arg, const char *what, const char *why)
{
    if (!what || !*what || !why || !*why)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_arena arena;
    struct ml_label_task task;
    struct ml_error err = {0};
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1, *yaml = tasks[data[0] / 3 % TASKS];
    const struct ml_exchange_sink sink = {.label = take, .left_out = left_out, .arg = &task};
    ml_arena_init(&arena, 0);
    if (ml_label_task_parse(&task, &arena, yaml, strlen(yaml), "task", &err) != 0)
        abort();
    int status = 0;
    if (data[0] % 3 == 0)
        status = ml_studio_read(text, size - 1, &task, &sink, &err);
    else if (data[0] % 3 == 1)
        status = ml_coco_read(text, size - 1, &task, &sink, &err);
    else if (ml_utf8_valid(text, size - 1)) /* what decoding hands on */
        status = ml_label_csv_read(text, size - 1, &task, &sink, &err);
    if (status != err.code || !ml_utf8_valid(err.message, strlen(err.message)))
        abort();
    ml_arena_clear(&arena);
    return 0;
}
