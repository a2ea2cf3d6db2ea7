#include "data/office_text.h"

#include <string.h>

#include "base/fail.h"

void ml_office_text_clear(struct ml_office_text *t)
{
    ml_buffer_clear(&t->out);
    ml_buffer_clear(&t->line);
    ml_buffer_clear(&t->cell);
    ml_buffer_clear(&t->row);
    *t = (struct ml_office_text){0};
}

int ml_office_put(struct ml_office_text *t, const char *bytes, size_t n, struct ml_error *err)
{
    return n ? ml_buffer_put(&t->line, bytes, n, err) : 0;
}

void ml_office_make_item(struct ml_office_text *t, int depth)
{
    t->item_new = true;
    t->items = depth < 0 ? 1 : depth > 8 ? 9 : depth + 1;
}

/* Runs of white space are one blank, none at the beginning. */
static int put_collapsed(struct ml_office_text *t, const char *bytes, size_t n,
                         struct ml_error *err)
{
    int status = 0;
    for (size_t i = 0; i < n && status == 0;) {
        size_t run = i;
        while (run < n && !strchr(" \t\n", bytes[run]))
            run++;
        status = ml_office_put(t, bytes + i, run - i, err);
        if (run < n) {
            size_t size = t->line.size;
            bool blank = size == 0 || strchr(" \n", t->line.data[size - 1]);
            if (status == 0 && !blank)
                status = ml_office_put(t, " ", 1, err);
            run++;
        }
        i = run;
    }
    return status;
}

/* ---- blocks ---- */

static void trim(struct ml_buffer *line)
{
    while (line->size > 0 && strchr(" \t\n", line->data[line->size - 1]))
        line->size--;
    if (line->data)
        line->data[line->size] = '\0';
}

/* Into the cell: one line, its bars escaped. */
static int end_in_cell(struct ml_office_text *t, struct ml_error *err)
{
    int status = t->cell.size ? ml_buffer_put(&t->cell, " ", 1, err) : 0;
    for (size_t i = 0; i < t->line.size && status == 0; i++) {
        char c = t->line.data[i];
        if (c == '|')
            status = ml_buffer_put(&t->cell, "\\", 1, err);
        if (status == 0)
            status = ml_buffer_put(&t->cell, c == '\n' ? " " : &c, 1, err);
    }
    return status;
}

static int end_block(struct ml_office_text *t, struct ml_error *err)
{
    static const char marks[] = "###### ", blanks[] = "                  ";
    int status = 0;
    trim(&t->line);
    if (t->line.size == 0)
        return 0;
    if (t->tables > 0) {
        status = end_in_cell(t, err);
    } else {
        bool listed = t->items > 0;
        int level = t->heading > 6 ? 6 : t->heading;
        int indent = listed ? 2 * (t->items - 1) + (t->item_new ? 0 : 2) : 0;
        const char *between = t->out.size == 0 ? "" : listed && t->listed ? "\n" : "\n\n";
        status = ml_buffer_printf(&t->out, err, "%s%.*s%s%s", between, indent > 18 ? 18 : indent,
                                  blanks, listed && t->item_new ? "- " : "",
                                  level > 0 && !listed ? marks + 6 - level : "");
        if (status == 0)
            status = ml_buffer_put(&t->out, t->line.data, t->line.size, err);
        t->listed = listed;
        t->item_new = false;
    }
    t->line.size = 0;
    return status;
}

/* ---- tables ---- */

static int end_cell(struct ml_office_text *t, struct ml_error *err)
{
    int status = end_block(t, err);
    if (t->tables != 1) /* a table within a cell is text of the cell */
        return status;
    if (status == 0)
        status = ml_buffer_printf(&t->row, err, "%s%s |", t->cells == 0 ? "| " : " ",
                                  t->cell.size ? t->cell.data : "");
    t->cells++;
    t->cell.size = 0;
    if (t->cell.data)
        t->cell.data[0] = '\0';
    return status;
}

static int end_row(struct ml_office_text *t, struct ml_error *err)
{
    int status = 0;
    if (t->tables != 1 || t->cells == 0)
        return 0;
    const char *between = t->out.size == 0 ? "" : t->rows == 0 ? "\n\n" : "\n";
    status = ml_buffer_printf(&t->out, err, "%s", between);
    if (status == 0)
        status = ml_buffer_put(&t->out, t->row.data, t->row.size, err);
    for (int i = 0; t->rows == 0 && i < t->cells && status == 0; i++)
        status = ml_buffer_printf(&t->out, err, "%s", i == 0 ? "\n| --- |" : " --- |");
    t->rows++;
    t->cells = 0;
    t->row.size = 0;
    t->listed = false;
    return status;
}

