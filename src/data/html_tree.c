#include "data/html_tree.h"

#include <string.h>

#include "base/fail.h"
#include "data/html_entities.h"

/* ---- what a tag does ---- */

enum kind {
    INLINE, /* span, cite, custom elements: an end tag goes past these only */
    BLOCK,  /* closes an open paragraph */
    PARAGRAPH,
    HEADING,
    LIST,   /* a border for the items within */
    ITEM,   /* li, dd, dt: closes the one before */
    CHOICE, /* option, optgroup, rt, rp: closes the one before when that is innermost */
    ONE,    /* button, select: closes one that is open */
    TABLE,
    ROWS, /* tbody, thead, tfoot */
    ROW,
    CELL,    /* td, th, caption: a border for what is within */
    SCOPE,   /* template, object: likewise */
    VOID,    /* no content */
    ROOT,    /* html, head, body */
    IGNORED, /* formatting: the tag goes, what is within stays */
    SKIPPED, /* all up to the end tag goes */
    SCRIPT,
    TITLE
};

#define NAME 10 /* bytes of a name that are compared: the longest in the table */

struct row {
    char name[NAME];
    uint8_t kind, tag;
};

/* In the order of memcmp. An element that is not here is INLINE, OTHER. */
static const struct row rows[] = {
    {"a", INLINE, ML_HTML_A},
    {"abbr", IGNORED, 0},
    {"acronym", IGNORED, 0},
    {"address", BLOCK, ML_HTML_ADDRESS},
    {"annotation", SKIPPED, 0}, /* a formula a second time, for programs */
    {"applet", SCOPE, ML_HTML_MEDIA},
    {"area", VOID, ML_HTML_AREA},
    {"article", BLOCK, ML_HTML_ARTICLE},
    {"aside", BLOCK, ML_HTML_ASIDE},
    {"audio", SCOPE, ML_HTML_MEDIA},
    {"b", IGNORED, 0},
    {"base", VOID, ML_HTML_BASE},
    {"bdi", IGNORED, 0},
    {"bdo", IGNORED, 0},
    {"big", IGNORED, 0},
    {"blockquote", BLOCK, ML_HTML_BLOCKQUOTE},
    {"body", ROOT, ML_HTML_BODY},
    {"br", VOID, ML_HTML_BR},
    {"button", ONE, ML_HTML_BUTTON},
    {"canvas", SCOPE, ML_HTML_MEDIA},
    {"caption", CELL, ML_HTML_CAPTION},
    {"center", BLOCK, ML_HTML_DIV},
    {"cite", IGNORED, 0},
    {"code", IGNORED, 0},
    {"col", IGNORED, 0},
    {"colgroup", IGNORED, 0},
    {"dd", ITEM, ML_HTML_DD},
    {"del", IGNORED, 0},
    {"details", BLOCK, ML_HTML_DETAILS},
    {"dfn", IGNORED, 0},
    {"dir", LIST, ML_HTML_LIST},
    {"div", BLOCK, ML_HTML_DIV},
    {"dl", LIST, ML_HTML_DL},
    {"dt", ITEM, ML_HTML_DT},
    {"em", IGNORED, 0},
    {"embed", IGNORED, 0},
    {"fieldset", BLOCK, ML_HTML_DIV},
    {"figcaption", BLOCK, ML_HTML_FIGCAPTION},
    {"figure", BLOCK, ML_HTML_FIGURE},
    {"font", IGNORED, 0},
    {"footer", BLOCK, ML_HTML_FOOTER},
    {"form", BLOCK, ML_HTML_FORM},
    {"frame", IGNORED, 0},
    {"frameset", IGNORED, 0},
    {"h1", HEADING, ML_HTML_HEADING},
    {"h2", HEADING, ML_HTML_HEADING},
    {"h3", HEADING, ML_HTML_HEADING},
    {"h4", HEADING, ML_HTML_HEADING},
    {"h5", HEADING, ML_HTML_HEADING},
    {"h6", HEADING, ML_HTML_HEADING},
    {"head", ROOT, ML_HTML_HEAD},
    {"header", BLOCK, ML_HTML_HEADER},
    {"hgroup", BLOCK, ML_HTML_DIV},
    {"hr", VOID, ML_HTML_HR},
    {"html", ROOT, ML_HTML_HTML},
    {"i", IGNORED, 0},
    {"iframe", SKIPPED, 0},
    {"image", IGNORED, 0},
    {"img", IGNORED, 0},
    {"input", IGNORED, 0},
    {"ins", IGNORED, 0},
    {"kbd", IGNORED, 0},
    {"label", IGNORED, 0},
    {"legend", BLOCK, ML_HTML_DIV},
    {"li", ITEM, ML_HTML_LI},
    {"link", VOID, ML_HTML_LINK},
    {"listing", BLOCK, ML_HTML_PRE},
    {"main", BLOCK, ML_HTML_MAIN},
    {"map", IGNORED, 0},
    {"mark", IGNORED, 0},
    {"marquee", SCOPE, ML_HTML_DIV},
    {"menu", LIST, ML_HTML_LIST},
    {"meta", VOID, ML_HTML_META},
    {"nav", BLOCK, ML_HTML_NAV},
    {"nobr", IGNORED, 0},
    {"noembed", SKIPPED, 0},
    {"noframes", SKIPPED, 0},
    {"noscript", SKIPPED, 0},
    {"object", SCOPE, ML_HTML_MEDIA},
    {"ol", LIST, ML_HTML_LIST},
    {"optgroup", CHOICE, ML_HTML_OPTION},
    {"option", CHOICE, ML_HTML_OPTION},
    {"p", PARAGRAPH, ML_HTML_P},
    {"param", IGNORED, 0},
    {"path", IGNORED, 0},
    {"picture", IGNORED, 0},
    {"pre", BLOCK, ML_HTML_PRE},
    {"q", IGNORED, 0},
    {"rb", IGNORED, 0},
    {"rp", CHOICE, ML_HTML_RT},
    {"rt", CHOICE, ML_HTML_RT},
    {"ruby", IGNORED, 0},
    {"s", IGNORED, 0},
    {"samp", IGNORED, 0},
    {"script", SCRIPT, ML_HTML_SCRIPT},
    {"section", BLOCK, ML_HTML_SECTION},
    {"select", ONE, ML_HTML_SELECT},
    {"small", IGNORED, 0},
    {"source", IGNORED, 0},
    {"span", INLINE, ML_HTML_SPAN},
    {"strike", IGNORED, 0},
    {"strong", IGNORED, 0},
    {"style", SKIPPED, 0},
    {"sub", IGNORED, 0},
    {"summary", BLOCK, ML_HTML_DIV},
    {"sup", IGNORED, 0},
    {"svg", SKIPPED, 0},
    {"table", TABLE, ML_HTML_TABLE},
    {"tbody", ROWS, ML_HTML_TBODY},
    {"td", CELL, ML_HTML_TD},
    {"template", SCOPE, ML_HTML_TEMPLATE},
    {"textarea", SKIPPED, 0},
    {"tfoot", ROWS, ML_HTML_TBODY},
    {"th", CELL, ML_HTML_TH},
    {"thead", ROWS, ML_HTML_TBODY},
    {"time", INLINE, ML_HTML_TIME},
    {"title", TITLE, ML_HTML_TITLE},
    {"tr", ROW, ML_HTML_TR},
    {"track", IGNORED, 0},
    {"tt", IGNORED, 0},
    {"u", IGNORED, 0},
    {"ul", LIST, ML_HTML_LIST},
    {"var", IGNORED, 0},
    {"video", SCOPE, ML_HTML_MEDIA},
    {"wbr", IGNORED, 0},
    {"xmp", SKIPPED, 0},
};

