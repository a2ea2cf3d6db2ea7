#include "reader_sink.h"
#include "zip_make.h"

#include "data/zip_xml.h"

static struct sunk s;
static struct made_archive made;

static void begin(void)
{
    made_begin(&made, archive_write_set_format_zip, NULL);
}

static int finish(const char *uri, struct ml_error *err)
{
    made_end(&made);
    int status = sunk_read(&s, uri, made.bytes, made.size, NULL, err);
    made_free(&made);
    return status;
}

#define CORE                                                                                        \
    "<cp:coreProperties xmlns:dc='x'><dc:title>T &amp; U</dc:title><dc:creator>李白</dc:creator>" \
    "<dcterms:created>2024-01-01T00:00:00Z</dcterms:created></cp:coreProperties>"

static void docx(void **state)
{
    struct ml_error err = {0};
    begin();
    made_put(&made, "[Content_Types].xml", "<Types/>");
    made_put(&made, "docProps/core.xml", CORE);
    made_put(&made, "word/styles.xml",
             "<w:styles><w:style w:styleId='1'><w:name w:val='heading 1'/></w:style>"
             "<w:style w:styleId='Heading2'><w:name w:val='heading 2'/></w:style></w:styles>");
    made_put(&made, "word/media/image1.png", "not read");
    made_put(&made, "word/document.xml",
             "<?xml version=\"1.0\"?><w:document><w:body>"
             "<w:p><w:pPr><w:pStyle w:val='1'/></w:pPr><w:r><w:t>第一章</w:t></w:r></w:p>"
             "<w:p><w:pPr><w:tabs><w:tab w:val='left'/></w:tabs></w:pPr>"
             "<w:r><w:t xml:space='preserve'>One </w:t></w:r><w:r><w:t>two.</w:t><w:br/>"
             "<w:t>three</w:t><w:tab/><w:t>&lt;4&gt;&#x4E2D;</w:t></w:r>"
             "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>"
             "<w:p/>"
             "<w:p><w:pPr><w:numPr><w:ilvl w:val='0'/><w:numId w:val='3'/></w:numPr></w:pPr>"
             "<w:r><w:t>item</w:t></w:r></w:p>"
             "<w:p><w:pPr><w:numPr><w:ilvl w:val='1'/><w:numId w:val='3'/></w:numPr></w:pPr>"
             "<w:r><w:t>inner</w:t></w:r></w:p>"
             "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>a|b</w:t></w:r></w:p><w:p><w:r><w:t>c</w:t></w:r>"
             "</w:p></w:tc><w:tc><w:p/></w:tc></w:tr><w:tr><w:tc><w:p><w:r><w:t>1</w:t></w:r></w:p>"
             "</w:tc><w:tc><w:p><w:r><w:t>2</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
             "<w:p><w:pPr><w:pStyle w:val='Heading2'/></w:pPr><w:r><w:t>End</w:t></w:r></w:p>"
             "</w:body></w:document>");
    assert_ok(finish("a.docx", &err), err);
    assert_string_equal(sunk_text(&s.documents),
                        "[T & U] # 第一章\n\nOne two.\nthree\t<4>中\n\n- item\n  - inner\n\n"
                        "| a\\|b c |  |\n| --- | --- |\n| 1 | 2 |\n\n## End "
                        "{\"author\":\"李白\",\"date\":\"2024-01-01T00:00:00Z\"}\n");
    assert_int_equal(s.left_out_count, 0);
    sunk_clear(&s);
}

static void odt(void **state)
{
    struct ml_error err = {0};
    begin();
    made_put(&made, "mimetype", "application/vnd.oasis.opendocument.text");
    made_put(&made, "meta.xml",
             "<m><dc:title>标题</dc:title><meta:initial-creator>A"
             "</meta:initial-creator><dc:creator>B</dc:creator></m>");
    made_put(
        &made, "content.xml",
        "<office:document-content><office:automatic-styles>no</office:automatic-styles>"
        "<office:body><office:text>"
        "<text:tracked-changes><text:p>gone</text:p></text:tracked-changes>"
        "<text:h text:outline-level='2'>H</text:h>\n"
        "<text:p>one<text:s text:c='2'/>two<text:span>!</text:span><text:line-break/>next"
        "<text:note><text:note-body><text:p>foot</text:p></text:note-body></text:note></text:p>"
        "<text:list><text:list-item><text:p>x</text:p><text:p>more</text:p><text:list>"
        "<text:list-item><text:p>y</text:p></text:list-item></text:list></text:list-item>"
        "</text:list><table:table><table:table-row><table:table-cell><text:p>c</text:p>"
        "</table:table-cell></table:table-row></table:table>"
        "</office:text></office:body></office:document-content>");
    assert_ok(finish("a.odt", &err), err);
    assert_string_equal(sunk_text(&s.documents),
                        "[标题] ## H\n\none two!\nnext\n\n- x\n  more\n  - y\n\n| c |\n| --- | "
                        "{\"author\":\"A; B\"}\n");
    sunk_clear(&s);
}

