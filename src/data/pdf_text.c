#include "data/pdf_text.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/fail.h"

#define EDGE_LINES 2 /* how many lines at the top and at the foot may be running ones */
#define MAX_PAGES  100000

struct line {
    const char *text;
    size_t n;
};

struct page {
    struct line *lines; /* within the book's; blank ones have n 0 */
    size_t count;
    size_t full; /* how many are not blank */
};

struct book {
    struct line *lines;
    struct page *pages;
    size_t line_count;
    int page_count;
};

/* ---- running lines ---- */

/* A line without its digits and blanks, so that "Page 3" is "Page 4"; 0: nothing is left. */
static uint64_t key_of(struct line line)
{
    uint64_t key = 14695981039346656037u;
    bool any = false, number = false;
    for (size_t i = 0; i < line.n; i++) {
        unsigned char c = (unsigned char)line.text[i];
        number = number || isdigit(c);
        if (isdigit(c) || c == ' ' || c == '\t')
            continue;
        any = true;
        key = (key ^ c) * 1099511628211u; /* FNV-1a */
    }
    if (!any)
        return number; /* a page number alone: all of them are the same line */
    return key < 2 ? 2 : key;
}

/* Where the e-th line that is not blank stands, from the top (e < EDGE_LINES) or from the foot;
 * page->count when the page is too short to have edges. */
static size_t edge(const struct page *page, int e)
{
    int wanted = e < EDGE_LINES ? e : e - EDGE_LINES;
    if (page->full <= EDGE_LINES)
        return page->count;
    for (size_t i = 0; i < page->count; i++) {
        size_t at = e < EDGE_LINES ? i : page->count - 1 - i;
        if (page->lines[at].n > 0 && wanted-- == 0)
            return at;
    }
    return page->count;
}

static uint64_t edge_key(const struct page *page, int e)
{
    size_t at = edge(page, e);
    return at < page->count ? key_of(page->lines[at]) : 0;
}

/* Whether such a line stands at the same end of the pages around. Only a window of them is looked
 * at: running heads change with the chapter, and a long book must not cost its square. */
static bool is_running(const struct book *book, int at, int e)
{
    enum { WINDOW = 8 };
    uint64_t key = edge_key(&book->pages[at], e);
    int from = at > WINDOW ? at - WINDOW : 0, last = book->page_count - 1;
    int to = at + WINDOW < last ? at + WINDOW : last, first = e < EDGE_LINES ? 0 : EDGE_LINES;
    int seen = 0;
    if (!key)
        return false;
    for (int p = from; p <= to; p++) {
        bool here = false;
        for (int other = first; other < first + EDGE_LINES && p != at; other++)
            here = here || edge_key(&book->pages[p], other) == key;
        seen += here;
    }
    /* Left and right pages often have heads of their own: a third of the neighbours will do. */
    return seen >= 2 && seen * 3 >= to - from;
}

/* ---- pages ---- */

static void add_line(struct book *book, const char *text, size_t n)
{
    struct page *page = &book->pages[book->page_count - 1];
    while (n > 0 && strchr(" \t\r", text[n - 1]))
        n--;
    /* No blank lines in front, and one for any run of them. */
    if (n == 0 && (page->count == 0 || page->lines[page->count - 1].n == 0))
        return;
    if (page->count == 0)
        page->lines = book->lines + book->line_count;
    book->lines[book->line_count++] = (struct line){text, n};
    page->count++;
    page->full += n > 0;
}

static void cut(struct book *book, const char *text, size_t n)
{
    size_t from = 0;
    book->page_count = 1;
    for (size_t at = 0; at <= n; at++) {
        bool feed = at < n && text[at] == '\f';
        if (at < n && !feed && text[at] != '\n')
            continue;
        add_line(book, text + from, at - from);
        from = at + 1;
        if (feed && from < n && book->page_count < MAX_PAGES)
            book->page_count++;
    }
    for (int p = 0; p < book->page_count; p++) {
        struct page *page = &book->pages[p];
        while (page->count > 0 && page->lines[page->count - 1].n == 0)
            page->count--;
    }
}

/* ---- words ---- */

/* Whether a line ends in a word that the next one goes on with: "exam-" and "ple". */
static bool is_broken(struct line line, struct line next)
{
    return line.n >= 3 && line.text[line.n - 1] == '-' &&
           isalpha((unsigned char)line.text[line.n - 2]) &&
           isalpha((unsigned char)line.text[line.n - 3]) && next.n > 0 &&
           islower((unsigned char)next.text[0]);
}

struct writer {
    struct ml_buffer *out;
    bool joined; /* the last line ended in the middle of a word */
    bool gap;    /* a blank line is due */
};

static int put_line(struct writer *w, struct line line, struct line next, struct ml_error *err)
{
    if (line.n == 0) {
        w->gap = true;
        return 0;
    }
    bool broken = is_broken(line, next);
    const char *between = w->out->size == 0 || w->joined ? "" : w->gap ? "\n\n" : "\n";
    int status = ml_buffer_put(w->out, between, strlen(between), err);
    for (size_t i = 0; i < line.n - broken && status == 0;) {
        size_t run = i;
        while (run < line.n - broken && (unsigned char)line.text[run] >= 0x20)
            run++;
        status = ml_buffer_put(w->out, line.text + i, run - i, err);
        i = run + 1; /* control characters that fonts without names for their glyphs leave */
    }
    w->joined = broken;
    w->gap = false;
    return status;
}

static int put_pages(const struct book *book, struct ml_buffer *out, struct ml_error *err)
{
    static const struct line none = {"", 0};
    struct writer w = {.out = out};
    int status = 0;
    for (int p = 0; p < book->page_count && status == 0; p++) {
        const struct page *page = &book->pages[p];
        size_t from = 0, to = page->count;
        /* What stands outside of a running line is none of the text either: the name of a short
         * chapter above the page's number. */
        for (int e = 0; e < EDGE_LINES; e++) {
            if (is_running(book, p, e))
                from = edge(page, e) + 1;
            if (is_running(book, p, EDGE_LINES + e))
                to = edge(page, EDGE_LINES + e);
        }
        for (size_t i = from; i < to && status == 0; i++)
            status = put_line(&w, page->lines[i], i + 1 < to ? page->lines[i + 1] : none, err);
        w.gap = true;
        w.joined = false;
    }
    return status;
}

int ml_pdf_clean(struct ml_buffer *out, const char *text, size_t n, int *pages,
                 struct ml_error *err)
{
    size_t lines = 1, feeds = 0;
    *pages = 0;
    if (n == 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        feeds += text[i] == '\f';
        lines += text[i] == '\n' || text[i] == '\f';
    }
    struct book book = {.lines = ml_mem_calloc(lines, sizeof *book.lines)};
    book.pages = ml_mem_calloc(feeds < MAX_PAGES ? feeds + 1 : MAX_PAGES, sizeof *book.pages);
    int status =
        book.lines && book.pages ? 0 : ml_fail(err, ML_ERR_MEMORY, "out of memory reading PDF");
    if (status == 0) {
        cut(&book, text, n);
        status = put_pages(&book, out, err);
    }
    ml_mem_free(book.lines);
    ml_mem_free(book.pages);
    if (status == 0)
        *pages = book.page_count;
    return status;
}