struct open {
    uint32_t node;
    uint32_t hash; /* of the whole name */
    uint8_t kind;
};

/* A tag as the tree sees it. */
struct tag {
    struct ml_html_tag_token token;
    uint32_t hash;
    uint8_t kind, tag;
    uint8_t row; /* when the element is one of `rows` */
};
_Static_assert(sizeof rows / sizeof rows[0] < 256, "a row's number is a byte");

struct builder {
    const char *text, *name;
    size_t n;
    struct ml_html_tree *tree;
    struct ml_error *err;
    struct open open[ML_HTML_MAX_DEPTH];
    uint32_t depth;
    uint32_t too_deep;   /* start tags that were left out and will have end tags */
    uint32_t head, body; /* 0: not yet */
    bool unclosed[sizeof rows / sizeof rows[0]]; /* no more end tags of this element */
};

static void look_up(struct tag *out)
{
    struct ml_html_span name = out->token.name;
    char small[NAME] = {0};
    out->hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < name.n; i++) {
        char c = name.at[i] >= 'A' && name.at[i] <= 'Z' ? (char)(name.at[i] | 0x20) : name.at[i];
        if (i < NAME)
            small[i] = c;
        out->hash = (out->hash ^ (unsigned char)c) * 16777619u;
    }
    out->kind = INLINE;
    out->tag = ML_HTML_OTHER;
    size_t low = 0, high = name.n <= NAME ? sizeof rows / sizeof rows[0] : 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = memcmp(small, rows[middle].name, NAME);
        if (order == 0) {
            out->kind = rows[middle].kind;
            out->tag = rows[middle].tag;
            out->row = (uint8_t)middle;
            return;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
}

