/* Reading recipes. Every value passes set_text, whether it comes from the table's defaults, a file
 * or an override. */
#include "train/recipe.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/files.h"
#include "base/utf8.h"
#include "base/words.h"
#include "base/yaml.h"

#define MAX_FIELDS 128

/* Where a value stands, for messages: "recipe.yaml:12" or "--set". */
struct place {
    const char *file;
    int line; /* 0: none */
    struct ml_error *err;
};

static int fail_at(const struct place *place, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int fail_at(const struct place *place, const char *format, ...)
{
    char message[400];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (place->line > 0)
        return ml_fail(place->err, ML_ERR_FORMAT, "%s:%d: %s", place->file, place->line, message);
    return ml_fail(place->err, ML_ERR_ARG, "%s: %s", place->file, message);
}

static int fail_memory(const struct place *place)
{
    return ml_fail(place->err, ML_ERR_MEMORY, "%s: no memory for the recipe", place->file);
}

static void *member(struct ml_recipe *recipe, const struct ml_recipe_field *field)
{
    return (char *)recipe + field->offset;
}

static int set_integer(const struct ml_recipe_field *field, const char *text, int64_t *out,
                       const struct place *place)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno)
        return fail_at(place, "%s must be a whole number, not \"%.60s\"", field->name, text);
    if ((double)value < field->min || (double)value > field->max)
        return fail_at(place, "%s is %lld, but must be from %.0f to %.0f", field->name, value,
                       field->min, field->max);
    *out = value;
    return 0;
}

static int set_real(const struct ml_recipe_field *field, const char *text, double *out,
                    const struct place *place)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value))
        return fail_at(place, "%s must be a number, not \"%.60s\"", field->name, text);
    if (value < field->min || value > field->max)
        return fail_at(place, "%s is %g, but must be from %g to %g", field->name, value, field->min,
                       field->max);
    *out = value;
    return 0;
}

static int set_bool(const struct ml_recipe_field *field, const char *text, bool *out,
                    const struct place *place)
{
    bool yes = strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;
    if (!yes && strcmp(text, "false") != 0 && strcmp(text, "no") != 0)
        return fail_at(place, "%s must be true or false, not \"%.60s\"", field->name, text);
    *out = yes;
    return 0;
}

static int set_choice(const struct ml_recipe_field *field, const char *text, int *out,
                      const struct place *place)
{
    char all[160] = "";
    int n = 0;
    for (; field->choice[n]; n++) {
        if (strcmp(field->choice[n], text) == 0) {
            *out = n;
            return 0;
        }
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", n ? ", " : "", field->choice[n]);
    }
    const char *near = ml_word_nearest(text, field->choice, n);
    if (near)
        return fail_at(place, "%s is \"%.60s\": did you mean %s? (one of: %s)", field->name, text,
                       near, all);
    return fail_at(place, "%s is \"%.60s\", but must be one of: %s", field->name, text, all);
}

static int set_text(struct ml_recipe *recipe, struct ml_arena *arena,
                    const struct ml_recipe_field *field, const char *text,
                    const struct place *place)
{
    void *to = member(recipe, field);
    switch (field->type) {
    case ML_RECIPE_INT:
        return set_integer(field, text, to, place);
    case ML_RECIPE_REAL:
        return set_real(field, text, to, place);
    case ML_RECIPE_BOOL:
        return set_bool(field, text, to, place);
    case ML_RECIPE_CHOICE:
        return set_choice(field, text, to, place);
    default:
        break;
    }
    if (!ml_utf8_valid(text, strlen(text)))
        return fail_at(place, "%s is not valid UTF-8", field->name);
    char *copy = ml_arena_strdup(arena, text);
    if (!copy)
        return fail_memory(place);
    *(const char **)to = copy;
    return 0;
}

/* A list from n texts (each copied). */
static int set_list(struct ml_recipe *recipe, struct ml_arena *arena,
                    const struct ml_recipe_field *field, const char *const *texts, int n,
                    const struct place *place)
{
    const char **items = ml_arena_calloc(arena, (size_t)n + 1, sizeof(char *));
    if (!items)
        return fail_memory(place);
    for (int i = 0; i < n; i++) {
        if (!ml_utf8_valid(texts[i], strlen(texts[i])))
            return fail_at(place, "%s holds text that is not valid UTF-8", field->name);
        items[i] = ml_arena_strdup(arena, texts[i]);
        if (!items[i])
            return fail_memory(place);
    }
    *(struct ml_recipe_list *)member(recipe, field) = (struct ml_recipe_list){items, n};
    return 0;
}