static void epub(void **state)
{
    struct ml_error err = {0};
    begin();
    made_put(&made, "mimetype", "application/epub+zip");
    made_put(
        &made, "META-INF/container.xml",
        "<container><rootfiles><rootfile full-path='OEBPS/book.opf'/></rootfiles></container>");
    made_put(&made, "OEBPS/text/b.xhtml",
             "<html><head><title>no</title></head><body><h1>Second</h1><p>b\n  &mdash; "
             "<ruby>漢<rt>かん</rt></ruby></p><pre>x\n  y</pre><ul><li>i</li><li><p>j</p></li></ul>"
             "</body></html>");
    made_put(&made, "OEBPS/text/a 1.xhtml",
             "<html><body><div>first<br/>line</div><script>no</script></body></html>");
    made_put(&made, "OEBPS/book.opf",
             "<package><metadata><dc:title>Book</dc:title><dc:creator>A</dc:creator>"
             "<dc:language>zh</dc:language><dc:rights>CC0</dc:rights></metadata><manifest>"
             "<item id='b' href='text/b.xhtml'/><item id='a' href='../OEBPS/text/a%201.xhtml'/>"
             "<item id='gone' href='gone.xhtml'/></manifest>"
             "<spine><itemref idref='a'/><itemref idref='b'/><itemref idref='a'/>"
             "<itemref idref='gone'/><itemref idref='what'/></spine></package>");
    assert_ok(finish("a.epub", &err), err);
    assert_string_equal(sunk_text(&s.documents),
                        "[Book] first\nline\n\n# Second\n\nb — 漢\n\nx\n  y\n\n- i\n- j "
                        "{\"author\":\"A\",\"language\":\"zh\",\"rights\":\"CC0\"}\n");
    assert_string_equal(sunk_text(&s.left_out),
                        "OEBPS/gone.xhtml: this part is missing, empty or encrypted\n");
    sunk_clear(&s);
}

static void pptx(void **state)
{
    struct ml_error err = {0};
    begin();
    made_put(&made, "ppt/presentation.xml",
             "<p:presentation><p:sldIdLst><p:sldId id='256' r:id='rId3'/>"
             "<p:sldId id='257' r:id='rId2'/></p:sldIdLst></p:presentation>");
    made_put(&made, "ppt/_rels/presentation.xml.rels",
             "<Relationships><Relationship Id='rId2' Target='slides/slide1.xml'/>"
             "<Relationship Id='rId3' Target='/ppt/slides/slide2.xml'/></Relationships>");
    made_put(&made, "ppt/slides/slide1.xml",
             "<p:sld><p:sp><p:txBody><a:p><a:r><a:t>last</a:t></a:r><a:fld><a:t>7</a:t></a:fld>"
             "</a:p></p:txBody></p:sp></p:sld>");
    made_put(&made, "ppt/slides/slide2.xml",
             "<p:sld><p:sp><p:nvPr><p:ph type='ctrTitle'/></p:nvPr><a:p><a:r><a:t>标题</a:t></a:r>"
             "</a:p></p:sp><p:sp><a:p><a:r><a:t>body</a:t></a:r></a:p></p:sp></p:sld>");
    assert_ok(finish("a.pptx", &err), err);
    assert_string_equal(sunk_text(&s.documents), "[] # 标题\n\nbody\n\nlast \n");
    sunk_clear(&s);
}

static void broken(void **state)
{
    struct ml_error err = {0};
    begin();
    made_put(&made, "x.xml", "<x/>");
    assert_fails(finish("a.docx", &err), ML_ERR_FORMAT, "a.docx: a ZIP file, but no Word", err);
    begin();
    made_put(&made, "word/document.xml", "<w:document><w:p>");
    assert_fails(finish("a.docx", &err), ML_ERR_FORMAT, "a.docx: no text in it", err);
    assert_string_equal(sunk_text(&s.left_out), "word/document.xml: XML, byte 17: it is cut off\n");
    begin();
    made_put(&made, "META-INF/container.xml", "<container/>");
    assert_fails(finish("a.epub", &err), ML_ERR_FORMAT, "names no package", err);
    begin();
    made_put(&made, "META-INF/container.xml", "<c><rootfile full-path='../../etc/x.opf'/></c>");
    assert_fails(finish("a.epub", &err), ML_ERR_FORMAT, "etc/x.opf is missing", err);
    assert_fails(sunk_read(&s, "a.docx", "\xD0\xCF\x11\xE0....", 8, NULL, &err), ML_ERR_FORMAT,
                 "password", err);
    assert_fails(sunk_read(&s, "a.odt", "no zip", 6, NULL, &err), ML_ERR_FORMAT, "a.odt: not an",
                 err);
    sunk_clear(&s);
}

/* Elements too deep, and every way to cut a document: a message, never more. */
static void bad_xml(void **state)
{
    static const char text[] = "<?xml version='1.0'?><!-- c --><a x=\"1\" y='&lt;'><b/>t&amp;"
                               "&#x41;&nope;<![CDATA[<z>]]></a>";
    struct ml_zip_xml x;
    for (size_t n = 0; n <= sizeof text - 1; n++) {
        struct ml_error err = {0};
        int got;
        ml_zip_xml_open(&x, text, n);
        while ((got = ml_zip_xml_next(&x, &err)) > 0)
            assert_in_range(x.depth, 0, 3);
        assert_int_equal(got, err.code);
        if (n == sizeof text - 1)
            assert_int_equal(got, 0);
        ml_zip_xml_close(&x);
    }
    struct ml_error err = {0};
    char deep[3 * 300];
    for (size_t i = 0; i < sizeof deep; i++)
        deep[i] = "<a>"[i % 3];
    ml_zip_xml_open(&x, deep, sizeof deep);
    int got;
    while ((got = ml_zip_xml_next(&x, &err)) > 0)
        continue;
    assert_int_equal(got, ML_ERR_FORMAT);
    assert_non_null(strstr(err.message, "too deep"));
    ml_zip_xml_close(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(docx), cmocka_unit_test(odt),    cmocka_unit_test(epub),
        cmocka_unit_test(pptx), cmocka_unit_test(broken), cmocka_unit_test(bad_xml),
    };
    return cmocka_run_group_tests_name("office", tests, NULL, NULL);
}
