#include "data/html_text.h"

#include <string.h>

#include "base/utf8.h"

/* What stands between the text written so far and the next. */
enum gap { NONE, SPACE, LINE, PARAGRAPH };

struct writer {
    struct ml_buffer *out;
    size_t start; /* where this text began in `out` */
    struct ml_error *err;
    enum gap gap;
    uint32_t last;      /* the character before; 0 at the start */
    bool item;          /* "- " is due before the next text */
    bool row_has_text;  /* in a row of a table */
    uint32_t cells_due; /* " | " before the next text */
    bool br;            /* the gap is that of one <br> */
    uint32_t pre_end;   /* nodes before this lie within a <pre> */
    uint32_t item_end;  /* within a list item: blocks are lines */
    uint32_t table_end; /* within a table that is one of data: blocks are spaces */
};

/* ---- characters ---- */

bool ml_html_is_wide(uint32_t c)
{
    if (c < 0x2E80)
        return false;
    return c < 0xA000 ? c < 0x3130 || c > 0x318F /* Hangul letters */
                      : (c >= 0xF900 && c < 0xFB00) || (c >= 0xFE30 && c < 0xFE50) ||
                            (c >= 0xFF01 && c < 0xFFA0) || (c >= 0x20000 && c < 0x40000);
}

static bool is_space(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xA0 || c == 0x3000 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x1680 || c == 0x85;
}

/* Without width and without meaning in plain text: controls, soft hyphen, zero width space, byte
 * order mark. The joiners stay, since scripts and emoji need them. */
static bool is_nothing(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0xAD || c == 0x200B || c == 0x2060 ||
           c == 0xFEFF;
}

/* ---- writing ---- */

static int put(struct writer *w, const char *text, size_t n)
{
    return ml_buffer_put(w->out, text, n, w->err);
}

static void want(struct writer *w, enum gap gap)
{
    if (gap > w->gap)
        w->gap = gap;
}

/* Writes what is due before the character c. */
static int put_gap(struct writer *w, uint32_t c)
{
    int status = 0;
    if (w->out->size == w->start)
        w->gap = NONE;
    if (w->cells_due > 0 && w->row_has_text && w->gap <= SPACE) {
        for (; status == 0 && w->cells_due > 0; w->cells_due--)
            status = put(w, " | ", 3);
    } else if (w->gap == SPACE) {
        if (!ml_html_is_wide(w->last) || !ml_html_is_wide(c))
            status = put(w, " ", 1);
    } else if (w->gap > SPACE) {
        status = put(w, "\n\n", w->gap == LINE ? 1 : 2);
    }
    if (status == 0 && w->item)
        status = put(w, "- ", 2);
    w->gap = NONE;
    w->item = w->br = false;
    w->cells_due = 0;
    w->row_has_text = true;
    return status;
}

/* Characters that are written as they are, up to the first that is not. */
static size_t plain_run(const char *text, size_t n, uint32_t *last)
{
    size_t i = 0;
    while (i < n) {
        unsigned char byte = (unsigned char)text[i];
        uint32_t c = byte;
        size_t length = byte < 0x80 ? 1 : ml_utf8_decode(text + i, n - i, &c);
        if (length == 0 || is_space(c) || is_nothing(c))
            break;
        *last = c;
        i += length;
    }
    return i;
}

static int put_folded(struct writer *w, const char *text, size_t n)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < n;) {
        uint32_t c = 0, last = 0;
        size_t length = ml_utf8_decode(text + i, n - i, &c);
        if (length == 0 || is_nothing(c) || is_space(c)) {
            if (length > 0 && is_space(c))
                want(w, SPACE);
            i += length ? length : 1;
            continue;
        }
        size_t run = plain_run(text + i, n - i, &last);
        if (w->gap > NONE || w->item || w->cells_due > 0 || w->out->size == w->start)
            status = put_gap(w, c);
        if (status == 0)
            status = put(w, text + i, run);
        w->last = last;
        i += run;
    }
    return status;
}

