/* Recipes out: as YAML with comments, as reference, as hash, and what differs between two. */
#include <math.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/recipe.h"

static const void *member(const struct ml_recipe *recipe, const struct ml_recipe_field *field)
{
    return (const char *)recipe + field->offset;
}

/* A sink of bytes: a growing buffer, a fixed one, or a hash. */
struct sink {
    void (*put)(struct sink *sink, const char *bytes, size_t n);
    void *arg;
    size_t used, limit;
    int status;
    struct ml_error *err;
};

static void put_text(struct sink *sink, const char *text)
{
    sink->put(sink, text, strlen(text));
}

static void put_format(struct sink *sink, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put_format(struct sink *sink, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put_text(sink, text);
}

static void to_buffer(struct sink *sink, const char *bytes, size_t n)
{
    if (sink->status == 0)
        sink->status = ml_buffer_put(sink->arg, bytes, n, sink->err);
}

static void to_fixed(struct sink *sink, const char *bytes, size_t n)
{
    size_t room = sink->limit - 1 - sink->used;
    n = n < room ? n : room;
    memcpy((char *)sink->arg + sink->used, bytes, n);
    sink->used += n;
    ((char *)sink->arg)[sink->used] = 0;
}

static void to_hash(struct sink *sink, const char *bytes, size_t n)
{
    crypto_hash_sha256_update(sink->arg, (const unsigned char *)bytes, n);
}

/* A double-quoted YAML scalar. */
static void put_quoted(struct sink *sink, const char *text)
{
    put_text(sink, "\"");
    for (const char *at = text; *at; at++) {
        unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\')
            put_format(sink, "\\%c", c);
        else if (c == '\n')
            put_text(sink, "\\n");
        else if (c == '\t')
            put_text(sink, "\\t");
        else if (c < 0x20 || c == 0x7f)
            put_format(sink, "\\x%02X", c);
        else
            sink->put(sink, at, 1);
    }
    put_text(sink, "\"");
}

/* The shortest decimal that reads back as the same double. */
static void put_real(struct sink *sink, double value)
{
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    put_text(sink, text);
}

static void put_value(struct sink *sink, const struct ml_recipe *recipe,
                      const struct ml_recipe_field *field)
{
    const void *value = member(recipe, field);
    const struct ml_recipe_list *list = value;
    switch (field->type) {
    case ML_RECIPE_STRING:
        put_quoted(sink, *(const char *const *)value);
        break;
    case ML_RECIPE_INT:
        put_format(sink, "%lld", (long long)*(const int64_t *)value);
        break;
    case ML_RECIPE_REAL:
        put_real(sink, *(const double *)value);
        break;
    case ML_RECIPE_BOOL:
        put_text(sink, *(const bool *)value ? "true" : "false");
        break;
    case ML_RECIPE_CHOICE:
        put_text(sink, field->choice[*(const int *)value]);
        break;
    case ML_RECIPE_LIST:
        put_text(sink, "[");
        for (int i = 0; i < list->count; i++) {
            put_text(sink, i ? ", " : "");
            put_quoted(sink, list->items[i]);
        }
        put_text(sink, "]");
        break;
    }
}

char *ml_recipe_value(const struct ml_recipe *recipe, const struct ml_recipe_field *field,
                      char *buffer, size_t n)
{
    struct sink sink = {.put = to_fixed, .arg = buffer, .limit = n};
    buffer[0] = 0;
    put_value(&sink, recipe, field);
    return buffer;
}

static void put_limits(struct sink *sink, const struct ml_recipe_field *field)
{
    if (field->type == ML_RECIPE_CHOICE)
        for (int i = 0; field->choice[i]; i++)
            put_format(sink, "%s%s", i ? ", " : "", field->choice[i]);
    else if (field->type == ML_RECIPE_INT)
        put_format(sink, "%.0f to %.0f", field->min, field->max);
    else if (field->type == ML_RECIPE_REAL)
        put_format(sink, "%g to %g", field->min, field->max);
    else
        put_text(sink, field->type == ML_RECIPE_BOOL   ? "true, false"
                       : field->type == ML_RECIPE_LIST ? "list of text"
                                                       : "text");
}

/* "train" of "train.lr"; 0 for a key without section. */
static size_t section_length(const char *name)
{
    const char *dot = strchr(name, '.');
    return dot ? (size_t)(dot - name) : 0;
}

static bool new_section(const struct ml_recipe_field *fields, int i)
{
    size_t n = section_length(fields[i].name);
    return n > 0 && (i == 0 || section_length(fields[i - 1].name) != n ||
                     strncmp(fields[i].name, fields[i - 1].name, n) != 0);
}

int ml_recipe_print(const struct ml_recipe *recipe, struct ml_buffer *out, struct ml_error *err)
{
    struct sink sink = {.put = to_buffer, .arg = out, .err = err};
    int count;
    const struct ml_recipe_field *fields = ml_recipe_fields(&count);
    for (int i = 0; i < count; i++) {
        size_t section = section_length(fields[i].name);
        if (new_section(fields, i))
            put_format(&sink, "\n%.*s:\n", (int)section, fields[i].name);
        const char *indent = section ? "  " : "";
        put_format(&sink, "%s# %s\n%s%s: ", indent, fields[i].what, indent,
                   fields[i].name + (section ? section + 1 : 0));
        put_value(&sink, recipe, &fields[i]);
        put_text(&sink, "\n");
    }
    return sink.status;
}

int ml_recipe_document(struct ml_buffer *out, struct ml_error *err)
{
    struct sink sink = {.put = to_buffer, .arg = out, .err = err};
    int count;
    const struct ml_recipe_field *fields = ml_recipe_fields(&count);
    put_text(&sink, "# Recipes\n\nA recipe is a YAML file. Every key may be left out. Each can be "
                    "overridden on the command line:\n`--set train.lr=0.002`. Unknown keys are "
                    "refused with the nearest known one. This page is printed from the\ntable "
                    "that the reader uses.\n\n| Key | Default | Values | What |\n|---|---|---|---|"
                    "\n");
    for (int i = 0; i < count; i++) {
        const char *initial =
            fields[i].type == ML_RECIPE_CHOICE ? fields[i].choice[0] : fields[i].initial;
        put_format(&sink, "| `%s` | ", fields[i].name);
        for (const char *at = initial; *at; at++)
            put_format(&sink, *at == '|' ? "\\%c" : "%c", *at);
        put_text(&sink, " | ");
        put_limits(&sink, &fields[i]);
        put_format(&sink, " | %s |\n", fields[i].what);
    }
    return sink.status;
}

void ml_recipe_hash(const struct ml_recipe *recipe, bool only_fixed, char out[65])
{
    crypto_hash_sha256_state state;
    unsigned char digest[crypto_hash_sha256_BYTES];
    struct sink sink = {.put = to_hash, .arg = &state};
    int count;
    const struct ml_recipe_field *fields = ml_recipe_fields(&count);
    crypto_hash_sha256_init(&state);
    for (int i = 0; i < count; i++) {
        if (only_fixed && fields[i].free)
            continue;
        put_format(&sink, "%s: ", fields[i].name);
        put_value(&sink, recipe, &fields[i]);
        put_text(&sink, "\n");
    }
    crypto_hash_sha256_final(&state, digest);
    sodium_bin2hex(out, 65, digest, sizeof digest);
}

static bool same_value(const struct ml_recipe *a, const struct ml_recipe *b,
                       const struct ml_recipe_field *field)
{
    const void *x = member(a, field), *y = member(b, field);
    const struct ml_recipe_list *p = x, *q = y;
    switch (field->type) {
    case ML_RECIPE_STRING:
        return strcmp(*(const char *const *)x, *(const char *const *)y) == 0;
    case ML_RECIPE_INT:
        return *(const int64_t *)x == *(const int64_t *)y;
    case ML_RECIPE_REAL:
        return *(const double *)x == *(const double *)y;
    case ML_RECIPE_BOOL:
        return *(const bool *)x == *(const bool *)y;
    case ML_RECIPE_CHOICE:
        return *(const int *)x == *(const int *)y;
    case ML_RECIPE_LIST:
        break;
    }
    for (int i = 0; i < p->count && i < q->count; i++)
        if (strcmp(p->items[i], q->items[i]) != 0)
            return false;
    return p->count == q->count;
}

const struct ml_recipe_field *ml_recipe_difference(const struct ml_recipe *a,
                                                   const struct ml_recipe *b)
{
    int count;
    const struct ml_recipe_field *fields = ml_recipe_fields(&count);
    for (int i = 0; i < count; i++)
        if (!fields[i].free && !same_value(a, b, &fields[i]))
            return &fields[i];
    return NULL;
}
