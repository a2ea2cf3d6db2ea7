/* Verse: lines, forms, rhyme positions, layout. */
#include "text/verse.h"
#include "text_check.h"

/* Li Bai, Wang Zhihuan (simplified), Zhang Ji, Du Fu. */
static const char quiet_night[] = "床前明月光，疑是地上霜。\n舉頭望明月，低頭思故鄉。";
static const char crane_tower[] = "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。";
static const char maple_bridge[] =
    "月落烏啼霜滿天，江楓漁火對愁眠。姑蘇城外寒山寺，夜半鐘聲到客船。";
static const char spring_view[] = "國破山河在，城春草木深。\n感時花濺淚，恨別鳥驚心。\n"
                                  "烽火連三月，家書抵萬金。\n白頭搔更短，渾欲不勝簪。\n";

static void forms_have_names(void **state)
{
    static const struct {
        const char *name;
        enum ml_verse_form form;
    } cases[] = {
        {"wujue", ML_VERSE_WUJUE}, {"五絕", ML_VERSE_WUJUE},     {"五绝", ML_VERSE_WUJUE},
        {"5x4", ML_VERSE_WUJUE},   {"七言绝句", ML_VERSE_QIJUE}, {"七絕", ML_VERSE_QIJUE},
        {"wulv", ML_VERSE_WULV},   {"五律", ML_VERSE_WULV},      {"qilü", ML_VERSE_QILV},
        {"7×8", ML_VERSE_QILV},    {"七言律詩", ML_VERSE_QILV},
    };
    enum ml_verse_form form;
    struct ml_error err = {0};
    for (int i = 0; i < COUNT(cases); i++) {
        form = ML_VERSE_NONE;
        assert_int_equal(ml_verse_parse_form(&form, cases[i].name, &err), 0);
        assert_int_equal(form, cases[i].form);
    }
    assert_int_equal(ml_verse_parse_form(&form, "qijve", &err), ML_ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "did you mean qijue"));
    err = (struct ml_error){0};
    assert_int_equal(ml_verse_parse_form(&form, "haiku", &err), ML_ERR_NOT_FOUND);
    assert_null(ml_verse_shape(ML_VERSE_NONE));
    assert_null(ml_verse_shape(ML_VERSE_COUNT));
    assert_string_equal(ml_verse_shape(ML_VERSE_QIJUE)->simplified, "七绝");
}

static void texts_are_classified(void **state)
{
    static const struct {
        const char *text;
        enum ml_verse_form form;
    } cases[] = {
        {quiet_night, ML_VERSE_WUJUE},
        {crane_tower, ML_VERSE_WUJUE},
        {maple_bridge, ML_VERSE_QIJUE},
        {spring_view, ML_VERSE_WULV},
        {"  床前明月光 \n\n疑是地上霜\r\n　舉頭望明月　\n低頭思故鄉", ML_VERSE_WUJUE},
        {"", ML_VERSE_NONE},
        {"床前明月光，疑是地上霜。", ML_VERSE_NONE},
        {"床前明月光，疑是地上霜。舉頭望明月，低頭思故。", ML_VERSE_NONE},
        {"床前明月光，疑是地上霜。舉頭望明月，低頭思x鄉。", ML_VERSE_NONE},
        {"床前明月光，疑是地上霜。舉頭望□月，低頭思故鄉。", ML_VERSE_NONE},
        {"one, two, three, four", ML_VERSE_NONE},
    };
    for (int i = 0; i < COUNT(cases); i++)
        assert_int_equal(ml_verse_classify(cases[i].text, strlen(cases[i].text)), cases[i].form);
}