/* "a,b,c"; nothing gives an empty list. */
static int set_comma_list(struct ml_recipe *recipe, struct ml_arena *arena,
                          const struct ml_recipe_field *field, const char *text,
                          const struct place *place)
{
    const char *items[ML_RECIPE_MAX_LIST];
    int n = 0;
    for (const char *at = text; *at;) {
        if (*at == ' ') {
            at++;
            continue;
        }
        const char *comma = strchr(at, ',');
        size_t length = comma ? (size_t)(comma - at) : strlen(at);
        if (n == ML_RECIPE_MAX_LIST)
            return fail_at(place, "%s has more than %d items", field->name, ML_RECIPE_MAX_LIST);
        items[n] = ml_arena_strndup(arena, at, length);
        if (!items[n++])
            return fail_memory(place);
        at += length + (comma != NULL);
    }
    return set_list(recipe, arena, field, items, n, place);
}

int ml_recipe_init(struct ml_recipe *out, struct ml_arena *arena, struct ml_error *err)
{
    struct ml_recipe recipe = {0};
    struct place place = {"defaults", 0, err};
    int count;
    const struct ml_recipe_field *fields = ml_recipe_fields(&count);
    for (int i = 0; i < count; i++) {
        if (fields[i].type == ML_RECIPE_CHOICE)
            continue; /* the first choice */
        int status = fields[i].type == ML_RECIPE_LIST
                         ? set_comma_list(&recipe, arena, &fields[i], fields[i].initial, &place)
                         : set_text(&recipe, arena, &fields[i], fields[i].initial, &place);
        if (status < 0)
            return status;
    }
    *out = recipe;
    return 0;
}

