/* JSON by jansson, with our allocator and our errors. */
#ifndef ML_BASE_JSON_H
#define ML_BASE_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "maliang/error.h"

/* Routes jansson's memory through ml_mem_*. Safe to call many times, from any thread; every
 * function below calls it. Code that builds json_t itself calls it first. */
void ml_json_setup(void);

/* Parses exactly n bytes; duplicate keys and trailing bytes are errors. `what` names the source in
 * the message ("model.safetensors header"). The caller owns *out (json_decref). */
int ml_json_parse(json_t **out, const char *text, size_t n, const char *what, struct ml_error *err);

/* Serialises (jansson flags such as JSON_COMPACT, JSON_INDENT(2)). Free with ml_mem_free. */
int ml_json_text(char **out, const json_t *value, size_t flags, struct ml_error *err);

#endif
