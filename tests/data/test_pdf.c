#include "reader_sink.h"

#include "data/child.h"
#include "data/pdf_text.h"

static struct sunk s;

/* A PDF of `count` pages; each page's lines are separated by \n. */
static void make_pdf(struct ml_buffer *out, const char *const *pages, int count)
{
    struct ml_error err = {0};
    struct ml_buffer kids = {0};
    size_t offsets[64] = {0};
    int objects = 3 + 2 * count;
    for (int i = 0; i < count; i++)
        assert_ok(ml_buffer_printf(&kids, &err, "%d 0 R ", 4 + 2 * i), err);
    assert_ok(ml_buffer_printf(out, &err, "%%PDF-1.4\n"), err);
    offsets[1] = out->size;
    ml_buffer_printf(out, &err, "1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n");
    offsets[2] = out->size;
    ml_buffer_printf(out, &err, "2 0 obj<</Type/Pages/Kids[%s]/Count %d>>endobj\n", kids.data,
                     count);
    offsets[3] = out->size;
    ml_buffer_printf(out, &err, "3 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\n");
    for (int i = 0; i < count; i++) {
        struct ml_buffer content = {0};
        assert_ok(ml_buffer_printf(&content, &err, "BT /F1 12 Tf 14 TL 50 800 Td (%s", ""), err);
        for (const char *c = pages[i]; *c; c++)
            ml_buffer_printf(&content, &err, *c == '\n' ? ") Tj T* (" : "%c", *c);
        ml_buffer_printf(&content, &err, ") Tj ET");
        offsets[4 + 2 * i] = out->size;
        ml_buffer_printf(out, &err,
                         "%d 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 850]/Contents %d 0 R"
                         "/Resources<</Font<</F1 3 0 R>>>>>>endobj\n",
                         4 + 2 * i, 5 + 2 * i);
        offsets[5 + 2 * i] = out->size;
        ml_buffer_printf(out, &err, "%d 0 obj<</Length %zu>>stream\n%s\nendstream endobj\n",
                         5 + 2 * i, content.size, content.data);
        ml_buffer_clear(&content);
    }
    size_t table = out->size;
    ml_buffer_printf(out, &err, "xref\n0 %d\n0000000000 65535 f \n", objects + 1);
    for (int i = 1; i <= objects; i++)
        ml_buffer_printf(out, &err, "%010zu 00000 n \n", offsets[i]);
    assert_ok(ml_buffer_printf(out, &err,
                               "trailer<</Size %d/Root 1 0 R>>\nstartxref\n%zu\n%%%%EOF\n",
                               objects + 1, table),
              err);
    ml_buffer_clear(&kids);
}

static void need_poppler(void)
{
    char path[300];
    if (!ml_child_find("pdftotext", path, sizeof path)) {
        print_message("poppler-utils is not installed: PDF is not read\n");
        skip();
    }
}

static void pages(void **state)
{
    static const char *const text[] = {
        "Journal of Tests 1\nAn exam-\nple of words\nand ones\nfoot 1",
        "Journal of Tests 2\nmore\nlines\nhere\nfoot 2",
        "Journal of Tests 3\nlast\npage\nnow\nfoot 3"};
    struct ml_error err = {0};
    struct ml_buffer pdf = {0};
    need_poppler();
    make_pdf(&pdf, text, 3);
    assert_ok(sunk_read(&s, "a.pdf", pdf.data, pdf.size, NULL, &err), err);
    assert_string_equal(sunk_text(&s.documents),
                        "[] An example of words\nand ones\n\nmore\nlines\nhere\n\n"
                        "last\npage\nnow {\"pages\":3}\n");
    /* Found by its bytes. */
    assert_ok(sunk_read(&s, "paper", pdf.data, pdf.size, NULL, &err), err);
    assert_int_equal(s.document_count, 1);
    ml_buffer_clear(&pdf);
    sunk_clear(&s);
}