static const struct ml_recipe_field *find(const char *name)
{
    int count;
    const struct ml_recipe_field *fields = ml_recipe_fields(&count);
    for (int i = 0; i < count; i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

static bool is_section(const char *name)
{
    int count;
    const struct ml_recipe_field *fields = ml_recipe_fields(&count);
    size_t n = strlen(name);
    for (int i = 0; i < count; i++)
        if (strncmp(fields[i].name, name, n) == 0 && fields[i].name[n] == '.')
            return true;
    return false;
}

/* Refuses an unknown key with the nearest known one: of its section first, then of any. */
static int fail_unknown(const char *section, const char *key, const struct place *place)
{
    char full[160];
    snprintf(full, sizeof full, "%s%s%s", section, *section ? "." : "", key);
    const char *keys[MAX_FIELDS + 8], *names[MAX_FIELDS + 8];
    int count, n = 0, near_count = 0;
    const struct ml_recipe_field *fields = ml_recipe_fields(&count);
    size_t prefix = strlen(section);
    for (int i = 0; i < count && i < MAX_FIELDS; i++) {
        const char *dot = strchr(fields[i].name, '.');
        const char *last = dot ? dot + 1 : fields[i].name;
        if (strcmp(last, key) == 0) /* the right key in the wrong section */
            return fail_at(place, "unknown key %s, did you mean %s?", full, fields[i].name);
        bool same = *section ? strncmp(fields[i].name, section, prefix) == 0 &&
                                   fields[i].name[prefix] == '.'
                             : !dot;
        if (same)
            keys[near_count++] = last;
        names[n++] = fields[i].name;
    }
    if (!*section)
        for (const char *const *s =
                 (const char *const[]){"data", "tokenizer", "model", "train", "sample", NULL};
             *s; s++)
            keys[near_count++] = *s;
    const char *near = ml_word_nearest(key, keys, near_count);
    if (near)
        return fail_at(place, "unknown key %s, did you mean %s%s%s?", full, section,
                       *section ? "." : "", near);
    near = ml_word_nearest(full, names, n);
    if (near)
        return fail_at(place, "unknown key %s, did you mean %s?", full, near);
    return fail_at(place, "unknown key %s; docs/recipe.md lists the known ones", full);
}

static int read_list(struct ml_recipe *recipe, struct ml_arena *arena,
                     const struct ml_recipe_field *field, const struct ml_yaml *node,
                     const struct place *place)
{
    const char *items[ML_RECIPE_MAX_LIST];
    int n = 0;
    if (node->kind == ML_YAML_SCALAR)
        return set_comma_list(recipe, arena, field, node->text, place);
    if (node->kind != ML_YAML_LIST)
        return fail_at(place, "%s must be a list such as [a, b]", field->name);
    for (const struct ml_yaml *item = node->first; item; item = item->next) {
        if (item->kind != ML_YAML_SCALAR)
            return fail_at(place, "%s must be a list of plain values", field->name);
        if (n == ML_RECIPE_MAX_LIST)
            return fail_at(place, "%s has more than %d items", field->name, ML_RECIPE_MAX_LIST);
        items[n++] = item->text;
    }
    return set_list(recipe, arena, field, items, n, place);
}

static int read_field(struct ml_recipe *recipe, struct ml_arena *arena, const char *section,
                      const struct ml_yaml *node, struct place place)
{
    char name[128];
    place.line = node->line;
    snprintf(name, sizeof name, "%s%s%s", section, *section ? "." : "", node->key);
    const struct ml_recipe_field *field = find(name);
    if (!field)
        return fail_unknown(section, node->key, &place);
    if (field->type == ML_RECIPE_LIST)
        return read_list(recipe, arena, field, node, &place);
    if (node->kind != ML_YAML_SCALAR)
        return fail_at(&place, "%s must be one value", field->name);
    if (!*node->text && !node->quoted && field->type != ML_RECIPE_STRING)
        return 0; /* "key:" with nothing leaves the default */
    return set_text(recipe, arena, field, node->text, &place);
}

int ml_recipe_parse(struct ml_recipe *out, struct ml_arena *arena, const char *text, size_t n,
                    const char *name, struct ml_error *err)
{
    struct ml_recipe recipe;
    struct ml_yaml *root;
    struct place place = {name, 0, err};
    int status = ml_recipe_init(&recipe, arena, err);
    if (status == 0)
        status = ml_yaml_parse(arena, text, n, name, &root, err);
    if (status < 0)
        return status;
    place.line = root->line > 0 ? root->line : 1;
    if (root->kind != ML_YAML_MAP)
        return fail_at(&place, "a recipe is a map of keys, such as \"name: my-model\"");
    for (const struct ml_yaml *node = root->first; node && status == 0; node = node->next) {
        place.line = node->line;
        if (!is_section(node->key)) {
            status = read_field(&recipe, arena, "", node, place);
            continue;
        }
        if (node->kind == ML_YAML_SCALAR && !*node->text)
            continue; /* an empty section */
        if (node->kind != ML_YAML_MAP)
            return fail_at(&place, "%s is a section: its keys stand below it, indented", node->key);
        for (const struct ml_yaml *item = node->first; item && status == 0; item = item->next)
            status = read_field(&recipe, arena, node->key, item, place);
    }
    if (status == 0)
        *out = recipe;
    return status;
}

int ml_recipe_open(struct ml_recipe *out, struct ml_arena *arena, const char *path,
                   struct ml_error *err)
{
    char *text;
    size_t size;
    int status = ml_file_read(arena, path, ML_RECIPE_MAX_BYTES, &text, &size, err);
    return status < 0 ? status : ml_recipe_parse(out, arena, text, size, path, err);
}

int ml_recipe_set(struct ml_recipe *recipe, struct ml_arena *arena, const char *assignment,
                  struct ml_error *err)
{
    struct place place = {"--set", 0, err};
    const char *equals = strchr(assignment, '=');
    char name[128];
    if (!equals || equals == assignment || (size_t)(equals - assignment) >= sizeof name)
        return fail_at(&place, "\"%.80s\" is not of the form section.key=value", assignment);
    snprintf(name, sizeof name, "%.*s", (int)(equals - assignment), assignment);
    const struct ml_recipe_field *field = find(name);
    if (field)
        return field->type == ML_RECIPE_LIST
                   ? set_comma_list(recipe, arena, field, equals + 1, &place)
                   : set_text(recipe, arena, field, equals + 1, &place);
    char *dot = strchr(name, '.');
    if (!dot)
        return fail_unknown("", name, &place);
    *dot = 0;
    return fail_unknown(name, dot + 1, &place);
}
