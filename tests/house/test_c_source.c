/* The reader behind the rules of the house, on code that is hard to read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/files.h"
#include "c_source.h"

static struct ml_arena arena;
static char folder[] = "/tmp/maliang-house-XXXXXX";

static int enter(void **state)
{
    ml_arena_init(&arena, 0);
    return mkdtemp(folder) ? 0 : -1;
}

static int leave(void **state)
{
    ml_arena_clear(&arena);
    return ml_dir_remove(folder, NULL);
}

static struct c_source source_of(const char *text)
{
    struct c_source source = {0};
    assert_int_equal(ml_file_write(ml_path_join(&arena, folder, "x.c"), text, strlen(text), NULL),
                     0);
    assert_int_equal(c_source_read(&source, &arena, folder, "x.c", NULL), 0);
    return source;
}

static void comments_and_strings_are_blanked(void **state)
{
    struct c_source source = source_of("a /* { */ b // }\n\"{\\\"}\" '{' '\\'' 'x' c /* open");
    assert_int_equal(strlen(source.code), source.size);
    assert_null(strpbrk(source.code, "{}*x"));
    assert_non_null(strchr(source.code, 'c'));
    assert_int_equal(c_source_line(&source, source.size), 2);
}

static void includes_are_found(void **state)
{
    struct c_source source = source_of("#include <stdio.h>\n"
                                       "/* #include \"no/comment.h\" */\n"
                                       "  #  include \"nn/a.h\"\n"
                                       "char *s = \"\\n#include \\\"no/string.h\\\"\";\n"
                                       "#include \"b.h\"");
    const char *name;
    size_t offset = 0, n;
    assert_true(c_source_include(&source, &offset, &name, &n));
    assert_int_equal(n, 6);
    assert_memory_equal(name, "nn/a.h", 6);
    assert_int_equal(c_source_line(&source, offset - 1), 3);
    assert_true(c_source_include(&source, &offset, &name, &n));
    assert_memory_equal(name, "b.h", 3);
    assert_false(c_source_include(&source, &offset, &name, &n));
}

static void functions_are_measured(void **state)
{
    struct c_source source = source_of("#define X(a) \\\n    { a }\n"
                                       "struct s {\n    int a;\n};\n"
                                       "static const int t[] = {1, 2};\n"
                                       "int declared(void);\n"
                                       "extern \"C\" {\n"
                                       "static int\nfirst(int a)\n{\n"
                                       "    if (a) {\n        return 1;\n    }\n"
                                       "#define Y {\n"
                                       "    return 0;\n}\n"
                                       "void second(void) { }\n"
                                       "}\n");
    struct c_function function;
    size_t offset = 0;
    assert_true(c_source_function(&source, &offset, &function));
    assert_string_equal(function.name, "first");
    assert_int_equal(function.first_line, 9);
    assert_int_equal(function.last_line, 17);
    assert_true(c_source_function(&source, &offset, &function));
    assert_string_equal(function.name, "second");
    assert_int_equal(function.last_line - function.first_line, 0);
    assert_false(c_source_function(&source, &offset, &function));
}

static void calls_are_told_from_members(void **state)
{
    static const char *const names[] = {"free", "malloc", NULL};
    struct c_source source = source_of("table->free(x); table.free(y); ml_free(z); freeze(1);\n"
                                       "/* free(a) */ \"free(b)\" int free_all;\n"
                                       "free (c); malloc;");
    const char *found = NULL;
    size_t offset = 0;
    assert_true(c_source_call(&source, &offset, names, &found));
    assert_string_equal(found, "free");
    assert_int_equal(c_source_line(&source, offset), 3);
    assert_false(c_source_call(&source, &offset, names, &found));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comments_and_strings_are_blanked),
        cmocka_unit_test(includes_are_found),
        cmocka_unit_test(functions_are_measured),
        cmocka_unit_test(calls_are_told_from_members),
    };
    return cmocka_run_group_tests_name("c_source", tests, enter, leave);
}
