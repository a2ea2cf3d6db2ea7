#include "reader_sink.h"

#include "data/csv.h"

static struct sunk s;

static void table(const char *uri, const char *text, const char *documents, const char *left_out)
{
    struct ml_error err = {0};
    assert_ok(sunk_read(&s, uri, text, strlen(text), NULL, &err), err);
    assert_string_equal(sunk_text(&s.documents), documents);
    assert_string_equal(sunk_text(&s.left_out), left_out);
    sunk_clear(&s);
}

static void headers(void **state)
{
    table("a.csv", "id,title,text\n1,A,first\n2,B,second\n",
          "[A] first {\"id\":\"1\"}\n[B] second {\"id\":\"2\"}\n", "");
    table("a.csv", "标题,作者,正文\r\n静夜思,李白,床前明月光\r\n",
          "[静夜思] 床前明月光 {\"作者\":\"李白\"}\n", "");
    /* A title alone is the text; the best of several names wins. */
    table("a.csv", "headline,class\nnews,3\n", "[] news {\"class\":\"3\"}\n", "");
    table("a.csv", "summary,Content\ns,c\n", "[] c {\"summary\":\"s\"}\n", "");
    /* No known name: the header is known by the numbers below it. */
    table("a.csv", "name,age\nAnn,5\nBob,7\n",
          "[] name: Ann\nage: 5 {\"name\":\"Ann\",\"age\":\"5\"}\n"
          "[] name: Bob\nage: 7 {\"name\":\"Bob\",\"age\":\"7\"}\n",
          "");
    /* The unnamed column of row numbers. */
    table("a.csv", ",text\n0,x\n1,y\n", "[] x {\"column 1\":\"0\"}\n[] y {\"column 1\":\"1\"}\n",
          "");
    table("a.csv", "text,title\n", "", "");
}

static void no_headers(void **state)
{
    table("a.csv", "3,long words here,x\n4,more words here,y\n",
          "[] long words here {\"column 1\":\"3\",\"column 3\":\"x\"}\n"
          "[] more words here {\"column 1\":\"4\",\"column 3\":\"y\"}\n",
          "");
    table("a.tsv", "体验2D巅峰\t8\n\"引号\" 开头\t5\n",
          "[] 体验2D巅峰 {\"column 2\":\"8\"}\n[] 引号 开头 {\"column 2\":\"5\"}\n", "");
    table("a.csv", "alone\n", "[] alone \n", "");
}

static void quotes(void **state)
{
    table("a.csv", "text,n\n\"a, \"\"b\"\"\nc\",1\n\"\",2\n", "[] a, \"b\"\nc {\"n\":\"1\"}\n",
          "line 4: its text is empty\n");
    table("a.csv", "text,n\n\"a\"b,1\n", "[] ab {\"n\":\"1\"}\n", "");
    /* Nothing closes it: a quote like any other, and so are all that follow. */
    table("a.csv", "text,n\n\"open,1\n\"shut\",2\n\"x,3\n",
          "[] open,1\nshut\" {\"n\":\"2\"}\n[] \"x {\"n\":\"3\"}\n", "");
    table("a.tsv", "text\tn\n\"open\t1\nb\t2\n", "[] \"open {\"n\":\"1\"}\n[] b {\"n\":\"2\"}\n",
          "");
}

static void delimiters(void **state)
{
    table("a.csv", "text;n\na, b;1\nc;2\n", "[] a, b {\"n\":\"1\"}\n[] c {\"n\":\"2\"}\n", "");
    table("a.csv", "text|n\na|1\n", "[] a {\"n\":\"1\"}\n", "");
    table("a.csv", "text\tn\na, b\t1\n", "[] a, b {\"n\":\"1\"}\n", "");
    table("a.csv", "sep=;\ntext;n\na;1\n", "[] a {\"n\":\"1\"}\n", "");
    table("a.csv", "\xEF\xBB\xBFtext,n\na,1\n", "[] a {\"n\":\"1\"}\n", "");
    /* GB18030: 正文,类 */
    table("a.csv", "\xD5\xFD\xCE\xC4,n\n\xB4\xB2\xC7\xB0\xC3\xF7\xD4\xC2\xB9\xE2,1\n",
          "[] 床前明月光 {\"n\":\"1\"}\n", "");
}