/* ---- nodes ---- */

static struct ml_html_node *nodes_of(struct builder *b)
{
    return (struct ml_html_node *)(void *)b->tree->own.data;
}

static int add_node(struct builder *b, uint8_t tag, struct ml_html_span span)
{
    struct ml_html_tree *tree = b->tree;
    if (tree->count >= ML_HTML_MAX_NODES)
        return ml_fail(b->err, ML_ERR_LIMIT,
                       "%.300s has more than %d elements; leave it out or split it", b->name,
                       ML_HTML_MAX_NODES);
    uint32_t parent = b->depth ? b->open[b->depth - 1].node : 0;
    struct ml_html_node node = {.tag = tag, .parent = parent, .end = tree->count + 1, .span = span};
    int status = ml_buffer_put(&tree->own, &node, sizeof node, b->err);
    if (status == 0)
        tree->count++;
    return status;
}

static void pop_to(struct builder *b, uint32_t depth)
{
    for (; b->depth > depth; b->depth--)
        nodes_of(b)[b->open[b->depth - 1].node].end = b->tree->count;
}

static int push(struct builder *b, const struct tag *tag)
{
    if (b->depth == ML_HTML_MAX_DEPTH) {
        b->too_deep += tag->kind == BLOCK || tag->kind == LIST || tag->kind == INLINE;
        return 0;
    }
    int status = add_node(b, tag->tag, tag->token.attributes);
    if (status)
        return status;
    uint32_t node = b->tree->count - 1;
    if (tag->kind == HEADING)
        nodes_of(b)[node].level = (uint8_t)(tag->token.name.at[1] - '0');
    b->open[b->depth++] = (struct open){node, tag->hash, tag->kind};
    return 0;
}

/* ---- what it closes ---- */

/* One more than the place of the innermost open element of a kind (and name, unless hash is 0), 0
 * when there is none: the search goes on past kinds whose bit is set in `past`. */
static uint32_t find_open(const struct builder *b, uint32_t kinds, uint32_t hash, uint32_t past)
{
    for (uint32_t i = b->depth; i > 0; i--) {
        const struct open *open = &b->open[i - 1];
        if ((kinds >> open->kind & 1) && (hash == 0 || open->hash == hash))
            return i;
        if (!(past >> open->kind & 1))
            break;
    }
    return 0;
}

