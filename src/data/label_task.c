#include "data/label_task.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "base/words.h"
#include "base/yaml.h"

/* Pressed for other things while labelling. */
#define RESERVED_KEYS "usq?"

static const char *const kind_names[ML_LABEL_KINDS] = {
    [ML_LABEL_CHOICE] = "choice", [ML_LABEL_MULTI] = "multi", [ML_LABEL_SPAN] = "span",
    [ML_LABEL_RATING] = "rating", [ML_LABEL_TEXT] = "text",   [ML_LABEL_BOX] = "box"};

const char *ml_label_kind_name(enum ml_label_kind kind)
{
    return kind >= 0 && kind < ML_LABEL_KINDS ? kind_names[kind] : "unknown";
}

int ml_label_task_find(const struct ml_label_task *task, const char *label)
{
    for (int i = 0; i < task->label_count; i++)
        if (strcmp(task->labels[i].name, label) == 0)
            return i;
    return -1;
}

/* ---- parsing ---- */

struct parser {
    const char *name;
    struct ml_arena *arena;
    struct ml_label_task task;
    struct ml_error *err;
};

static int scalar(struct parser *p, const struct ml_yaml *node, const char **out)
{
    if (node->kind != ML_YAML_SCALAR)
        return ml_fail(p->err, ML_ERR_FORMAT, "%s:%d: %s needs a plain value", p->name, node->line,
                       node->key ? node->key : "a label");
    *out = node->text;
    return 0;
}

static int whole(struct parser *p, const struct ml_yaml *node, int low, int high, int *out)
{
    const char *text = "";
    char *end;
    int status = scalar(p, node, &text);
    if (status)
        return status;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end || errno || value < low || value > high)
        return ml_fail(p->err, ML_ERR_FORMAT,
                       "%s:%d: %s is \"%.40s\", but must be a whole number from %d to %d", p->name,
                       node->line, node->key, text, low, high);
    *out = (int)value;
    return 0;
}

static int parse_kind(struct parser *p, const struct ml_yaml *node)
{
    const char *text = "";
    int status = scalar(p, node, &text);
    for (int i = 0; status == 0 && i < ML_LABEL_KINDS; i++)
        if (strcmp(text, kind_names[i]) == 0) {
            p->task.kind = (enum ml_label_kind)i;
            return 0;
        }
    if (status)
        return status;
    const char *near = ml_word_nearest(text, kind_names, ML_LABEL_KINDS);
    return ml_fail(p->err, ML_ERR_FORMAT,
                   "%s:%d: there is no kind \"%.40s\"%s%s%s; known: choice, multi, span, rating, "
                   "text, box",
                   p->name, node->line, text, near ? ", did you mean " : "", near ? near : "",
                   near ? "?" : "");
}

/* What is between a label's name and the outside: files of tables, other programs, a terminal. */
static bool is_name(const char *text)
{
    size_t n = strlen(text);
    bool good = n > 0 && n < ML_LABEL_NAME && text[0] != ' ' && text[n - 1] != ' ' &&
                ml_utf8_valid(text, n);
    for (size_t i = 0; good && i < n; i++)
        good = (unsigned char)text[i] >= 0x20 && text[i] != 0x7f && text[i] != '|';
    return good;
}

static bool key_is_taken(const struct ml_label_task *task, char key)
{
    for (int i = 0; i < task->label_count; i++)
        if (task->labels[i].key == key)
            return true;
    return false;
}

static int take_key(struct parser *p, const struct ml_yaml *node, char *out)
{
    const char *text = "";
    int status = scalar(p, node, &text);
    if (status)
        return status;
    if (strlen(text) != 1 || text[0] <= ' ' || text[0] >= 0x7f)
        return ml_fail(p->err, ML_ERR_FORMAT, "%s:%d: a key is one letter, digit or sign of ASCII",
                       p->name, node->line);
    if (strchr(RESERVED_KEYS, text[0]))
        return ml_fail(p->err, ML_ERR_FORMAT,
                       "%s:%d: the key %s has another use while labelling (u undo, s skip, q quit, "
                       "? help)",
                       p->name, node->line, text);
    if (key_is_taken(&p->task, text[0]))
        return ml_fail(p->err, ML_ERR_FORMAT, "%s:%d: two labels have the key %s", p->name,
                       node->line, text);
    *out = text[0];
    return 0;
}

static int parse_label(struct parser *p, const struct ml_yaml *node)
{
    struct ml_task_label *label = &p->task.labels[p->task.label_count];
    const struct ml_yaml *name = node->kind == ML_YAML_MAP ? ml_yaml_get(node, "name") : node;
    const char *text = "";
    int status = 0;
    for (const struct ml_yaml *part = node->kind == ML_YAML_MAP ? node->first : NULL; part;
         part = part->next)
        if (strcmp(part->key, "name") != 0 && strcmp(part->key, "key") != 0)
            return ml_fail(p->err, ML_ERR_FORMAT, "%s:%d: a label has a name and a key, not %.40s",
                           p->name, part->line, part->key);
    if (!name)
        return ml_fail(p->err, ML_ERR_FORMAT, "%s:%d: a label without a name", p->name, node->line);
    status = scalar(p, name, &text);
    if (status == 0 && !is_name(text))
        status =
            ml_fail(p->err, ML_ERR_FORMAT,
                    "%s:%d: the name of a label has 1 to %d bytes, no '|' and no blanks at its "
                    "ends",
                    p->name, name->line, ML_LABEL_NAME - 1);
    if (status == 0 && ml_label_task_find(&p->task, text) >= 0)
        status = ml_fail(p->err, ML_ERR_FORMAT, "%s:%d: two labels are called %s", p->name,
                         name->line, text);
    *label = (struct ml_task_label){.name = text};
    const struct ml_yaml *key = node->kind == ML_YAML_MAP ? ml_yaml_get(node, "key") : NULL;
    if (status == 0 && key)
        status = take_key(p, key, &label->key);
    if (status == 0)
        p->task.label_count++;
    return status;
}

