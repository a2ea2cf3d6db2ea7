/* Templates turn a record with fields into the text that a model learns from, and given fields into
 * the prompt that it continues.
 *
 *     <|form|>{form}[<|title|>{title}][<|author|>{author}]<|text|>\n{text}
 *
 * {field} is the field's value. [ ... ] is left out when one of the fields directly in it is
 * missing or empty; it may hold further [ ... ]. \{ \} \[ \] \\ are those characters, \n and \t
 * line end and tab. Special tokens are literal text here; in a field's value they are only text. */
#ifndef ML_TEXT_TEMPLATE_H
#define ML_TEXT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/rng.h"
#include "maliang/error.h"
#include "text/tokenizer.h"

#define ML_TEMPLATE_MAX_BYTES  65536
#define ML_TEMPLATE_MAX_FIELDS 64
#define ML_TEMPLATE_MAX_DEPTH  8

struct ml_template;

/* Owned by the arena. `text` need not outlive the call. Messages give line and column. */
int ml_template_parse(struct ml_template **out, struct ml_arena *arena, const char *text,
                      size_t size, struct ml_error *err);
/* Its fields in the order in which they first stand there. */
int ml_template_field_count(const struct ml_template *t);
const char *ml_template_field(const struct ml_template *t, int i);
/* True when the template can be filled without it. */
bool ml_template_field_optional(const struct ml_template *t, int i);
bool ml_template_has_field(const struct ml_template *t, const char *name);
/* ML_ERR_NOT_FOUND, naming the nearest known one, when the template uses a field that is not among
 * these. */
int ml_template_check(const struct ml_template *t, const char *const *known, int count,
                      struct ml_error *err);
/* The same the other way round: a field that was given but that the template does not have. */
int ml_template_check_given(const struct ml_template *t, const char *name, struct ml_error *err);

/* Sets *text and *size (borrowed until the template is filled) and returns true, or returns false
 * when the record has no such field. */
typedef bool ml_template_lookup(void *arg, const char *name, const char **text, size_t *size);

/* A filled template. Zero-initialise; it is emptied, not freed, before each use. */
struct ml_filled {
    struct ml_buffer text;
    struct ml_buffer literals; /* the template's own stretches: pairs of size_t begin, end */
    const char *next;          /* prompts: the field that the model is to write, NULL for none */
};
void ml_filled_clear(struct ml_filled *filled);

/* How optional stretches are sometimes left out, so that a model learns to do without. One number
 * is drawn for each, whether it would stand or not. */
struct ml_template_drop {
    double chance;      /* 0: never */
    struct ml_rng *rng; /* NULL: never */
};

/* A document. A missing or empty field outside [ ] is ML_ERR_NOT_FOUND. drop may be NULL. */
int ml_template_fill(const struct ml_template *t, ml_template_lookup *lookup, void *arg,
                     const struct ml_template_drop *drop, struct ml_filled *out,
                     struct ml_error *err);
/* Everything before the first field outside [ ] that is not given. */
int ml_template_prompt(const struct ml_template *t, ml_template_lookup *lookup, void *arg,
                       struct ml_filled *out, struct ml_error *err);

/* Appends the ids. Special tokens are recognised in the template's own stretches only, so that a
 * record cannot smuggle one in; all between two of them is encoded as one text. */
int ml_filled_encode(struct ml_encoder *encoder, const struct ml_filled *filled, struct ml_ids *out,
                     struct ml_error *err);

#endif
