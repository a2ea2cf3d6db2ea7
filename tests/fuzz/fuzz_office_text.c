/* XML of office documents: the walk over each kind of element, and what a PDF's text is made into.
 */
#include "data/office_text.h"
#include "data/pdf_text.h"
#include "fuzz.h"
#include "fuzz_sink.h"

static void walk(const uint8_t *data, size_t size)
{
    static const struct ml_office_rule rules[] = {
        {"p", ML_OFFICE_BLOCK, 0}, {"h", ML_OFFICE_HEADING, 3}, {"i", ML_OFFICE_ITEM, 0},
        {"a", ML_OFFICE_TABLE, 0}, {"r", ML_OFFICE_ROW, 0},     {"c", ML_OFFICE_CELL, 0},
        {"b", ML_OFFICE_BREAK, 0}, {"t", ML_OFFICE_TEXT, 0},    {"e", ML_OFFICE_PRE, 0},
        {"s", ML_OFFICE_SKIP, 0},  {NULL, ML_OFFICE_NONE, 0},
    };
    static const struct ml_office_form forms[] = {{.rules = rules},
                                                  {.rules = rules, .marked = true}};
    for (int i = 0; i < 2; i++) {
        struct ml_office_text text = {0};
        struct ml_error err = {0};
        int status = ml_office_walk(&text, (const char *)data, size, &forms[i], NULL, &err);
        if (status != err.code || (status != 0 && status != ML_ERR_FORMAT))
            abort();
        fuzz_check_text(text.out.size ? text.out.data : "", text.out.size);
        ml_office_text_clear(&text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_buffer out = {0};
    struct ml_error err = {0};
    int pages = 0;
    if (!ml_utf8_valid((const char *)data, size) || (size && memchr(data, '\0', size)) ||
        (size && memchr(data, '\r', size)))
        return 0;
    walk(data, size);
    if (ml_pdf_clean(&out, (const char *)data, size, &pages, &err) != 0)
        abort();
    fuzz_check_text(out.size ? out.data : "", out.size);
    ml_buffer_clear(&out);
    return 0;
}