#define BIT(kind) (1u << (kind))
#define IN_BLOCK                                                                                   \
    (BIT(INLINE) | BIT(BLOCK) | BIT(PARAGRAPH) | BIT(HEADING) | BIT(LIST) | BIT(ITEM) |            \
     BIT(CHOICE) | BIT(ONE))
#define IN_TABLE   (IN_BLOCK | BIT(ROWS) | BIT(ROW) | BIT(CELL) | BIT(SCOPE))
#define IN_CONTENT (IN_BLOCK | BIT(TABLE) | BIT(ROWS) | BIT(ROW) | BIT(CELL) | BIT(SCOPE))

static void close_open(struct builder *b, uint32_t kinds, uint32_t hash, uint32_t past)
{
    uint32_t found = find_open(b, kinds, hash, past);
    if (found)
        pop_to(b, found - 1);
}

static bool in_table(const struct builder *b)
{
    return find_open(b, BIT(TABLE), 0, IN_TABLE) > 0;
}

/* What the start of an element ends: a paragraph, the item before, the cell before ... */
static void close_before(struct builder *b, const struct tag *tag)
{
    uint8_t innermost = b->depth ? b->open[b->depth - 1].kind : ROOT;
    if ((tag->kind >= BLOCK && tag->kind <= ITEM) || tag->kind == TABLE || tag->tag == ML_HTML_HR)
        close_open(b, BIT(PARAGRAPH), 0, BIT(INLINE) | BIT(CHOICE));
    switch (tag->kind) {
    case INLINE: /* a link in a link */
        if (tag->tag == ML_HTML_A)
            close_open(b, BIT(INLINE), tag->hash, BIT(INLINE));
        break;
    case HEADING:
        if (innermost == HEADING)
            pop_to(b, b->depth - 1);
        break;
    case ITEM: {
        /* dt and dd close one another; their names are equally long, and li is no longer */
        uint32_t found = find_open(b, BIT(ITEM), 0, BIT(INLINE) | BIT(PARAGRAPH) | BIT(CHOICE));
        bool other = found && (nodes_of(b)[b->open[found - 1].node].tag == ML_HTML_LI) !=
                                  (tag->tag == ML_HTML_LI);
        if (found && !other)
            pop_to(b, found - 1);
        break;
    }
    case CHOICE:
        if (innermost == CHOICE && b->open[b->depth - 1].hash == tag->hash)
            pop_to(b, b->depth - 1);
        break;
    case ONE:
        close_open(b, BIT(ONE), tag->hash, IN_BLOCK);
        break;
    case TABLE:
        if (innermost == TABLE || innermost == ROWS || innermost == ROW)
            close_open(b, BIT(TABLE), 0, IN_TABLE);
        break;
    case ROWS:
    case ROW:
    case CELL:
        for (uint8_t kind = CELL; kind >= tag->kind; kind--)
            close_open(b, BIT(kind), 0, IN_TABLE);
        break;
    default:
        break;
    }
}

/* Which open elements an end tag may close on its way to its own. */
static uint32_t closed_with(const struct tag *tag)
{
    switch (tag->kind) {
    case INLINE:
    case CHOICE:
        return BIT(INLINE) | BIT(CHOICE);
    case ITEM:
        return IN_BLOCK & ~BIT(LIST);
    case TABLE:
        return IN_CONTENT & ~BIT(TABLE);
    case ROWS:
    case ROW:
    case CELL:
        return IN_TABLE;
    default:
        return IN_BLOCK;
    }
}

static int end_tag(struct builder *b, const struct tag *tag)
{
    bool counted = tag->kind == BLOCK || tag->kind == LIST || tag->kind == INLINE;
    if (b->too_deep > 0 && counted) {
        b->too_deep--;
        return 0;
    }
    if (tag->kind < VOID)
        close_open(b, BIT(tag->kind), tag->kind == HEADING ? 0 : tag->hash, closed_with(tag));
    else if (tag->tag == ML_HTML_BR)
        return add_node(b, ML_HTML_BR, (struct ml_html_span){0});
    else if (tag->tag == ML_HTML_HEAD && b->body == 0)
        pop_to(b, 1);
    return 0;
}