static void uneven_rows(void **state)
{
    table("a.csv", "text,n\na\n\nb,2,,\nc,3,x\n", "[] a \n[] b {\"n\":\"2\"}\n",
          "line 5: it has 3 cells, the first row 2\n");
    struct ml_error err = {0};
    static char wide[ML_CSV_MAX_COLUMNS + 2];
    memset(wide, ',', sizeof wide);
    assert_fails(sunk_read(&s, "a.csv", wide, sizeof wide, NULL, &err), ML_ERR_LIMIT,
                 "a.csv: line 1 has more than", err);
    assert_fails(sunk_read(&s, "a.csv", "a\0b", 3, NULL, &err), ML_ERR_FORMAT, "binary", err);
    sunk_clear(&s);
}

static void json_rows(void **state)
{
    table("a.json", "[{\"text\":\"a\\r\\nb\",\"n\":1,\"z\":null},\"alone\",5,{\"text\":\" \"}]",
          "[] a\nb {\"n\":1}\n[] alone \n",
          "item 3: it is neither an object nor a string\nitem 4: its text is empty\n");
    table("a.json", "{\"title\":\"T\",\"paragraphs\":[\"a\",\"b\"]}", "[T] a\nb \n", "");
    table("a.json", "{\"version\":1,\"data\":[{\"正文\":\"x\"}]}", "[] x \n", "");
    table("a.json",
          "[{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\","
          "\"content\":\"Hello\"}]}]",
          "[] user: Hi\n\nassistant: Hello {\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},"
          "{\"role\":\"assistant\",\"content\":\"Hello\"}]}\n",
          "");
    table("a.json", "[{\"instruction\":\"翻译\",\"input\":\"月\",\"output\":\"moon\"}]",
          "[] 翻译\n\n月\n\nmoon {\"instruction\":\"翻译\",\"input\":\"月\",\"output\":\"moon\"}\n",
          "");
    struct ml_error err = {0};
    assert_fails(sunk_read(&s, "a.json", "{\"x\":5}", 7, NULL, &err), ML_ERR_FORMAT,
                 "a.json: no field", err);
    assert_fails(sunk_read(&s, "a.json", "{", 1, NULL, &err), ML_ERR_FORMAT, "a.json: not valid",
                 err);
    assert_fails(sunk_read(&s, "a.json", "5", 1, NULL, &err), ML_ERR_FORMAT, "neither", err);
    sunk_clear(&s);
}

static void endings(void **state)
{
    static const struct {
        const char *uri, *ending;
    } cases[] = {
        {"/a/b.CSV", "CSV"},
        {"/a.b/c", ""},
        {"/a/.csv", ""},
        {"x.tar.gz", "gz"},
        {"https://h/a.csv?x=1.y#z", "csv"},
        {"a.zip!/b.txt", "txt"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n;
        const char *ending = ml_reader_ending(cases[i].uri, &n);
        assert_int_equal(n, strlen(cases[i].ending));
        assert_memory_equal(ending, cases[i].ending, n);
    }
    /* What the source states goes before the name. */
    assert_ptr_equal(ml_reader_find(&(struct ml_reader_input){.uri = "x.json", .type = "text/csv"}),
                     &ml_reader_csv);
    assert_ptr_equal(
        ml_reader_find(&(struct ml_reader_input){.uri = "x.json", .type = "text/plain"}),
        &ml_reader_json);
    assert_null(ml_reader_find(&(struct ml_reader_input){.uri = "x.txt"}));
}

/* Every allocation fails once: one message and no leak. */
static void allocations(void **state)
{
    static const char *const texts[][2] = {
        {"a.csv", "标题,正文,n\nT,\"a \"\"b\"\"\",3\nU,c\nx,y,z,w\n"},
        {"a.json", "[{\"instruction\":\"a\",\"output\":\"b\"},\"c\",{\"title\":\"t\",\"n\":5}]"}};
    struct ml_mem_stats before, after;
    for (size_t i = 0; i < 2; i++) {
        ml_mem_get_stats(&before);
        for (uint64_t n = 1;; n++) {
            struct ml_error err = {0};
            ml_mem_fail_at(n);
            int status = sunk_read(&s, texts[i][0], texts[i][1], strlen(texts[i][1]), NULL, &err);
            ml_mem_get_stats(&after);
            ml_mem_fail_at(0);
            sunk_clear(&s);
            if (after.allocations < n) {
                assert_ok(status, err);
                break;
            }
            assert_int_equal(status, status ? ML_ERR_MEMORY : 0);
            ml_mem_get_stats(&after);
            assert_int_equal(after.live_blocks, before.live_blocks);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),    cmocka_unit_test(no_headers),  cmocka_unit_test(quotes),
        cmocka_unit_test(delimiters), cmocka_unit_test(uneven_rows), cmocka_unit_test(json_rows),
        cmocka_unit_test(endings),    cmocka_unit_test(allocations),
    };
    return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}
