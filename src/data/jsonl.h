/* One line of a JSONL file as a record: an object with "text" (a string, or strings that are joined
 * by line ends), perhaps "title", and further fields. */
#ifndef ML_DATA_JSONL_H
#define ML_DATA_JSONL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "maliang/error.h"

struct ml_jsonl {
    bool good;
    char problem[200]; /* why not, when it is not good */
    char *text;        /* \n at line ends; owned by the arena, like the rest */
    size_t size;
    const char *title; /* "" when there is none */
    const char *meta;  /* JSON object: other strings, numbers and truth values. "{}" */
};
/* Only running out of memory is an error. */
int ml_jsonl_parse(struct ml_jsonl *out, struct ml_arena *arena, const char *line, size_t n,
                   struct ml_error *err);

#endif
