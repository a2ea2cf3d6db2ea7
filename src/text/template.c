#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "base/words.h"
#include "text/template.h"
#include "text/tokenizer_impl.h"

#define MAX_FIELD_BYTES 64

enum node_kind { LITERAL, FIELD, OPTIONAL };

struct node {
    enum node_kind kind;
    const char *text; /* LITERAL */
    size_t size;
    int field; /* FIELD: its index */
    int end;   /* OPTIONAL: the node after its last one */
};

struct ml_template {
    struct node *nodes;
    int node_count;
    const char *fields[ML_TEMPLATE_MAX_FIELDS];
    bool required[ML_TEMPLATE_MAX_FIELDS]; /* stands somewhere outside [ ] */
    int field_count;
};

struct parser {
    struct ml_template *t;
    struct ml_arena *arena;
    const char *text;
    size_t size, at;
    int open[ML_TEMPLATE_MAX_DEPTH]; /* OPTIONAL nodes that are not closed yet */
    size_t opened_at[ML_TEMPLATE_MAX_DEPTH];
    int depth;
    char *literal; /* the one that is being collected */
    size_t literal_size;
};

static int syntax(const struct parser *p, size_t at, const char *what, struct ml_error *err)
{
    int line = 1;
    size_t start = 0;
    for (size_t i = 0; i < at; i++)
        if (p->text[i] == '\n') {
            line++;
            start = i + 1;
        }
    return ml_fail(err, ML_ERR_FORMAT, "template, line %d, column %zu: %s", line,
                   ml_utf8_count(p->text + start, at - start) + 1, what);
}

static int no_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory filling a template");
}

static struct node *add_node(struct parser *p, enum node_kind kind)
{
    struct node *node = &p->t->nodes[p->t->node_count++];
    *node = (struct node){.kind = kind};
    return node;
}

static void end_literal(struct parser *p)
{
    if (p->literal_size == 0)
        return;
    struct node *node = add_node(p, LITERAL);
    node->text = p->literal;
    node->size = p->literal_size;
    p->literal += p->literal_size;
    p->literal_size = 0;
}

static int parse_escape(struct parser *p, struct ml_error *err)
{
    char c = p->at + 1 < p->size ? p->text[p->at + 1] : 0;
    if (c == 'n' || c == 't')
        p->literal[p->literal_size++] = c == 'n' ? '\n' : '\t';
    else if (c && strchr("{}[]\\", c))
        p->literal[p->literal_size++] = c;
    else
        return syntax(p, p->at, "after \\ comes one of { } [ ] \\ n t", err);
    p->at += 2;
    return 0;
}

static int find_field(const struct ml_template *t, const char *name)
{
    for (int i = 0; i < t->field_count; i++)
        if (strcmp(t->fields[i], name) == 0)
            return i;
    return -1;
}

static int parse_field(struct parser *p, struct ml_error *err)
{
    size_t start = p->at + 1, end = start;
    while (end < p->size && !strchr("{}[]\\ \t\r\n", p->text[end]))
        end++;
    if (end == p->size || p->text[end] != '}')
        return syntax(p, p->at, "a field is {name}; write \\{ for a brace", err);
    if (end == start || end - start > MAX_FIELD_BYTES)
        return syntax(p, p->at, "a field's name has 1 to 64 bytes", err);
    char *name = ml_arena_strndup(p->arena, p->text + start, end - start);
    if (!name)
        return no_memory(err);
    int field = find_field(p->t, name);
    if (field < 0) {
        if (p->t->field_count == ML_TEMPLATE_MAX_FIELDS)
            return syntax(p, p->at, "more than 64 different fields", err);
        field = p->t->field_count++;
        p->t->fields[field] = name;
    }
    if (p->depth == 0)
        p->t->required[field] = true;
    end_literal(p);
    add_node(p, FIELD)->field = field;
    p->at = end + 1;
    return 0;
}

static int parse_bracket(struct parser *p, struct ml_error *err)
{
    end_literal(p);
    if (p->text[p->at] == '[') {
        if (p->depth == ML_TEMPLATE_MAX_DEPTH)
            return syntax(p, p->at, "[ ] inside more than 8 others", err);
        p->opened_at[p->depth] = p->at;
        p->open[p->depth++] = p->t->node_count;
        add_node(p, OPTIONAL);
    } else {
        if (p->depth == 0)
            return syntax(p, p->at, "] closes nothing; write \\] for a bracket", err);
        p->t->nodes[p->open[--p->depth]].end = p->t->node_count;
    }
    p->at++;
    return 0;
}

