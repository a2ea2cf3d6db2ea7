#include "scratch.h"

#include "data/xml_scan.h"

/* All events of a document as one text: <name key=value>, </name>, and texts in quotes; with the
 * failure at its end in exclamation marks. */
static void events(struct ml_buffer *out, const char *bytes, size_t n,
                   const struct ml_xml_limits *limits)
{
    struct ml_xml xml = {0};
    struct ml_error err = {0};
    out->size = 0;
    int status = ml_xml_open(&xml, bytes, n, limits, &err);
    while (status == 0 && (status = ml_xml_next(&xml, &err)) > 0) {
        status = 0;
        if (xml.event == ML_XML_TEXT) {
            assert_ok(ml_buffer_printf(out, &err, "'%.*s'", (int)xml.size, xml.text), err);
            continue;
        }
        const char *slash = xml.event == ML_XML_CLOSE ? "/" : "";
        assert_ok(ml_buffer_printf(out, &err, "<%s%s%s%s", slash, xml.space, *xml.space ? "|" : "",
                                   xml.name),
                  err);
        for (size_t i = 0; i < xml.attribute_count; i++)
            assert_ok(ml_buffer_printf(out, &err, " %s%s%s=%s", xml.attributes[i].space,
                                       *xml.attributes[i].space ? "|" : "", xml.attributes[i].name,
                                       xml.attributes[i].value),
                      err);
        assert_ok(ml_buffer_printf(out, &err, ">"), err);
    }
    if (status)
        assert_ok(ml_buffer_printf(out, NULL, "!%d %s!", status, err.message), err);
    ml_xml_close(&xml);
}

static void reads(const char *text, const char *want)
{
    struct ml_buffer out = {0};
    events(&out, text, strlen(text), NULL);
    assert_string_equal(out.data ? out.data : "", want);
    ml_buffer_clear(&out);
}

static void breaks(const char *text, int code, const char *why)
{
    struct ml_buffer out = {0};
    char start[16];
    snprintf(start, sizeof start, "!%d ", code);
    events(&out, text, strlen(text), NULL);
    if (!strstr(out.data, start) || !strstr(out.data, why))
        fail_msg("%s: %s does not say %s", text, out.data, why);
    ml_buffer_clear(&out);
}

static void well_formed(void **state)
{
    reads("<a/>", "<a></a>");
    reads("<?xml version='1.0'?>\n<!-- c --><a>x<b k='1' l=\"2\">y</b >z</a>\n<!-- end -->\n",
          "<a>'x'<b k=1 l=2>'y'</b>'z'</a>");
    reads("<a>&lt;b&gt; &amp;amp; &quot;&apos; &#20013;&#x6587;&#x1F600;</a>",
          "<a>'<b> &amp; \"' 中文😀'</a>");
    reads("<a>one<![CDATA[ <two> & ]]>three<!-- not -->four<?p q?>five</a>",
          "<a>'one <two> & threefourfive'</a>");
    reads("<a><![CDATA[]]></a>", "<a></a>");
    reads("<a k='&lt;&#10;&amp;' l='x\ty\nz'/>", "<a k=< & l=x y z></a>");
    reads("<中文 属性='值'>文</中文>", "<中文 属性=值>'文'</中文>");
    reads("<a k = '1'\n l\t=\n'2' />", "<a k=1 l=2></a>");
    reads("<a>1\r\n2\r3</a>", "<a>'1\n2\n3'</a>");
    reads("<a k='>'>x</a>", "<a k=>>'x'</a>");
}

static void let_through(void **state)
{
    reads("<a>R&D &nbsp; &#0;&#x110000;&#xD800; &#; &#x; &; &</a>",
          "<a>'R&D &nbsp; \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD &#; &#x; &; &'</a>");
    reads("<a href='/?a=1&b=2'/>", "<a href=/?a=1&b=2></a>");
    reads("<m:a><m:b m:k='1' k='2'/></m:a>", "<m|a><m|b m|k=1 k=2></m|b></m|a>");
}

static void namespaces(void **state)
{
    reads("<a xmlns='u'><b/><c xmlns=''/><d xmlns='v'><e/></d><f/></a>",
          "<u|a><u|b></u|b><c></c><v|d><v|e></v|e></v|d><u|f></u|f></u|a>");
    reads("<p:a xmlns:p='u' q='0' p:q='1'><p:b xmlns:p='v'/><p:c/></p:a>",
          "<u|a q=0 u|q=1><v|b></v|b><u|c></u|c></u|a>");
    reads("<a xml:lang='zh'/>", "<a http://www.w3.org/XML/1998/namespace|lang=zh></a>");
    breaks("<a xmlns:p='u' xmlns:q='u' p:k='1' q:k='2'/>", ML_ERR_FORMAT, "twice");
}

