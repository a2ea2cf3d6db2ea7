/* YAML by libyaml as a small tree that remembers lines, so that a recipe's mistakes can be shown
 * where they are. (libcyaml maps straight to structs but forgets lines and cannot suggest the
 * nearest known key, so we stand one step lower.) Aliases and tags are refused; depth and node
 * count are limited. */
#ifndef ML_BASE_YAML_H
#define ML_BASE_YAML_H

#include <stddef.h>

#include "base/arena.h"
#include "maliang/error.h"

enum ml_yaml_kind { ML_YAML_SCALAR, ML_YAML_MAP, ML_YAML_LIST };

struct ml_yaml {
    enum ml_yaml_kind kind;
    int line, column;      /* from 1 */
    const char *key;       /* the key under which a map holds this node, else NULL */
    const char *text;      /* scalar: its text */
    struct ml_yaml *first; /* map, list: children in order */
    struct ml_yaml *next;  /* sibling */
    int quoted;            /* scalar was quoted: always a string */
};

/* Everything is owned by the arena. `name` is the file name shown in messages
 * ("recipe.yaml:12: ..."). An empty document gives an empty map. */
int ml_yaml_parse(struct ml_arena *arena, const char *text, size_t n, const char *name,
                  struct ml_yaml **out, struct ml_error *err);
const struct ml_yaml *ml_yaml_get(const struct ml_yaml *map, const char *key); /* NULL: absent */

#endif