/* Within <pre>: only what is no character at all is left out. */
static int put_verbatim(struct writer *w, const char *text, size_t n)
{
    int status = 0;
    size_t i = 0;
    while (w->gap > NONE && i < n && text[i] == '\n') /* the one after <pre>, and more of them */
        i++;
    while (status == 0 && i < n) {
        uint32_t c = 0;
        size_t length = ml_utf8_decode(text + i, n - i, &c);
        bool keep = length > 0 && (c == '\n' || c == '\t' || !is_nothing(c));
        if (keep && (w->gap > NONE || w->item || w->cells_due > 0 || w->out->size == w->start))
            status = put_gap(w, c);
        if (keep && status == 0)
            status = put(w, text + i, length);
        if (keep)
            w->last = c;
        i += length ? length : 1;
    }
    return status;
}

/* White space at the end goes; a line end stands there instead. */
static int finish(struct writer *w)
{
    struct ml_buffer *out = w->out;
    while (out->size > w->start && strchr(" \t\n", out->data[out->size - 1]))
        out->data[--out->size] = '\0';
    return out->size > w->start ? put(w, "\n", 1) : 0;
}

/* ---- elements ---- */

/* The gap before and after an element; NONE: it stands in a line. */
static enum gap gap_of(uint8_t tag)
{
    switch (tag) {
    case ML_HTML_ADDRESS:
    case ML_HTML_ARTICLE:
    case ML_HTML_ASIDE:
    case ML_HTML_BLOCKQUOTE:
    case ML_HTML_BODY:
    case ML_HTML_CAPTION:
    case ML_HTML_DETAILS:
    case ML_HTML_DIV:
    case ML_HTML_DL:
    case ML_HTML_FIGCAPTION:
    case ML_HTML_FIGURE:
    case ML_HTML_FOOTER:
    case ML_HTML_FORM:
    case ML_HTML_HEADER:
    case ML_HTML_HEADING:
    case ML_HTML_HR:
    case ML_HTML_HTML:
    case ML_HTML_LIST:
    case ML_HTML_MAIN:
    case ML_HTML_NAV:
    case ML_HTML_P:
    case ML_HTML_PRE:
    case ML_HTML_SECTION:
    case ML_HTML_TABLE:
        return PARAGRAPH;
    case ML_HTML_DD:
    case ML_HTML_DT:
    case ML_HTML_LI:
    case ML_HTML_OPTION:
    case ML_HTML_TBODY:
    case ML_HTML_TD:
    case ML_HTML_TH:
    case ML_HTML_TR:
        return LINE;
    default:
        return NONE;
    }
}

bool ml_html_is_block(uint8_t tag)
{
    return gap_of(tag) != NONE;
}

/* A table of data has rows of several cells and no table within; others only lay out a page. The
 * nodes of a table within are not looked at, so that all tables together take one pass. */
static bool is_data_table(const struct ml_html_tree *tree, uint32_t table)
{
    uint32_t cells = 0, blocks = 0;
    size_t bytes = 0;
    bool several = false;
    for (uint32_t i = table + 1; i < tree->nodes[table].end; i++) {
        const struct ml_html_node *node = &tree->nodes[i];
        if (node->tag == ML_HTML_TABLE)
            return false;
        if (node->tag == ML_HTML_TR)
            cells = 0;
        cells += node->tag == ML_HTML_TD || node->tag == ML_HTML_TH;
        several |= cells > 1;
        blocks += node->tag == ML_HTML_P || node->tag == ML_HTML_HEADING;
        bytes += node->tag == ML_HTML_TEXT ? node->span.n : 0;
    }
    return several && (blocks < 3 || bytes / blocks < 100);
}

/* An item that holds several paragraphs is a part of the page, such as a post of a forum, rather
 * than an item of an enumeration. Looks at a bounded number of nodes. */
