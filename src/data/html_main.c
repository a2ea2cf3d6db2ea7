#include "data/html_main.h"

#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "data/html_text.h"

/* The page's own text is where paragraphs are: long blocks with punctuation and few links. Each
 * block of text is given a worth; the main part is the deepest element that holds nearly all of it,
 * and what stands above it of the same kind. Elements that say by their tag, class or id that they
 * are something else (navigation, comments, sharing) are left out, unless much of the worth is in
 * them: names lie often. */

/* Shares of the page's worth that an element needs to stay in spite of its name; they and the
 * numbers below were tried out on the development half of the pages of bench/extraction.py. */
#define KEEP_NAMED   0.50f
#define KEEP_FOREIGN 0.85f
#define KEEP_WEAK    0.05f
#define KEEP_LINKS   0.20f /* of the main part's: a block that is mostly links */
#define DESCEND      0.80f /* share that a child needs for the main part to be looked for in it */
#define CLIMB        0.60f /* share of paragraphs in what stands beside the main part to be added */
#define LEAD         40.0f /* letters that make a paragraph */
#define IN_LIST      0.15f /* of a letter within a list: lists of other articles are lists too */

/* What the passes learn about a node. Lengths are letters; a Chinese character counts as two. */
struct features {
    uint32_t block;                 /* of this node's text: the nearest block above */
    float own, own_link, own_marks; /* a block's own text: letters, those in links, punctuation */
    float text, link;               /* with all within */
    float good;                     /* worth of the blocks within that are not left out */
    float seen;                     /* their letters */
    uint8_t hint;
    bool in_link, in_list;
};
enum { BAD = 1, HIDDEN = 2, WEAK = 4, FOREIGN = 8, HEAD = 16 };

struct finder {
    struct ml_html_tree *tree;
    struct features *f;
    bool *left_out;
};

/* ---- what names say ---- */

static bool never_text(uint8_t tag)
{
    switch (tag) {
    case ML_HTML_BUTTON:
    case ML_HTML_HEAD:
    case ML_HTML_MEDIA:
    case ML_HTML_NAV:
    case ML_HTML_OPTION:
    case ML_HTML_RT:
    case ML_HTML_SCRIPT:
    case ML_HTML_SELECT:
    case ML_HTML_TITLE:
    case ML_HTML_TEMPLATE:
        return true;
    default:
        return false;
    }
}

/* Elements that mostly stand beside the text. */
static bool beside_text(uint8_t tag)
{
    return tag == ML_HTML_ASIDE || tag == ML_HTML_FOOTER || tag == ML_HTML_FORM;
}

static bool is_among(const char *word, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(word, *list) == 0)
            return true;
    return false;
}

static const char *const bad_words[] = {
    "ad",          "ads",          "advert",     "advertisement", "banner",      "breadcrumb",
    "breadcrumbs", "byline",       "copyright",  "credits",       "disclaimer",  "donate",
    "footer",      "jump",         "login",      "masthead",      "menu",        "metadata",
    "modal",       "nav",          "navbar",     "navi",          "navigation",  "newsletter",
    "outbrain",    "pager",        "pagination", "popular",       "popup",       "promo",
    "promotion",   "rating",       "recirc",     "recommend",     "recommended", "recommendations",
    "related",     "rss",          "search",     "share",         "sharedaddy",  "sharing",
    "sidebar",     "signup",       "skip",       "social",        "sponsor",     "sponsored",
    "subscribe",   "subscription", "taboola",    "tags",          "toolbar",     "trending",
    "widget",      "widgets",      NULL};
/* What may be longer than the text itself and is none of it. */
static const char *const foreign_words[] = {"comment", "comments", "consent", "cookie",  "cookies",
                                            "disqus",  "gdpr",     "replies", "respond", NULL};
/* Words that stand in the names of texts as well: only what is small beside the rest goes. */
static const char *const weak_words[] = {
    "author", "authors", "bio", "caption",   "credit", "date", "hidden", "meta",  "more", "print",
    "rail",   "read",    "tag", "timestamp", "toc",    "tool", "tools",  "title", NULL};
/* The next word of a class or id: letters, cut where a small letter meets a capital one. */
static bool next_word(struct ml_html_span *rest, char word[32])
{
    size_t n = 0;
    while (rest->n && n < 31) {
        char c = *rest->at;
        bool capital = c >= 'A' && c <= 'Z', small = c >= 'a' && c <= 'z';
        if ((!capital && !small && n) ||
            (capital && n && word[n - 1] >= 'a' && rest->at[-1] >= 'a' && rest->at[-1] <= 'z'))
            break;
        if (capital || small)
            word[n++] = (char)(c | 0x20);
        rest->at++;
        rest->n--;
    }
    word[n] = '\0';
    return n > 0;
}

static uint8_t hints_in(struct ml_html_span value)
{
    uint8_t hints = 0;
    char word[32];
    while (next_word(&value, word)) {
        if (strcmp(word, "elementor") == 0) /* calls every part of a page a widget */
            return 0;
        hints |= is_among(word, bad_words)       ? BAD
                 : is_among(word, foreign_words) ? FOREIGN
                 : is_among(word, weak_words)    ? WEAK
                 : strcmp(word, "header") == 0   ? HEAD
                                                 : 0;
    }
    return hints;
}