static void bad_files(void **state)
{
    struct ml_error err = {0};
    struct ml_buffer pdf = {0};
    assert_fails(sunk_read(&s, "a.pdf", "<html>", 6, NULL, &err), ML_ERR_FORMAT, "a.pdf: no PDF",
                 err);
    need_poppler();
    assert_fails(sunk_read(&s, "a.pdf", "%PDF-1.4\n%%EOF", 14, NULL, &err), ML_ERR_FORMAT,
                 "a.pdf: cannot be read as PDF", err);
    static const char *const empty[] = {""};
    make_pdf(&pdf, empty, 1);
    assert_fails(sunk_read(&s, "a.pdf", pdf.data, pdf.size, NULL, &err), ML_ERR_FORMAT,
                 "no text in its 1 pages", err);
    /* A stream that says it is far longer than the file, and encryption that nothing opens. */
    ml_buffer_clear(&pdf);
    static const char *const one[] = {"words"};
    make_pdf(&pdf, one, 1);
    char *length = strstr(pdf.data, "/Length ");
    memcpy(length, "/Length 9", 9);
    int status = sunk_read(&s, "a.pdf", pdf.data, pdf.size, NULL, &err);
    assert_true(status == 0 || status == ML_ERR_FORMAT);
    err = (struct ml_error){0};
    char *trailer = strstr(pdf.data, "/Root 1 0 R>>");
    struct ml_buffer locked = {0};
    assert_ok(ml_buffer_put(&locked, pdf.data, (size_t)(trailer - pdf.data), &err), err);
    assert_ok(ml_buffer_printf(&locked, &err,
                               "/Encrypt<</Filter/Standard/V 1/R 2/P -4/O(%s)/U(%s)>>/ID[(%s)(%s)]"
                               "/Root 1 0 R>>\nstartxref\n0\n%%%%EOF\n",
                               "12345678901234567890123456789012",
                               "12345678901234567890123456789012", "1234567890123456",
                               "1234567890123456"),
              err);
    assert_fails(sunk_read(&s, "a.pdf", locked.data, locked.size, NULL, &err), ML_ERR_FORMAT,
                 "a.pdf: it has a password", err);
    ml_buffer_clear(&locked);
    ml_buffer_clear(&pdf);
    sunk_clear(&s);
}

static void clean(const char *text, const char *expected, int pages)
{
    struct ml_error err = {0};
    struct ml_buffer out = {0};
    int count = -1;
    assert_ok(ml_pdf_clean(&out, text, strlen(text), &count, &err), err);
    assert_string_equal(out.size ? out.data : "", expected);
    assert_int_equal(count, pages);
    ml_buffer_clear(&out);
}

static void cleaning(void **state)
{
    clean("", "", 0);
    clean("\f", "", 1);
    clean("a\n\n\n\nb  \n\f", "a\n\nb", 1);
    clean("a\f\fb", "a\n\nb", 3);
    /* Page numbers alone; a line that differs by its page's number. */
    clean("a\nb\nc\n1\f"
          "d\ne\nf\n2\f"
          "g\nh\ni\n3\f",
          "a\nb\nc\n\nd\ne\nf\n\ng\nh\ni", 3);
    clean("第1页\na\nb\n\f第2页\nc\nd\n\f第3页\ne\nf\n\f", "a\nb\n\nc\nd\n\ne\nf", 3);
    /* What stands there once or twice is text, and so are pages of two lines. */
    clean("x\na\nb\f"
          "x\nc\nd\f"
          "y\ne\nf",
          "x\na\nb\n\nx\nc\nd\n\ny\ne\nf", 3);
    clean("1\na\f2\nb\f3\nc", "1\na\n\n2\nb\n\n3\nc", 3);
    /* Blank lines between head, number and text. */
    clean("Chapter 1\n\n1\n\na\nb\f2\n\nTitle\n\nc\fChapter 1\n\n3\n\nd\ne\fChapter 1\n\n4\n\nf\ng",
          "a\nb\n\nTitle\n\nc\n\nd\ne\n\nf\ng", 4);
    clean("1999-\nbis\nco-\noperate", "1999-\nbis\ncooperate", 1);
    clean("a\001b", "ab", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(cleaning),
    };
    return cmocka_run_group_tests_name("pdf", tests, NULL, NULL);
}
