/* PDF through poppler's pdftotext, in a process that can only read its input and write text
 * (data/child.h). What layout leaves behind is taken out: lines that head or foot most pages, and
 * words broken at the ends of lines. */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "data/child.h"
#include "data/pdf_text.h"
#include "data/readers.h"

/* In its own words: what cannot be helped by trying another way. */
static int fail_tool(const struct ml_reader_input *input, const struct ml_child_end *end,
                     struct ml_error *err)
{
    if (end->late)
        return ml_fail(err, ML_ERR_LIMIT, "%s: reading it took too long (pdftotext was stopped)",
                       input->uri);
    if (end->large)
        return ml_fail(err, ML_ERR_LIMIT, "%s: its text is larger than is allowed", input->uri);
    if (strstr(end->said, "ncorrect password"))
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s: it has a password; save a copy without one to collect it", input->uri);
    if (end->signal)
        return ml_fail(err, ML_ERR_FORMAT, "%s: damaged, or too large for pdftotext (signal %d)",
                       input->uri, end->signal);
    return ml_fail(err, ML_ERR_FORMAT, "%s: cannot be read as PDF: %.120s", input->uri,
                   *end->said ? end->said : "damaged");
}

static int run_tool(const struct ml_reader_input *input, const struct ml_reader_limits *limits,
                    struct ml_buffer *text, struct ml_error *err)
{
    char path[512];
    struct ml_child_end end;
    if (!ml_child_find("pdftotext", path, sizeof path))
        return ml_fail(err, ML_ERR_UNSUPPORTED,
                       "%s: reading PDF needs pdftotext; install the package poppler-utils",
                       input->uri);
    /* Neither -layout, which sets columns side by side, nor -raw, which follows the order in which
     * the file draws: poppler's own reading order goes down one column and then the next. */
    const char *const arguments[] = {path, "-enc", "UTF-8", "-eol", "unix", "-", "-", NULL};
    const struct ml_child child = {
        .arguments = arguments,
        .input = input->bytes,
        .input_bytes = input->size,
        .seconds = limits->max_seconds,
        .max_out_bytes = limits->max_out_bytes < (64 << 20) ? limits->max_out_bytes : 64 << 20};
    int status = ml_child_run(&child, text, &end, err);
    if (status)
        return status;
    if (end.exit_code != 0 || end.late || end.large)
        return fail_tool(input, &end, err);
    return 0;
}

static int read_pdf(const struct ml_reader_input *input, const struct ml_reader_limits *limits,
                    const struct ml_reader_sink *sink, struct ml_error *err)
{
    struct ml_buffer raw = {0}, text = {0};
    char meta[40];
    int pages = 0, status = 0;
    if (!ml_looks_like_pdf(input->bytes, input->size))
        return ml_fail(err, ML_ERR_FORMAT, "%s: no PDF (it does not begin with %%PDF)", input->uri);
    status = run_tool(input, limits, &raw, err);
    if (status == 0)
        status = ml_pdf_clean(&text, raw.data, raw.size, &pages, err);
    if (status == 0 && text.size == 0)
        status = ml_fail(err, ML_ERR_FORMAT,
                         "%s: no text in its %d pages (scanned pictures need OCR first)",
                         input->uri, pages);
    snprintf(meta, sizeof meta, "{\"pages\":%d}", pages);
    const struct ml_document document = {
        .kind = "text", .type = "text/plain", .bytes = text.data, .size = text.size, .meta = meta};
    if (status == 0)
        status = sink->document(sink->arg, &document, err);
    ml_buffer_clear(&raw);
    ml_buffer_clear(&text);
    return status;
}

bool ml_looks_like_pdf(const char *bytes, size_t n)
{
    /* Some tools write a few bytes in front. */
    return memmem(bytes, n < 1024 ? n : 1024, "%PDF-", 5) != NULL;
}

const struct ml_reader ml_reader_pdf = {
    .name = "pdf 1",
    .endings = (const char *const[]){"pdf", NULL},
    .types = (const char *const[]){"application/pdf", "application/x-pdf", NULL},
    .read = read_pdf,
};