static bool is_short_item(const struct ml_html_tree *tree, uint32_t item)
{
    uint32_t end = tree->nodes[item].end, blocks = 0;
    for (uint32_t i = item + 1; i < end && i < item + 200 && blocks < 2; i++) {
        uint8_t tag = tree->nodes[i].tag;
        blocks += tag == ML_HTML_P || tag == ML_HTML_PRE || tag == ML_HTML_TABLE ||
                  tag == ML_HTML_BLOCKQUOTE || tag == ML_HTML_HEADING;
    }
    return blocks < 2;
}

static void open_row_or_cell(struct writer *w, uint8_t tag)
{
    if (tag == ML_HTML_TR) {
        w->gap = w->gap > LINE ? w->gap : LINE;
        w->row_has_text = false;
        w->cells_due = 0;
    } else if (tag == ML_HTML_TD || tag == ML_HTML_TH) {
        w->cells_due += w->row_has_text;
    } else {
        want(w, SPACE);
    }
}

static void open_element(struct writer *w, const struct ml_html_tree *tree, uint32_t i)
{
    const struct ml_html_node *node = &tree->nodes[i];
    enum gap gap = gap_of(node->tag);
    if (node->tag == ML_HTML_BR) {
        gap = i < w->table_end ? SPACE : w->br && w->gap == LINE ? PARAGRAPH : LINE;
        w->br = true;
    } else if (i < w->table_end) {
        if (gap > NONE)
            open_row_or_cell(w, node->tag);
        return;
    }
    if (gap == PARAGRAPH && i < w->item_end)
        gap = w->item ? NONE : LINE;
    want(w, gap);
    if (node->tag == ML_HTML_LI && is_short_item(tree, i)) {
        w->item = true;
        w->item_end = w->item_end > node->end ? w->item_end : node->end;
    } else if (node->tag == ML_HTML_LI && i >= w->item_end) {
        want(w, PARAGRAPH);
    } else if (node->tag == ML_HTML_PRE) {
        w->pre_end = w->pre_end > node->end ? w->pre_end : node->end;
    } else if (node->tag == ML_HTML_TABLE && is_data_table(tree, i)) {
        w->table_end = node->end;
    }
}

static void close_element(struct writer *w, const struct ml_html_tree *tree, uint32_t i)
{
    const struct ml_html_node *node = &tree->nodes[i];
    enum gap gap = gap_of(node->tag);
    if (node->tag == ML_HTML_LI)
        w->item = false; /* it had no text */
    if (node->end <= w->table_end && node->tag != ML_HTML_TABLE && node->tag != ML_HTML_TR)
        gap = gap > NONE ? SPACE : NONE;
    else if (gap == PARAGRAPH && node->end <= w->item_end)
        gap = LINE;
    want(w, gap);
}

int ml_html_write_text(struct ml_buffer *out, const struct ml_html_tree *tree, uint32_t root,
                       const bool *left_out, struct ml_error *err)
{
    struct writer w = {.out = out, .start = out->size, .err = err};
    uint32_t end = tree->nodes[root].end, open = root;
    int status = 0;
    for (uint32_t i = root; status == 0 && i < end;) {
        const struct ml_html_node *node = &tree->nodes[i];
        while (tree->nodes[open].end <= i) {
            close_element(&w, tree, open);
            open = tree->nodes[open].parent;
        }
        if (left_out && left_out[i]) {
            if (ml_html_is_block(node->tag))
                want(&w, i < w.table_end ? SPACE : LINE);
            i = node->end;
            continue;
        }
        if (node->tag == ML_HTML_TEXT) {
            status = i < w.pre_end ? put_verbatim(&w, node->span.at, node->span.n)
                                   : put_folded(&w, node->span.at, node->span.n);
        } else {
            open_element(&w, tree, i);
            open = i;
        }
        i++;
    }
    return status ? status : finish(&w);
}

int ml_html_write_line(struct ml_buffer *out, const char *text, size_t n, struct ml_error *err)
{
    struct writer w = {.out = out, .start = out->size, .err = err};
    return put_folded(&w, text, n);
}