static bool is_hiding(struct ml_html_span style)
{
    const char *at = memmem(style.at, style.n, "display", 7), *end = style.at + style.n;
    if (!at)
        return false;
    for (at += 7; at < end && (*at == ' ' || *at == ':'); at++) {
    }
    return end - at >= 4 && memcmp(at, "none", 4) == 0;
}

static uint8_t hints_of(const struct ml_html_node *node)
{
    uint8_t hints = 0;
    struct ml_html_span rest = node->span;
    struct ml_html_attribute a;
    while (rest.n > 1 && ml_html_next_attribute(&a, &rest)) {
        if (ml_html_span_is(a.name, "hidden"))
            hints |= HIDDEN;
        if (!a.value.at)
            continue;
        if (ml_html_span_is(a.name, "class") || ml_html_span_is(a.name, "id"))
            hints |= hints_in(a.value);
        else if (ml_html_span_is(a.name, "role") &&
                 (ml_html_span_is(a.value, "navigation") || ml_html_span_is(a.value, "search") ||
                  ml_html_span_is(a.value, "complementary")))
            hints |= BAD;
        else if (ml_html_span_is(a.name, "style") && is_hiding(a.value))
            hints |= HIDDEN;
    }
    return hints;
}

/* ---- what the text says ---- */

static bool is_mark(uint32_t c)
{
    return c == ',' || c == '.' || c == ';' || c == '!' || c == '?' || c == ':' || c == 0x3002 ||
           c == 0xFF0C || c == 0x3001 || c == 0xFF1B || c == 0xFF01 || c == 0xFF1F;
}

/* Letters (runs of blanks are one) and marks of punctuation. */
static void measure(const char *text, size_t n, float *letters, float *marks)
{
    bool blank = true;
    *letters = *marks = 0;
    for (size_t i = 0; i < n;) {
        uint32_t c = (unsigned char)text[i];
        size_t length = c < 0x80 ? 1 : ml_utf8_decode(text + i, n - i, &c);
        bool now_blank = c <= ' ' || c == 0xA0 || c == 0x3000;
        if (!now_blank || !blank)
            *letters += c >= 0x80 && ml_html_is_wide(c) ? 2 : 1;
        *marks += is_mark(c);
        blank = now_blank;
        i += length ? length : 1;
    }
}

/* A paragraph is worth its letters, a short line next to nothing, a block of links nothing. */
static float worth(const struct features *f)
{
    if (f->own < 1 || f->own_link > 0.5f * f->own)
        return 0;
    if (f->own < LEAD)
        return f->own_marks > 0 ? 2 : 0;
    return (f->own - f->own_link) * (f->own_marks > 0 ? 1.0f : 0.3f) *
           (f->in_list ? IN_LIST : 1.0f);
}

/* ---- the passes ---- */

static void gather_text(struct finder *m, uint32_t i)
{
    struct features *f = m->f, *node = &f[i];
    float marks;
    measure(m->tree->nodes[i].span.at, m->tree->nodes[i].span.n, &node->text, &marks);
    node->link = node->in_link ? node->text : 0;
    struct features *block = &f[node->block];
    block->own += node->text;
    block->own_marks += marks;
    block->own_link += node->link;
}

/* Forwards: parents before children. */
static void gather(struct finder *m)
{
    struct features *f = m->f;
    for (uint32_t i = 0; i < m->tree->count; i++) {
        const struct ml_html_node *node = &m->tree->nodes[i];
        uint32_t up = node->parent;
        m->left_out[i] = i > 0 && m->left_out[up];
        f[i].in_link = (i > 0 && f[up].in_link) || node->tag == ML_HTML_A;
        f[i].in_list = (i > 0 && f[up].in_list) || node->tag == ML_HTML_LI;
        f[i].block = i > 0 ? f[up].block : 0;
        if (node->tag == ML_HTML_TEXT) {
            if (!m->left_out[i])
                gather_text(m, i);
            continue;
        }
        f[i].hint = hints_of(node);
        m->left_out[i] = m->left_out[i] || never_text(node->tag);
        if (ml_html_is_block(node->tag))
            f[i].block = i;
    }
}

/* Backwards: sums of what lies within. */
static void add_up(struct finder *m)
{
    struct features *f = m->f;
    for (uint32_t i = 0; i < m->tree->count; i++) {
        bool counts = m->tree->nodes[i].tag != ML_HTML_TEXT && f[i].block == i && !m->left_out[i];
        f[i].good = counts ? worth(&f[i]) : 0;
        f[i].seen = counts ? f[i].own : 0;
    }
    for (uint32_t i = m->tree->count; i-- > 1;) {
        uint32_t up = m->tree->nodes[i].parent;
        f[up].good += f[i].good;
        f[up].seen += f[i].seen;
    }
}