int ml_template_parse(struct ml_template **out, struct ml_arena *arena, const char *text,
                      size_t size, struct ml_error *err)
{
    if (size > ML_TEMPLATE_MAX_BYTES)
        return ml_fail(err, ML_ERR_LIMIT, "a template of %zu bytes; the limit is %d", size,
                       ML_TEMPLATE_MAX_BYTES);
    struct parser p = {.arena = arena, .text = text, .size = size};
    p.t = ml_arena_calloc(arena, 1, sizeof *p.t);
    p.literal = ml_arena_alloc(arena, size + 1);
    if (p.t)
        p.t->nodes = ml_arena_alloc(arena, (size + 1) * sizeof *p.t->nodes);
    if (!p.t || !p.literal || !p.t->nodes)
        return no_memory(err);
    int code = 0;
    while (code == 0 && p.at < size) {
        char c = text[p.at];
        if (c == 0)
            code = syntax(&p, p.at, "a template cannot hold a NUL", err);
        else if (c == '\\')
            code = parse_escape(&p, err);
        else if (c == '{')
            code = parse_field(&p, err);
        else if (c == '}')
            code = syntax(&p, p.at, "} closes nothing; write \\} for a brace", err);
        else if (c == '[' || c == ']')
            code = parse_bracket(&p, err);
        else
            p.literal[p.literal_size++] = text[p.at++];
    }
    if (code == 0 && p.depth > 0)
        code =
            syntax(&p, p.opened_at[p.depth - 1], "[ is never closed; write \\[ for a bracket", err);
    if (code < 0)
        return code;
    end_literal(&p);
    *out = p.t;
    return 0;
}

int ml_template_field_count(const struct ml_template *t)
{
    return t->field_count;
}

const char *ml_template_field(const struct ml_template *t, int i)
{
    return i >= 0 && i < t->field_count ? t->fields[i] : NULL;
}

bool ml_template_field_optional(const struct ml_template *t, int i)
{
    return i >= 0 && i < t->field_count && !t->required[i];
}

bool ml_template_has_field(const struct ml_template *t, const char *name)
{
    return find_field(t, name) >= 0;
}

static int unknown_field(const char *name, const char *whose, const char *const *known, int count,
                         struct ml_error *err)
{
    const char *nearest = ml_word_nearest(name, known, count);
    if (nearest)
        return ml_fail(err, ML_ERR_NOT_FOUND, "%s no field \"%s\"; did you mean \"%s\"?", whose,
                       name, nearest);
    char list[256] = "";
    size_t used = 0;
    for (int i = 0; i < count && used + strlen(known[i]) + 3 < sizeof list; i++) {
        if (used)
            used += (size_t)(stpcpy(list + used, ", ") - (list + used));
        used += (size_t)(stpcpy(list + used, known[i]) - (list + used));
    }
    return ml_fail(err, ML_ERR_NOT_FOUND, "%s no field \"%s\"; there are: %s", whose, name,
                   used ? list : "none");
}

int ml_template_check(const struct ml_template *t, const char *const *known, int count,
                      struct ml_error *err)
{
    for (int i = 0; i < t->field_count; i++) {
        int k = 0;
        while (k < count && strcmp(known[k], t->fields[i]) != 0)
            k++;
        if (k == count)
            return unknown_field(t->fields[i], "the records have", known, count, err);
    }
    return 0;
}

int ml_template_check_given(const struct ml_template *t, const char *name, struct ml_error *err)
{
    if (find_field(t, name) >= 0)
        return 0;
    return unknown_field(name, "the model's template has", t->fields, t->field_count, err);
}

void ml_filled_clear(struct ml_filled *filled)
{
    if (!filled)
        return;
    ml_buffer_clear(&filled->text);
    ml_buffer_clear(&filled->literals);
    filled->next = NULL;
}

struct filler {
    const struct ml_template *t;
    const struct ml_template_drop *drop;
    bool prompt;
    const char *value[ML_TEMPLATE_MAX_FIELDS]; /* NULL: missing or empty */
    size_t value_size[ML_TEMPLATE_MAX_FIELDS];
    struct ml_filled *out;
};

/* The node after this one and all that is in it. */
static int after(const struct node *nodes, int i)
{
    return nodes[i].kind == OPTIONAL ? nodes[i].end : i + 1;
}

