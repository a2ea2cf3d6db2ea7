/* Reading a curation recipe (data/curation.h). */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/words.h"
#include "data/curate_impl.h"
#include "data/curate_parse.h"

int ml_curate_fail(const struct ml_yaml *at, const char *file, struct ml_error *err,
                   const char *format, ...)
{
    char message[400];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return ml_fail(err, ML_ERR_FORMAT, "%s:%d: %s", file, at->line, message);
}

int ml_curate_number(const struct ml_yaml *map, const char *key, const char *file,
                     const struct ml_curate_range *range, double *out, struct ml_error *err)
{
    const struct ml_yaml *node = map ? ml_yaml_get(map, key) : NULL;
    char *end = NULL;
    if (!node)
        return 0;
    double value = node->kind == ML_YAML_SCALAR ? strtod(node->text, &end) : NAN;
    if (!end || end == node->text || *end || !(value >= range->low && value <= range->high))
        return ml_curate_fail(node, file, err, "%s is a number from %g to %g", key, range->low,
                              range->high);
    *out = value;
    return 0;
}

int ml_curate_flag(const struct ml_yaml *map, const char *key, const char *file, bool *out,
                   struct ml_error *err)
{
    const struct ml_yaml *node = map ? ml_yaml_get(map, key) : NULL;
    if (!node)
        return 0;
    bool yes = node->kind == ML_YAML_SCALAR && strcmp(node->text, "true") == 0;
    if (!yes && (node->kind != ML_YAML_SCALAR || strcmp(node->text, "false") != 0))
        return ml_curate_fail(node, file, err, "%s is true or false", key);
    *out = yes;
    return 0;
}

int ml_curate_choice(const struct ml_yaml *node, const char *file, const char *const *choices,
                     int count, int *out, struct ml_error *err)
{
    char all[200] = "";
    for (int i = 0; i < count; i++) {
        if (node->kind == ML_YAML_SCALAR && strcmp(node->text, choices[i]) == 0) {
            *out = i;
            return 0;
        }
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", choices[i]);
    }
    const char *text = node->kind == ML_YAML_SCALAR ? node->text : "";
    const char *near = ml_word_nearest(text, choices, count);
    return ml_curate_fail(node, file, err, "\"%.60s\" is not known here%s%s%s; one of: %s", text,
                          near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "",
                          all);
}

int ml_curate_words(struct ml_curate_step *step, const struct ml_yaml *map, const char *key,
                    const char *file, struct ml_error *err)
{
    const struct ml_yaml *node = map ? ml_yaml_get(map, key) : NULL;
    if (!node)
        return 0;
    const struct ml_yaml *item = node->kind == ML_YAML_LIST ? node->first : node;
    for (; item; item = node->kind == ML_YAML_LIST ? item->next : NULL) {
        if (item->kind != ML_YAML_SCALAR || !*item->text || step->word_count == ML_CURATE_WORDS)
            return ml_curate_fail(item, file, err, "%s is a word or a list of at most %d words",
                                  key, ML_CURATE_WORDS);
        step->words[step->word_count++] = item->text;
    }
    return 0;
}

/* ---- steps ---- */

static int check_options(const struct ml_curate_kind *kind, const struct ml_yaml *map,
                         const char *file, struct ml_error *err)
{
    int count = 0;
    while (kind->options && kind->options[count])
        count++;
    for (const struct ml_yaml *option = map->first; option; option = option->next) {
        int at = 0;
        while (at < count && strcmp(kind->options[at], option->key) != 0)
            at++;
        const char *near = at < count ? NULL : ml_word_nearest(option->key, kind->options, count);
        if (at == count)
            return ml_curate_fail(option, file, err, "%s has no option \"%.60s\"%s%s%s", kind->name,
                                  option->key, near ? "; did you mean \"" : "", near ? near : "",
                                  near ? "\"?" : "");
    }
    return 0;
}