static void lines_are_cut(void **state)
{
    struct ml_verse_line lines[3];
    static const char text[] = "月落，烏 啼！\n\n \xff霜；，滿天";
    assert_int_equal(ml_verse_split(text, sizeof text - 1, lines, 3), 4);
    assert_int_equal(lines[0].characters, 2);
    assert_int_equal(lines[0].size, 6);
    assert_int_equal(lines[0].mark, 0xff0c);
    assert_int_equal(lines[0].last, 0x843d);
    assert_true(lines[0].chinese);
    assert_int_equal(lines[1].characters, 3); /* the blank inside counts */
    assert_false(lines[1].chinese);
    assert_int_equal(lines[1].mark, 0xff01);
    assert_int_equal(lines[2].characters, 2); /* a byte that is no character is one */
    assert_false(lines[2].chinese);
    assert_int_equal(ml_verse_split("", 0, lines, 3), 0);
    assert_int_equal(ml_verse_split("，。", 6, NULL, 0), 0);
}

static void reports_say_what_is_off(void **state)
{
    struct ml_verse_report report;
    ml_verse_check(ML_VERSE_WULV, spring_view, strlen(spring_view), &report);
    assert_true(report.kept);
    assert_string_equal(report.message, "");
    assert_int_equal(report.rhyme_count, 4);
    static const uint32_t rhymes[] = {0x6df1, 0x5fc3, 0x91d1, 0x7c2a}; /* 深心金簪 */
    assert_memory_equal(report.rhyme, rhymes, sizeof rhymes);
    assert_int_equal(report.first_ending, 0x5728); /* 在 */
    ml_verse_check(ML_VERSE_QIJUE, spring_view, strlen(spring_view), &report);
    assert_false(report.kept);
    assert_string_equal(report.message, "8 lines instead of 4");
    static const char long_line[] = "床前明月光，疑是地上霜霜。舉頭望明月，低頭思故鄉。";
    ml_verse_check(ML_VERSE_WUJUE, long_line, strlen(long_line), &report);
    assert_false(report.kept);
    assert_int_equal(report.wrong_line, 2);
    assert_string_equal(report.message, "line 2 has 6 characters instead of 5");
    static const char latin[] = "床前明月光，疑是地上霜。舉頭望明月，低頭思故x。";
    ml_verse_check(ML_VERSE_WUJUE, latin, strlen(latin), &report);
    assert_false(report.kept);
    assert_int_equal(report.wrong_line, 4);
    assert_non_null(strstr(report.message, "not a Chinese character"));
    ml_verse_check(ML_VERSE_WUJUE, "", 0, &report);
    assert_false(report.kept);
    assert_int_equal(report.rhyme_count, 0);
    ml_verse_check(ML_VERSE_NONE, quiet_night, strlen(quiet_night), &report);
    assert_false(report.kept);
}

static void printed_like_a_book(void **state)
{
    struct ml_buffer out = {0};
    struct ml_error err = {0};
    assert_int_equal(
        ml_verse_print(&out, "靜夜思", "李白", quiet_night, strlen(quiet_night), 2, &err), 0);
    assert_string_equal(out.data, "           靜夜思\n"
                                  "            李白\n"
                                  "  床前明月光，疑是地上霜。\n"
                                  "  舉頭望明月，低頭思故鄉。\n");
    out.size = 0;
    /* Marks that the text lacks are put in; an odd last line stands alone. */
    assert_int_equal(ml_verse_print(&out, NULL, "", "一二三\n四五六\n七八九", 29, 0, &err), 0);
    assert_string_equal(out.data, "一二三，四五六。\n七八九。\n");
    ml_buffer_clear(&out);
    char many[(ML_VERSE_MAX_LINES + 1) * 4 + 1] = "";
    for (int i = 0; i <= ML_VERSE_MAX_LINES; i++)
        memcpy(many + (size_t)i * 4, "月\n", 5);
    assert_int_equal(ml_verse_print(&out, NULL, NULL, many, strlen(many), 0, &err), ML_ERR_LIMIT);
    assert_null(out.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_have_names),    cmocka_unit_test(texts_are_classified),
        cmocka_unit_test(lines_are_cut),       cmocka_unit_test(reports_say_what_is_off),
        cmocka_unit_test(printed_like_a_book),
    };
    return cmocka_run_group_tests_name("verse", tests, NULL, NULL);
}