static void document_types(void **state)
{
    reads("<!DOCTYPE a><a/>", "<a></a>");
    reads("<!DOCTYPE a SYSTEM 'x>y' [<!ENTITY e \"<b>]>\"><!-- ]> ' --><!ELEMENT a ANY>]>"
          "<a>&e;</a>",
          "<a>'&e;'</a>");
    reads("<!DOCTYPE lolz [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\">]><l>&b;</l>",
          "<l>'&b;'</l>");
    reads("<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><r>&x;</r>", "<r>'&x;'</r>");
    breaks("<!DOCTYPE a [<!ENTITY", ML_ERR_FORMAT, "does not end");
    breaks("<a><!DOCTYPE a></a>", ML_ERR_FORMAT, "neither a comment");
}

static void broken(void **state)
{
    breaks("", ML_ERR_FORMAT, "nothing in it");
    breaks("text", ML_ERR_FORMAT, "before the root");
    breaks("<!-- only -->", ML_ERR_FORMAT, "no element");
    breaks("<a>", ML_ERR_FORMAT, "ends before </a>");
    breaks("<a>\n<b>\n</a>", ML_ERR_FORMAT, "line 3: </a> stands where </b> should");
    breaks("</a>", ML_ERR_FORMAT, "closes nothing");
    breaks("<a/><b/>", ML_ERR_FORMAT, "second root");
    breaks("<a/>x", ML_ERR_FORMAT, "behind the root");
    breaks("<a", ML_ERR_FORMAT, "does not end");
    breaks("<a b>", ML_ERR_FORMAT, "name=\"value\"");
    breaks("<a b=c>", ML_ERR_FORMAT, "name=\"value\"");
    breaks("<a b='c>", ML_ERR_FORMAT, "does not end");
    breaks("<a b='<'/>", ML_ERR_FORMAT, "does not end");
    breaks("<a b='1' b='2'/>", ML_ERR_FORMAT, "twice");
    breaks("<a>x < y</a>", ML_ERR_FORMAT, "&lt;");
    breaks("<a><!-- </a>", ML_ERR_FORMAT, "does not end");
    breaks("<a><![CDATA[ </a>", ML_ERR_FORMAT, "does not end");
    breaks("<1/>", ML_ERR_FORMAT, "begins no tag");
    breaks("\x01\x02\x03\x04", ML_ERR_FORMAT, "no text");
}

static void encodings(void **state)
{
    struct ml_buffer out = {0};
    static const char wide[] = "\xFF\xFE<\0a\0>\0\x2D\x4E\x87\x65<\0/\0a\0>\0";
    events(&out, wide, sizeof wide - 1, NULL);
    assert_string_equal(out.data, "<a>'中文'</a>");
    static const char big[] = "\xFE\xFF\0<\0a\0>\x4E\x2D\x65\x87\0<\0/\0a\0>";
    events(&out, big, sizeof big - 1, NULL);
    assert_string_equal(out.data, "<a>'中文'</a>");
    ml_buffer_clear(&out);
    reads("\xEF\xBB\xBF<a>中</a>", "<a>'中'</a>");
    /* too short to be told by its looks: the declaration says so */
    reads("<?xml version=\"1.0\" encoding=\"gb2312\"?><a>\xB6\xCB\xCE\xE7</a>", "<a>'端午'</a>");
    reads("<?xml version='1.0' encoding='Big5'?><a>\xA4\xA4\xA4\xE5</a>", "<a>'中文'</a>");
    reads("<?xml version='1.0' encoding='ISO-8859-1'?><a>caf\xE9 \x96</a>", "<a>'café –'</a>");
    reads("<?xml version='1.0' encoding='Shift_JIS'?><a>\x93\xFA\x96\x7B</a>", "<a>'日本'</a>");
    /* UTF-8 whatever it says */
    reads("<?xml version='1.0' encoding='gbk'?><a>中文</a>", "<a>'中文'</a>");
    /* by its looks, without a declaration */
    reads("<a>\xB2\xBB\xD4\xDA\xC8\xCB\xB5\xC4\xD2\xBB\xA1\xA3</a>", "<a>'不在人的一。'</a>");
    breaks("<a>caf\xE9</a>", ML_ERR_FORMAT, "unknown encoding");
}