/* ---- html, head, body ---- */

static int open_body(struct builder *b, struct ml_html_span attributes)
{
    struct tag body = {.kind = ROOT, .tag = ML_HTML_BODY, .token = {.attributes = attributes}};
    pop_to(b, 1);
    int status = push(b, &body);
    b->body = b->tree->count - 1;
    return status;
}

static int root_tag(struct builder *b, const struct tag *tag)
{
    uint32_t known = tag->tag == ML_HTML_HTML ? 0 : b->body;
    if (tag->tag == ML_HTML_HEAD) {
        if (b->head || b->body)
            return 0;
        int status = push(b, tag);
        b->head = b->tree->count - 1;
        return status;
    }
    if (tag->tag == ML_HTML_BODY && b->body == 0)
        return open_body(b, tag->token.attributes);
    /* A second one, or the first after an implied one: only its attributes are new. */
    if (nodes_of(b)[known].span.n == 0)
        nodes_of(b)[known].span = tag->token.attributes;
    return 0;
}

/* Whatever does not belong into the head begins the body. */
static int leave_head(struct builder *b, const struct tag *tag)
{
    bool head = tag->kind >= SKIPPED || tag->tag == ML_HTML_META || tag->tag == ML_HTML_LINK ||
                tag->tag == ML_HTML_BASE || tag->tag == ML_HTML_TEMPLATE;
    return b->body || head || b->open[b->depth - 1].kind == SCOPE
               ? 0
               : open_body(b, (struct ml_html_span){0});
}

/* ---- text and tags ---- */

static bool is_blank(struct ml_html_span text)
{
    for (size_t i = 0; i < text.n; i++)
        if (!strchr(" \n\t\r\f", text.at[i]))
            return false;
    return true;
}

static int add_text(struct builder *b, struct ml_html_span text)
{
    if (text.n == 0)
        return 0;
    bool blank = is_blank(text);
    if (b->body == 0 && (blank || b->open[b->depth - 1].kind == SCOPE))
        return 0;
    int status = b->body ? 0 : open_body(b, (struct ml_html_span){0});
    if (status == 0)
        status = ml_html_decode_text(&text, &b->tree->arena, text, false, b->err);
    return status ? status : add_node(b, ML_HTML_TEXT, text);
}

static bool is_json_ld(const struct tag *tag)
{
    struct ml_html_span rest = tag->token.attributes;
    struct ml_html_attribute attribute;
    while (ml_html_next_attribute(&attribute, &rest))
        if (ml_html_span_is(attribute.name, "type"))
            return ml_html_span_is(attribute.value, "application/ld+json");
    return false;
}

/* An element whose content is no markup: *at is moved past that. Where no end tag comes, a script
 * reaches to the end of the page, and of all else only the tag is lost. */
static int raw_text(struct builder *b, const struct tag *tag, size_t *at)
{
    size_t start = tag->token.end, end = b->n;
    if (!b->unclosed[tag->row])
        end = ml_html_find_end_tag(b->text, start, b->n, tag->token.name);
    b->unclosed[tag->row] = end == b->n;
    if (end < b->n || tag->kind == SCRIPT)
        *at = end;
    bool wanted = tag->kind == TITLE || (tag->kind == SCRIPT && is_json_ld(tag));
    if (!wanted || end == b->n || b->depth == ML_HTML_MAX_DEPTH)
        return 0;
    struct ml_html_span content = {b->text + start, end - start};
    int status = push(b, tag);
    if (status == 0 && tag->kind == TITLE)
        status = ml_html_decode_text(&content, &b->tree->arena, content, false, b->err);
    if (status == 0)
        status = add_node(b, ML_HTML_TEXT, content);
    if (status == 0)
        pop_to(b, b->depth - 1);
    return status;
}