/* ---- the walk ---- */

static const struct ml_office_rule *rule_for(const struct ml_office_form *form, const char *name)
{
    const struct ml_office_rule *rule = form->rules;
    while (rule->role != ML_OFFICE_NONE && strcmp(rule->name, name) != 0)
        rule++;
    return rule;
}

static int open_element(struct ml_office_text *t, const struct ml_office_rule *rule,
                        struct ml_error *err)
{
    switch (rule->role) {
    case ML_OFFICE_BLOCK:
    case ML_OFFICE_HEADING:
    case ML_OFFICE_PRE: {
        int status = end_block(t, err);
        t->heading = rule->role == ML_OFFICE_HEADING ? rule->level : 0;
        t->pre += rule->role == ML_OFFICE_PRE;
        return status;
    }
    case ML_OFFICE_ITEM: {
        int status = end_block(t, err);
        t->heading = 0;
        t->item_new = true;
        t->items++;
        return status;
    }
    case ML_OFFICE_TABLE: {
        int status = end_block(t, err);
        t->rows = t->tables++ == 0 ? 0 : t->rows;
        return status;
    }
    case ML_OFFICE_TEXT:
        t->marked++;
        return 0;
    case ML_OFFICE_BREAK:
        return ml_office_put(t, "\n", 1, err);
    case ML_OFFICE_TAB:
        return ml_office_put(t, "\t", 1, err);
    case ML_OFFICE_SPACE:
        return ml_office_put(t, " ", 1, err);
    default:
        return 0;
    }
}

static int close_element(struct ml_office_text *t, const struct ml_office_rule *rule,
                         struct ml_error *err)
{
    int status = 0;
    switch (rule->role) {
    case ML_OFFICE_BLOCK:
    case ML_OFFICE_HEADING:
    case ML_OFFICE_PRE:
        status = end_block(t, err);
        t->heading = 0;
        t->pre -= rule->role == ML_OFFICE_PRE && t->pre > 0;
        return status;
    case ML_OFFICE_ITEM:
        status = end_block(t, err);
        t->items -= t->items > 0;
        t->item_new = false;
        return status;
    case ML_OFFICE_TABLE:
        status = end_block(t, err);
        t->tables -= t->tables > 0;
        return status;
    case ML_OFFICE_ROW:
        return end_row(t, err);
    case ML_OFFICE_CELL:
        return end_cell(t, err);
    case ML_OFFICE_TEXT:
        t->marked -= t->marked > 0;
        return 0;
    default:
        return 0;
    }
}

static int take_text(struct ml_office_text *t, const struct ml_zip_xml *x,
                     const struct ml_office_form *form, struct ml_error *err)
{
    if (form->marked && t->marked == 0)
        return 0;
    return form->keep_space || t->pre > 0 ? ml_office_put(t, x->text, x->size, err)
                                          : put_collapsed(t, x->text, x->size, err);
}

int ml_office_walk(struct ml_office_text *t, const char *bytes, size_t n,
                   const struct ml_office_form *form, void *arg, struct ml_error *err)
{
    struct ml_zip_xml x;
    int got, skip = 0; /* depth of the element that is passed over */
    ml_zip_xml_open(&x, bytes, n);
    while ((got = ml_zip_xml_next(&x, err)) > 0) {
        if (x.event == ML_ZIP_XML_TEXT) {
            got = skip ? 0 : take_text(t, &x, form, err);
        } else {
            const struct ml_office_rule *rule = rule_for(form, x.name);
            bool open = x.event == ML_ZIP_XML_OPEN;
            if (skip) {
                skip = !open && x.depth == skip ? 0 : skip;
                continue;
            }
            if (open && rule->role == ML_OFFICE_SKIP)
                skip = x.depth;
            got = open ? open_element(t, rule, err) : close_element(t, rule, err);
            if (got == 0 && open && form->open)
                form->open(t, &x, arg);
        }
        if (got)
            break;
    }
    ml_zip_xml_close(&x);
    if (got == 0)
        got = end_block(t, err);
    /* What a broken part left open is not the next part's. */
    t->line.size = t->cell.size = t->row.size = 0;
    t->heading = t->items = t->tables = t->rows = t->cells = t->marked = t->pre = t->mark = 0;
    t->item_new = false;
    return got;
}