static void limits(void **state)
{
    struct ml_buffer text = {0}, out = {0};
    struct ml_error err = {0};
    for (int i = 0; i < 300; i++)
        assert_ok(ml_buffer_put(&text, "<a>", 3, &err), err);
    breaks(text.data, ML_ERR_LIMIT, "256 deep");
    events(&out, text.data, text.size, &(struct ml_xml_limits){.max_depth = 400});
    assert_non_null(strstr(out.data, "ends before </a>"));
    text.size = 0;
    assert_ok(ml_buffer_put(&text, "<a", 2, &err), err);
    for (int i = 0; i < 300; i++)
        assert_ok(ml_buffer_printf(&text, &err, " k%d=''", i), err);
    assert_ok(ml_buffer_put(&text, "/>", 2, &err), err);
    breaks(text.data, ML_ERR_LIMIT, "256 attributes");
    text.size = 0;
    for (int i = 0; i < 20; i++) {
        assert_ok(ml_buffer_put(&text, "<a", 2, &err), err);
        for (int j = 0; j < 100; j++)
            assert_ok(ml_buffer_printf(&text, &err, " xmlns:n%d='u'", j), err);
        assert_ok(ml_buffer_put(&text, ">", 1, &err), err);
    }
    breaks(text.data, ML_ERR_LIMIT, "namespaces");
    events(&out, "<a>12345</a>", 12, &(struct ml_xml_limits){.max_bytes = 11});
    assert_non_null(strstr(out.data, "more than 11 bytes"));
    ml_buffer_clear(&text);
    ml_buffer_clear(&out);
}

static void elements(void **state)
{
    static const char text[] = "<r a='1'><s>x<t>y</t>z</s><m>p<b>q</b>&amp;</m><e/></r>";
    struct ml_xml xml;
    struct ml_error err = {0};
    struct ml_buffer out = {0};
    const char *markup;
    size_t n;
    assert_ok(ml_xml_open(&xml, text, strlen(text), NULL, &err), err);
    assert_int_equal(ml_xml_next(&xml, &err), 1);
    assert_string_equal(ml_xml_get(&xml, NULL, "a"), "1");
    assert_null(ml_xml_get(&xml, "u", "a"));
    assert_null(ml_xml_get(&xml, "", "b"));
    assert_int_equal(xml.depth, 1);
    assert_int_equal(ml_xml_next(&xml, &err), 1);
    assert_true(ml_xml_is(&xml, "", "s"));
    assert_ok(ml_xml_read_text(&xml, &out, &err), err);
    assert_string_equal(out.data, "xyz");
    assert_int_equal(xml.event, ML_XML_CLOSE);
    assert_int_equal(ml_xml_next(&xml, &err), 1);
    assert_ok(ml_xml_read_inner(&xml, &markup, &n, &err), err);
    assert_int_equal(n, strlen("p<b>q</b>&amp;"));
    assert_memory_equal(markup, "p<b>q</b>&amp;", n);
    assert_int_equal(ml_xml_next(&xml, &err), 1);
    assert_ok(ml_xml_read_inner(&xml, &markup, &n, &err), err);
    assert_int_equal(n, 0);
    assert_int_equal(ml_xml_next(&xml, &err), 1);
    assert_true(xml.event == ML_XML_CLOSE && ml_xml_is(&xml, "", "r"));
    assert_int_equal(ml_xml_next(&xml, &err), 0);
    assert_int_equal(ml_xml_next(&xml, &err), 0);
    ml_xml_close(&xml);
    ml_xml_close(&xml);
    ml_buffer_clear(&out);
    char space[128], name[64];
    ml_xml_root("  <a:b xmlns:a='u'>", 19, space, name);
    assert_string_equal(space, "u");
    assert_string_equal(name, "b");
    ml_xml_root("{}", 2, space, name);
    assert_string_equal(name, "");
}

static void every_allocation(void **state)
{
    static const char text[] = "<?xml version='1.0' encoding='gbk'?><p:a xmlns:p='u' k='v&amp;'>"
                               "\xD6\xD0<b/>text</p:a>\r\n";
    struct ml_mem_stats before, stats;
    ml_mem_get_stats(&before);
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        struct ml_xml xml = {0};
        struct ml_error err = {0};
        ml_mem_fail_at(n);
        int status = ml_xml_open(&xml, text, strlen(text), NULL, &err);
        while (status == 0 && (status = ml_xml_next(&xml, &err)) > 0)
            status = 0;
        ml_mem_get_stats(&stats);
        done = stats.allocations < n;
        ml_mem_fail_at(0);
        assert_int_equal(status, done ? 0 : ML_ERR_MEMORY);
        assert_int_equal(err.code, status);
        ml_xml_close(&xml);
        ml_mem_get_stats(&stats);
        assert_int_equal(stats.live_blocks, before.live_blocks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed),      cmocka_unit_test(let_through),
        cmocka_unit_test(namespaces),       cmocka_unit_test(document_types),
        cmocka_unit_test(broken),           cmocka_unit_test(encodings),
        cmocka_unit_test(limits),           cmocka_unit_test(elements),
        cmocka_unit_test(every_allocation),
    };
    return cmocka_run_group_tests_name("xml_scan", tests, NULL, NULL);
}