static int start_tag(struct builder *b, const struct tag *tag, size_t *at)
{
    if (tag->kind == IGNORED)
        return 0;
    if (tag->kind == ROOT)
        return root_tag(b, tag);
    int status = leave_head(b, tag);
    if (status)
        return status;
    if (tag->kind >= SKIPPED)
        return tag->token.self_closing && tag->kind == SKIPPED ? 0 : raw_text(b, tag, at);
    if (tag->kind >= ROWS && tag->kind <= CELL && !in_table(b))
        return 0;
    close_before(b, tag);
    if (tag->kind == VOID)
        return add_node(b, tag->tag, tag->token.attributes);
    return push(b, tag);
}

static int take_tag(struct builder *b, size_t *at)
{
    struct tag tag;
    ml_html_read_tag(&tag.token, b->text, *at, b->n);
    look_up(&tag);
    *at = tag.token.end;
    return tag.token.closing ? end_tag(b, &tag) : start_tag(b, &tag, at);
}

/* "</" before anything but a letter is one too. */
static bool is_declaration(char c)
{
    return c == '!' || c == '?' || c == '/';
}

static int build(struct builder *b)
{
    struct tag html = {.kind = ROOT, .tag = ML_HTML_HTML};
    int status = push(b, &html);
    size_t at = 0, text = 0; /* text that was not taken yet starts here */
    while (status == 0 && at < b->n) {
        const char *next = memchr(b->text + at, '<', b->n - at);
        at = next ? (size_t)(next - b->text) : b->n;
        bool tag = next && ml_html_starts_tag(b->text, at, b->n);
        bool other = next && !tag && at + 1 < b->n && is_declaration(b->text[at + 1]);
        if (next && !tag && !other) {
            at++;
            continue;
        }
        status = add_text(b, (struct ml_html_span){b->text + text, at - text});
        if (status == 0 && tag)
            status = take_tag(b, &at);
        else if (other)
            at = ml_html_skip_declaration(b->text, at, b->n);
        text = at;
    }
    pop_to(b, 0);
    return status;
}

int ml_html_parse(struct ml_html_tree *out, const char *text, size_t n, const char *name,
                  struct ml_error *err)
{
    if (n > ML_HTML_MAX_BYTES)
        return ml_fail(err, ML_ERR_LIMIT,
                       "%.300s has %zu bytes, a page may have %zu; leave it out or split it", name,
                       n, ML_HTML_MAX_BYTES);
    struct ml_html_tree tree = {0};
    ml_arena_init(&tree.arena, 0);
    struct builder b = {.text = text, .n = n, .name = name, .tree = &tree, .err = err};
    int status = build(&b);
    if (status) {
        ml_html_tree_clear(&tree);
        return status;
    }
    tree.nodes = nodes_of(&b);
    *out = tree;
    return 0;
}

void ml_html_tree_clear(struct ml_html_tree *tree)
{
    if (!tree)
        return;
    ml_buffer_clear(&tree->own);
    ml_arena_clear(&tree->arena);
    *tree = (struct ml_html_tree){0};
}

int ml_html_attribute(struct ml_html_tree *tree, uint32_t node, const char *name,
                      struct ml_html_span *out, struct ml_error *err)
{
    struct ml_html_attribute attribute;
    struct ml_html_span rest = tree->nodes[node].span;
    if (tree->nodes[node].tag == ML_HTML_TEXT)
        return 0;
    while (ml_html_next_attribute(&attribute, &rest)) {
        if (!ml_html_span_is(attribute.name, name))
            continue;
        if (!attribute.value.at)
            attribute.value.at = "";
        int status = ml_html_decode_text(out, &tree->arena, attribute.value, true, err);
        return status ? status : 1;
    }
    return 0;
}