static bool stands(const struct filler *f, int optional)
{
    const struct node *nodes = f->t->nodes;
    for (int i = optional + 1; i < nodes[optional].end; i = after(nodes, i))
        if (nodes[i].kind == FIELD && !f->value[nodes[i].field])
            return false;
    return true;
}

static int put_literal(struct filler *f, const struct node *node, struct ml_error *err)
{
    size_t span[2] = {f->out->text.size, f->out->text.size + node->size};
    int code = ml_buffer_put(&f->out->literals, span, sizeof span, err);
    return code < 0 ? code : ml_buffer_put(&f->out->text, node->text, node->size, err);
}

/* Walks the nodes in order, skipping optional ones that do not stand. A drawn number belongs to
 * each optional node, skipped or not, so that the draws do not depend on the record. */
static int emit(struct filler *f, struct ml_error *err)
{
    const struct node *nodes = f->t->nodes;
    int skip_until = 0;
    for (int i = 0; i < f->t->node_count; i++) {
        bool dropped = nodes[i].kind == OPTIONAL && f->drop && f->drop->rng &&
                       f->drop->chance > 0 && ml_rng_double(f->drop->rng) < f->drop->chance;
        int code = 0;
        if (i < skip_until)
            continue;
        if (nodes[i].kind == OPTIONAL && (dropped || !stands(f, i))) {
            skip_until = nodes[i].end;
        } else if (nodes[i].kind == LITERAL) {
            code = put_literal(f, &nodes[i], err);
        } else if (nodes[i].kind == FIELD && f->value[nodes[i].field]) {
            int field = nodes[i].field;
            code = ml_buffer_put(&f->out->text, f->value[field], f->value_size[field], err);
        } else if (nodes[i].kind == FIELD) {
            const char *name = f->t->fields[nodes[i].field];
            if (f->prompt) {
                f->out->next = name;
                return 0;
            }
            code = ml_fail(err, ML_ERR_NOT_FOUND,
                           "the record has no \"%s\", which the template needs", name);
        }
        if (code < 0)
            return code;
    }
    return 0;
}

static int fill(struct filler *f, ml_template_lookup *lookup, void *arg, struct ml_error *err)
{
    for (int i = 0; i < f->t->field_count; i++) {
        const char *text = NULL;
        size_t size = 0;
        if (lookup(arg, f->t->fields[i], &text, &size) && size > 0) {
            f->value[i] = text;
            f->value_size[i] = size;
        }
    }
    f->out->text.size = f->out->literals.size = 0;
    f->out->next = NULL;
    /* So that the text of an empty document is a string too. */
    int code = ml_buffer_put(&f->out->text, "", 0, err);
    if (code == 0)
        code = emit(f, err);
    if (code < 0)
        f->out->text.size = f->out->literals.size = 0;
    return code;
}

int ml_template_fill(const struct ml_template *t, ml_template_lookup *lookup, void *arg,
                     const struct ml_template_drop *drop, struct ml_filled *out,
                     struct ml_error *err)
{
    struct filler f = {.t = t, .drop = drop, .out = out};
    return fill(&f, lookup, arg, err);
}

int ml_template_prompt(const struct ml_template *t, ml_template_lookup *lookup, void *arg,
                       struct ml_filled *out, struct ml_error *err)
{
    struct filler f = {.t = t, .prompt = true, .out = out};
    return fill(&f, lookup, arg, err);
}

int ml_filled_encode(struct ml_encoder *encoder, const struct ml_filled *filled, struct ml_ids *out,
                     struct ml_error *err)
{
    const struct ml_tokenizer *tokenizer = ml_encoder_tokenizer(encoder);
    const char *text = filled->text.data;
    size_t before = out->count, done = 0;
    int code = 0;
    for (size_t i = 0; code == 0 && i < filled->literals.size; i += 2 * sizeof(size_t)) {
        size_t span[2];
        memcpy(span, filled->literals.data + i, sizeof span);
        while (code == 0 && span[0] < span[1]) {
            size_t begin = 0, length = 0;
            int32_t id = ml_special_next(tokenizer, text + span[0], span[1] - span[0], true, &begin,
                                         &length);
            if (id < 0)
                break;
            begin += span[0];
            code = ml_encode(encoder, text + done, begin - done, ML_ENCODE_PLAIN, out, err);
            if (code == 0)
                code = ml_ids_put(out, id, err);
            done = span[0] = begin + length;
        }
    }
    if (code == 0 && filled->text.size > done)
        code = ml_encode(encoder, text + done, filled->text.size - done, ML_ENCODE_PLAIN, out, err);
    if (code < 0)
        out->count = before;
    return code;
}
