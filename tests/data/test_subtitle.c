#include "reader_sink.h"

#include "data/subtitle.h"

static struct sunk s;

static void file(const char *uri, const char *text, const char *documents)
{
    struct ml_error err = {0};
    assert_ok(sunk_read(&s, uri, text, strlen(text), NULL, &err), err);
    assert_string_equal(sunk_text(&s.documents), documents);
    sunk_clear(&s);
}

static void srt(void **state)
{
    file("a.srt",
         "1\r\n00:00:01,000 --> 00:00:02,500\r\n<i>你好</i>，{\\an8}世界\r\nline two\r\n\r\n"
         "2\r\n00:01:03,5 --> 01:00:04,000 X1:5\r\na < b & <font color=\"red\">c</font>\r\n",
         "[] 你好，世界\nline two\na < b & c "
         "{\"duration\":3604.0,\"cues\":2,\"times\":[[1.0,2.5],[63.5,3604.0]]}\n");
    /* No blank line at the end, no numbers; an empty cue is none. */
    file("a.srt", "00:01 --> 00:02\nx\n\n00:03 --> 00:04\n<b></b>\n\n00:05 --> 00:06\ny",
         "[] x\ny {\"duration\":6.0,\"cues\":2,\"times\":[[1.0,2.0],[5.0,6.0]]}\n");
}

static void vtt(void **state)
{
    file("a.vtt",
         "WEBVTT - title\n\nNOTE a --> b\nno\n\nSTYLE\n::cue { color: red }\n\nname\n"
         "00:01.000 --> 00:02.000 align:start\n<v Mary>roll\n\n"
         "00:02.000 --> 00:03.000\nroll\n<00:02.500><c.x>up &amp;</c>\n",
         "[] roll\nup & {\"duration\":3.0,\"cues\":2,\"times\":[[1.0,2.0],[2.0,3.0]]}\n");
}

static void ass(void **state)
{
    file("a.ass",
         "[Script Info]\nTitle: x\n\n[V4+ Styles]\nFormat: Name\nStyle: Default\n\n[Events]\n"
         "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
         "Dialogue: 0,0:00:05.00,0:00:06.00,Default,,0,0,0,,second\n"
         "Dialogue: 0,0:00:01.20,0:00:02.00,Default,,0,0,0,,{\\fad(1,2)}first, with comma\\Nand "
         "line<b>\n"
         "Comment: 0,0:00:01.20,0:00:02.00,Default,,0,0,0,,no\n"
         "Dialogue: 0,0:00:01.20,0:00:02.00,Default,,0,0,0,,{\\pos(1,2)\\p1}m 0 0 l 1 1\n"
         "Dialogue: broken\n",
         "[] first, with comma\nand line<b>\nsecond "
         "{\"duration\":6.0,\"cues\":2,\"times\":[[1.2,2.0],[5.0,6.0]]}\n");
}

static void bad(void **state)
{
    struct ml_error err = {0};
    assert_fails(sunk_read(&s, "a.srt", "no times", 8, NULL, &err), ML_ERR_FORMAT,
                 "a.srt: no subtitle", err);
    assert_fails(sunk_read(&s, "a.ass", "[Events]", 8, NULL, &err), ML_ERR_FORMAT,
                 "a.ass: no subtitle", err);
    assert_fails(sunk_read(&s, "a.srt", "\0\1\2", 3, NULL, &err), ML_ERR_FORMAT, "no text", err);
    const char *backwards = "00:02 --> 00:01\nx\n\n00:03 --> 00:04\ny\n\n99999999:00 --> 1:1\nz\n";
    assert_ok(sunk_read(&s, "a.srt", backwards, strlen(backwards), NULL, &err), err);
    assert_string_equal(sunk_text(&s.left_out),
                        "subtitles: 1 of them have times that make no sense\n");
    assert_int_equal(s.document_count, 1);
    /* Of many cues the times are not kept. */
    struct ml_buffer many = {0};
    for (int i = 0; i < 300; i++)
        ml_buffer_printf(&many, NULL, "00:%02d:%02d --> 00:59:59\nline %d\n\n", i / 60, i % 60, i);
    assert_ok(sunk_read(&s, "a.srt", many.data, many.size, NULL, &err), err);
    assert_non_null(strstr(sunk_text(&s.documents), "{\"duration\":3599.0,\"cues\":300}"));
    ml_buffer_clear(&many);
    sunk_clear(&s);
}

static void allocations(void **state)
{
    static const char text[] = "00:01 --> 00:02\n<i>x</i>\nz\n\n00:03 --> 00:04\ny\n";
    struct ml_mem_stats before, after;
    ml_mem_get_stats(&before);
    for (uint64_t n = 1;; n++) {
        struct ml_error err = {0};
        ml_mem_fail_at(n);
        int status = sunk_read(&s, "a.srt", text, sizeof text - 1, NULL, &err);
        ml_mem_get_stats(&after);
        ml_mem_fail_at(0);
        sunk_clear(&s);
        if (after.allocations < n) {
            assert_ok(status, err);
            break;
        }
        assert_int_equal(status, ML_ERR_MEMORY);
        ml_mem_get_stats(&after);
        assert_int_equal(after.live_blocks, before.live_blocks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(srt), cmocka_unit_test(vtt),         cmocka_unit_test(ass),
        cmocka_unit_test(bad), cmocka_unit_test(allocations),
    };
    return cmocka_run_group_tests_name("subtitle", tests, NULL, NULL);
}