static const struct ml_curate_kind *find_kind(const struct ml_yaml *node, const char *file,
                                              struct ml_error *err)
{
    int count;
    const struct ml_curate_kind *kinds = ml_curate_kinds(&count);
    const char *const *names = ml_curate_step_names(&count);
    const char *name = node->key ? node->key : node->text;
    for (int i = 0; i < count; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    const char *near = ml_word_nearest(name, names, count);
    ml_curate_fail(node, file, err, "there is no step \"%.60s\"%s%s%s", name,
                   near ? "; did you mean \"" : "", near ? near : "",
                   near ? "\"?" : "; docs/curate.md lists them");
    return NULL;
}

/* "- name" or "- name: {options}". */
static int read_step(struct ml_curate_step *step, const struct ml_yaml *item, const char *file,
                     struct ml_error *err)
{
    const struct ml_yaml *named = item->kind == ML_YAML_MAP ? item->first : item;
    if (!named || item->kind == ML_YAML_LIST || (item->kind == ML_YAML_MAP && named->next))
        return ml_curate_fail(item, file, err,
                              "a step is one name with its options: "
                              "\"- language: {keep: [zh]}\"");
    const struct ml_curate_kind *kind = find_kind(named, file, err);
    if (!kind)
        return ML_ERR_FORMAT;
    const struct ml_yaml *options = named->kind == ML_YAML_MAP ? named : NULL;
    bool empty = !item->key && named->kind == ML_YAML_SCALAR &&
                 (named == item || !*named->text || strcmp(named->text, "null") == 0);
    if (!options && !empty)
        return ml_curate_fail(named, file, err, "the options of %s are a map: \"%s: {...}\"",
                              kind->name, kind->name);
    step->kind = kind;
    step->line = named->line;
    int status = options ? check_options(kind, options, file, err) : 0;
    return status == 0 && kind->parse ? kind->parse(step, options, file, err) : status;
}

static int read_steps(struct ml_curate_recipe *recipe, const struct ml_yaml *list, const char *file,
                      struct ml_error *err)
{
    int status = 0;
    if (list->kind != ML_YAML_LIST || !list->first)
        return ml_curate_fail(list, file, err, "steps is a list with at least one step");
    for (const struct ml_yaml *item = list->first; status == 0 && item; item = item->next) {
        if (recipe->step_count == ML_CURATE_MAX_STEPS)
            return ml_curate_fail(item, file, err, "at most %d steps", ML_CURATE_MAX_STEPS);
        status = read_step(&recipe->steps[recipe->step_count++], item, file, err);
    }
    return status;
}

static int read_all(struct ml_curate_recipe *recipe, const struct ml_yaml *root, const char *file,
                    struct ml_error *err)
{
    static const char *const keys[] = {"input", "output", "steps"};
    const struct ml_yaml *steps = NULL;
    if (root->kind != ML_YAML_MAP)
        return ml_curate_fail(root, file, err, "a curation recipe is a map with steps");
    for (const struct ml_yaml *node = root->first; node; node = node->next) {
        bool scalar = node->kind == ML_YAML_SCALAR && *node->text;
        if (strcmp(node->key, "steps") == 0)
            steps = node;
        else if (strcmp(node->key, "input") == 0 && scalar)
            recipe->input = node->text;
        else if (strcmp(node->key, "output") == 0 && scalar)
            recipe->output = node->text;
        else {
            const char *near = ml_word_nearest(node->key, keys, 3);
            return ml_curate_fail(node, file, err, "%s \"%.60s\"%s%s%s",
                                  near && strcmp(near, node->key) == 0 ? "a name belongs after"
                                                                       : "there is no key",
                                  node->key, near ? "; did you mean \"" : "", near ? near : "",
                                  near ? "\"?" : "; the keys are input, output and steps");
        }
    }
    return steps ? read_steps(recipe, steps, file, err)
                 : ml_curate_fail(root, file, err, "there are no steps");
}

int ml_curate_recipe_parse(struct ml_curate_recipe **out, struct ml_arena *arena, const char *text,
                           size_t n, const char *name, struct ml_error *err)
{
    struct ml_yaml *root = NULL;
    struct ml_curate_recipe *recipe = ml_arena_calloc(arena, 1, sizeof *recipe);
    if (!recipe || !(recipe->text = ml_arena_strndup(arena, text, n)))
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory for the recipe", name);
    recipe->size = n;
    int status = ml_yaml_parse(arena, text, n, name, &root, err);
    if (status == 0)
        status = read_all(recipe, root, name, err);
    if (status == 0)
        *out = recipe;
    return status;
}

const char *ml_curate_recipe_input(const struct ml_curate_recipe *recipe)
{
    return recipe->input;
}

const char *ml_curate_recipe_output(const struct ml_curate_recipe *recipe)
{
    return recipe->output;
}
