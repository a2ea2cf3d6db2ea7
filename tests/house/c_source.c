#include "c_source.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/files.h"

#define MAX_SOURCE ((size_t)4 << 20)

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static void blank(char *from, const char *to)
{
    for (; from < to; from++)
        if (*from != '\n')
            *from = ' ';
}

/* Behind the string or character that begins at `at` with `quote`. */
static char *end_of_quote(char *at, char quote)
{
    char *p = at + 1;
    while (*p && *p != quote && *p != '\n')
        p += p[0] == '\\' && p[1] ? 2 : 1;
    return *p == quote ? p + 1 : p;
}

static void blank_comments_and_quotes(char *code)
{
    for (char *p = code; *p;) {
        char *start = p;
        if (p[0] == '/' && p[1] == '*') {
            p = strstr(p + 2, "*/");
            p = p ? p + 2 : start + strlen(start);
            blank(start, p);
        } else if (p[0] == '/' && p[1] == '/') {
            p += strcspn(p, "\n");
            blank(start, p);
        } else if (*p == '"' || (*p == '\'' && (p == code || !isalnum((unsigned char)p[-1])))) {
            p = end_of_quote(p, *p);
            if (p - start > 2)
                blank(start + 1, p - 1);
        } else {
            p++;
        }
    }
}

int c_source_read(struct c_source *out, struct ml_arena *arena, const char *root, const char *path,
                  struct ml_error *err)
{
    char *whole = ml_path_join(arena, root, path);
    if (!whole)
        return ML_ERR_MEMORY;
    *out = (struct c_source){.path = path};
    int status = ml_file_read(arena, whole, MAX_SOURCE, &out->text, &out->size, err);
    if (status)
        return status;
    out->code = ml_arena_strndup(arena, out->text, out->size);
    if (!out->code)
        return ML_ERR_MEMORY;
    blank_comments_and_quotes(out->code);
    return 0;
}

int c_source_line(const struct c_source *source, size_t offset)
{
    int line = 1;
    for (size_t i = 0; i < offset && i < source->size; i++)
        line += source->text[i] == '\n';
    return line;
}

bool c_source_include(const struct c_source *source, size_t *offset, const char **name, size_t *n)
{
    const char *code = source->code;
    for (const char *p = code + *offset; (p = strchr(p, '#')); p++) {
        const char *before = p;
        while (before > code && (before[-1] == ' ' || before[-1] == '\t'))
            before--;
        const char *word = p + 1 + strspn(p + 1, " \t");
        if ((before > code && before[-1] != '\n') || strncmp(word, "include", 7) != 0)
            continue;
        const char *quote = word + 7 + strspn(word + 7, " \t");
        if (*quote != '"')
            continue;
        *name = source->text + (quote + 1 - code);
        *n = strcspn(*name, "\"\n");
        *offset = (size_t)(quote + 1 - code) + *n + 1;
        *offset = *offset < source->size ? *offset : source->size;
        return true;
    }
    return false;
}

/* Behind a preprocessor line and the lines that continue it. */
static const char *end_of_directive(const char *p)
{
    for (;;) {
        p += strcspn(p, "\n");
        if (*p == '\0')
            return p;
        if (p[-1] != '\\')
            return p + 1;
        p++;
    }
}

/* The brace that closes the one at p, or the end of the text. Directives inside are stepped over.
 */
static const char *end_of_braces(const char *p)
{
    int depth = 0;
    bool line_start = false;
    while (*p) {
        if (line_start && *p == '#') {
            p = end_of_directive(p);
            continue;
        }
        depth += (*p == '{') - (*p == '}');
        if (depth == 0)
            return p;
        line_start = *p == '\n' || (line_start && (*p == ' ' || *p == '\t'));
        p++;
    }
    return p;
}

/* The word before the first '(' of a declaration is the function's name. */
static void name_of(const char *declaration, const char *brace, struct c_function *out)
{
    const char *paren = memchr(declaration, '(', (size_t)(brace - declaration));
    const char *end = paren ? paren : brace;
    while (end > declaration && isspace((unsigned char)end[-1]))
        end--;
    const char *start = end;
    while (start > declaration && is_word(start[-1]))
        start--;
    snprintf(out->name, sizeof out->name, "%.*s", (int)(end - start), start);
}

bool c_source_function(const struct c_source *source, size_t *offset, struct c_function *out)
{
    const char *code = source->code, *declaration = NULL;
    for (const char *p = code + *offset; *p;) {
        if (*p == '#' && !declaration) {
            p = end_of_directive(p);
        } else if (*p == ';') {
            declaration = NULL;
            p++;
        } else if (*p == '{') {
            const char *before = p, *close = end_of_braces(p);
            while (before > code && isspace((unsigned char)before[-1]))
                before--;
            bool body = declaration && before > code && before[-1] == ')';
            if (body) {
                name_of(declaration, p, out);
                out->first_line = c_source_line(source, (size_t)(declaration - code));
                out->last_line = c_source_line(source, (size_t)(close - code));
                *offset = (size_t)(close - code) + (*close != '\0');
                return true;
            }
            /* A struct, an initialiser or extern "C": the latter's inside counts as outside. */
            bool linkage = declaration && strncmp(declaration, "extern \"", 8) == 0;
            p = linkage ? p + 1 : close + (*close != '\0');
            declaration = linkage ? NULL : declaration;
        } else {
            if (!declaration && !isspace((unsigned char)*p) && *p != '}')
                declaration = p;
            p++;
        }
    }
    return false;
}

/* The name at word if a '(' follows it. */
static const char *called(const char *word, size_t n, const char *const *names)
{
    const char *after = word + n;
    after += strspn(after, " \t\n");
    if (*after != '(')
        return NULL;
    for (; *names; names++)
        if (strlen(*names) == n && memcmp(*names, word, n) == 0)
            return *names;
    return NULL;
}

bool c_source_call(const struct c_source *source, size_t *offset, const char *const *names,
                   const char **found)
{
    const char *code = source->code;
    for (const char *p = code + *offset; *p;) {
        if (!is_word(*p)) {
            p++;
            continue;
        }
        const char *word = p;
        while (is_word(*p))
            p++;
        bool member = word > code &&
                      (word[-1] == '.' || (word > code + 1 && word[-1] == '>' && word[-2] == '-'));
        *found = member ? NULL : called(word, (size_t)(p - word), names);
        if (*found) {
            *offset = (size_t)(p - code);
            return true;
        }
    }
    return false;
}