static int parse_labels(struct parser *p, const struct ml_yaml *node)
{
    int count = 0, status = 0;
    if (node->kind != ML_YAML_LIST)
        return ml_fail(p->err, ML_ERR_FORMAT, "%s:%d: labels is a list", p->name, node->line);
    for (const struct ml_yaml *item = node->first; item; item = item->next)
        count++;
    if (count > ML_LABEL_MAX_LABELS)
        return ml_fail(p->err, ML_ERR_LIMIT, "%s:%d: more than %d labels", p->name, node->line,
                       ML_LABEL_MAX_LABELS);
    p->task.labels = ml_arena_calloc(p->arena, (size_t)count + 1, sizeof *p->task.labels);
    if (!p->task.labels)
        return ml_fail(p->err, ML_ERR_MEMORY, "%s: out of memory", p->name);
    for (const struct ml_yaml *item = node->first; status == 0 && item; item = item->next)
        status = parse_label(p, item);
    return status;
}

/* Labels without a key get the first that is free. */
static void give_keys(struct ml_label_task *task)
{
    static const char keys[] = "123456789abcdefghijklmnoprtvwxyz0ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (int i = 0; i < task->label_count; i++)
        for (const char *key = keys; *key && !task->labels[i].key; key++)
            if (!key_is_taken(task, *key))
                task->labels[i].key = *key;
}

static int parse_part(struct parser *p, const struct ml_yaml *node)
{
    static const char *const known[] = {"kind", "guideline", "labels", "low", "high", "overlap"};
    if (strcmp(node->key, "kind") == 0)
        return parse_kind(p, node);
    if (strcmp(node->key, "guideline") == 0)
        return scalar(p, node, &p->task.guideline);
    if (strcmp(node->key, "labels") == 0)
        return parse_labels(p, node);
    if (strcmp(node->key, "low") == 0)
        return whole(p, node, 0, 9, &p->task.low);
    if (strcmp(node->key, "high") == 0)
        return whole(p, node, 1, 10, &p->task.high);
    if (strcmp(node->key, "overlap") == 0)
        return whole(p, node, 1, 100, &p->task.overlap);
    const char *near = ml_word_nearest(node->key, known, 6);
    return ml_fail(p->err, ML_ERR_FORMAT, "%s:%d: unknown key %.40s%s%s%s", p->name, node->line,
                   node->key, near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
}

/* What belongs together. */
static int check_whole(struct parser *p, bool has_kind)
{
    struct ml_label_task *t = &p->task;
    bool named = t->kind == ML_LABEL_CHOICE || t->kind == ML_LABEL_MULTI ||
                 t->kind == ML_LABEL_SPAN || t->kind == ML_LABEL_BOX;
    if (!has_kind)
        return ml_fail(p->err, ML_ERR_FORMAT,
                       "%s: says no kind; one of: choice, multi, span, rating, text, box", p->name);
    if (named && t->label_count < (t->kind == ML_LABEL_CHOICE ? 2 : 1))
        return ml_fail(p->err, ML_ERR_FORMAT, "%s: %s needs labels: [...]%s", p->name,
                       kind_names[t->kind],
                       t->kind == ML_LABEL_CHOICE ? " of at least two names" : "");
    if (!named && t->label_count)
        return ml_fail(p->err, ML_ERR_FORMAT, "%s: %s has no labels to choose from", p->name,
                       kind_names[t->kind]);
    if (t->low >= t->high)
        return ml_fail(p->err, ML_ERR_FORMAT, "%s: low must be below high", p->name);
    if (t->low == 0 && t->high == 10)
        return ml_fail(p->err, ML_ERR_FORMAT,
                       "%s: from 0 to 10 there are more ratings than digit keys; take 1 to 10",
                       p->name);
    return 0;
}

int ml_label_task_parse(struct ml_label_task *out, struct ml_arena *arena, const char *text,
                        size_t n, const char *name, struct ml_error *err)
{
    struct parser p = {.name = name,
                       .arena = arena,
                       .err = err,
                       .task = {.guideline = "", .low = 1, .high = 5, .overlap = 1}};
    struct ml_yaml *root = NULL;
    if (n > ML_LABEL_MAX_TASK)
        return ml_fail(err, ML_ERR_LIMIT, "%s: a task has at most %zu bytes", name,
                       ML_LABEL_MAX_TASK);
    int status = ml_yaml_parse(arena, text, n, name, &root, err);
    if (status == 0 && root->kind != ML_YAML_MAP)
        status =
            ml_fail(err, ML_ERR_FORMAT, "%s:%d: a task is \"key: value\" lines", name, root->line);
    for (const struct ml_yaml *node = status == 0 ? root->first : NULL; status == 0 && node;
         node = node->next)
        status = parse_part(&p, node);
    if (status == 0)
        status = check_whole(&p, ml_yaml_get(root, "kind") != NULL);
    if (status)
        return status;
    give_keys(&p.task);
    *out = p.task;
    return 0;
}
