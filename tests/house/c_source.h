/* A C file as the rules of the house see it. */
#ifndef ML_TESTS_C_SOURCE_H
#define ML_TESTS_C_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

struct c_source {
    const char *path; /* from the project's root */
    char *text;
    char *code; /* text with the inside of comments, strings and characters blanked, same length */
    size_t size;
};

int c_source_read(struct c_source *out, struct ml_arena *arena, const char *root, const char *path,
                  struct ml_error *err);

/* The line (from 1) of an offset. */
int c_source_line(const struct c_source *source, size_t offset);

/* Finds the next #include "..." at or after *offset and moves *offset behind it. */
bool c_source_include(const struct c_source *source, size_t *offset, const char **name, size_t *n);

/* Finds the next function body at or after *offset and moves *offset behind it. */
struct c_function {
    int first_line, last_line; /* from the line that its declaration begins on to its brace */
    char name[80];
};
bool c_source_function(const struct c_source *source, size_t *offset, struct c_function *out);

/* Whether a call of one of the names stands at or after *offset; a member (x.free, x->free) is
 * none.
 */
bool c_source_call(const struct c_source *source, size_t *offset, const char *const *names,
                   const char **found);

#endif