static void add_up_text(struct finder *m)
{
    struct features *f = m->f;
    for (uint32_t i = m->tree->count; i-- > 1;) {
        uint32_t up = m->tree->nodes[i].parent;
        f[up].text += f[i].text;
        f[up].link += f[i].link;
    }
}

/* Whether an element with such a name goes, given the worth of the page. */
static bool goes(const struct finder *m, uint32_t i, float most)
{
    const struct features *f = &m->f[i];
    uint8_t tag = m->tree->nodes[i].tag;
    if (tag == ML_HTML_TEXT || tag == ML_HTML_BODY || tag == ML_HTML_HTML)
        return false;
    if ((f->hint & (BAD | HIDDEN)) || beside_text(tag))
        if (f->good < KEEP_NAMED * most || f->good <= 0)
            return true;
    if ((f->hint & FOREIGN) && f->good < KEEP_FOREIGN * most)
        return true;
    if ((tag == ML_HTML_HEADER || (f->hint & HEAD)) && f->good < LEAD && tag != ML_HTML_HEADING)
        return true;
    return ((f->hint & WEAK) || tag == ML_HTML_FIGCAPTION) && f->good < KEEP_WEAK * most &&
           tag != ML_HTML_HEADING;
}

static void leave_out(struct finder *m)
{
    float most = m->f[0].good;
    for (uint32_t i = 1; i < m->tree->count; i++)
        m->left_out[i] =
            m->left_out[i] || m->left_out[m->tree->nodes[i].parent] || goes(m, i, most);
}

/* Back up while what an element has besides is text of the same kind: a lead above the body, a part
 * that stands by itself. */
static uint32_t climb(const struct finder *m, uint32_t at)
{
    const struct features *f = m->f;
    while (at > 0) {
        uint32_t up = m->tree->nodes[at].parent;
        float more = f[up].seen - f[at].seen, good = f[up].good - f[at].good;
        if (good < LEAD || good < CLIMB * more)
            break;
        at = up;
    }
    return at;
}

/* From the page down to the deepest element that has nearly all of the worth. */
static uint32_t choose(const struct finder *m)
{
    const struct ml_html_node *nodes = m->tree->nodes;
    const struct features *f = m->f;
    uint32_t at = 0;
    for (;;) {
        uint32_t best = 0;
        for (uint32_t c = at + 1; c < nodes[at].end; c = nodes[c].end)
            if (!m->left_out[c] && nodes[c].tag != ML_HTML_TEXT &&
                (!best || f[c].good > f[best].good))
                best = c;
        if (!best || f[best].good <= 0 || f[best].good < DESCEND * f[at].good)
            break;
        at = best;
    }
    while (at > 0 && (!ml_html_is_block(nodes[at].tag) || nodes[at].tag == ML_HTML_P))
        at = nodes[at].parent;
    return climb(m, at);
}

/* Lists of links within the main part. */
static void trim(struct finder *m, uint32_t root)
{
    const struct ml_html_node *nodes = m->tree->nodes;
    float most = m->f[root].good;
    for (uint32_t i = root + 1; i < nodes[root].end; i++) {
        const struct features *f = &m->f[i];
        uint8_t tag = nodes[i].tag;
        bool links = f->text > 0 && f->link > 0.6f * f->text && f->good < KEEP_LINKS * most;
        bool list = tag != ML_HTML_TEXT && f->block == i && links && tag != ML_HTML_P &&
                    tag != ML_HTML_TD && tag != ML_HTML_HEADING;
        m->left_out[i] = m->left_out[i] || list || m->left_out[nodes[i].parent];
    }
}

/* Headings whose list or section was left out: nothing stands below them before the next one that
 * is not deeper. */
static void trim_headings(struct finder *m, uint32_t root)
{
    const struct ml_html_node *nodes = m->tree->nodes;
    bool text = false;
    uint8_t next = 0; /* level of the next heading that stays; 0: there is none */
    for (uint32_t i = nodes[root].end; i-- > root + 1;) {
        if (m->left_out[i])
            continue;
        if (nodes[i].tag == ML_HTML_TEXT) {
            text = text || (m->f[i].text > 0 && nodes[m->f[i].block].tag != ML_HTML_HEADING);
        } else if (nodes[i].tag == ML_HTML_HEADING) {
            if (text || next > nodes[i].level) {
                next = nodes[i].level;
                text = false;
            } else {
                m->left_out[i] = true;
            }
        }
    }
}

int ml_html_find_main(struct ml_html_main *out, struct ml_html_tree *tree, struct ml_error *err)
{
    struct finder m = {.tree = tree};
    m.f = ml_arena_calloc(&tree->arena, tree->count, sizeof *m.f);
    m.left_out = ml_arena_calloc(&tree->arena, tree->count, sizeof *m.left_out);
    if (!m.f || !m.left_out)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory reading a page");
    gather(&m);
    add_up_text(&m);
    add_up(&m);
    leave_out(&m);
    add_up(&m);
    out->root = choose(&m);
    trim(&m, out->root);
    trim_headings(&m, out->root);
    out->left_out = m.left_out;
    return 0;
}
