/* docs/recipe.md says what the table of recipe fields says. Renew it with
 *     build/tests/train/test_recipe_doc --write */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/files.h"
#include "train/recipe.h"

#define DOCUMENT SOURCE_ROOT "/docs/recipe.md"

static void document_is_current(void **state)
{
    (void)state;
    struct ml_arena arena;
    struct ml_buffer made = {0};
    struct ml_error err = {0};
    char *text = NULL;
    size_t size = 0;
    ml_arena_init(&arena, 0);
    assert_int_equal(ml_recipe_document(&made, &err), 0);
    if (ml_file_read(&arena, DOCUMENT, 1 << 20, &text, &size, &err) != 0)
        fail_msg("%s", err.message);
    if (size != made.size || memcmp(text, made.data, size) != 0)
        fail_msg(
            "docs/recipe.md is out of date; renew it: build/tests/train/test_recipe_doc --write");
    ml_buffer_clear(&made);
    ml_arena_clear(&arena);
}

static int write_document(void)
{
    struct ml_buffer made = {0};
    struct ml_error err = {0};
    int status = ml_recipe_document(&made, &err);
    if (status == 0)
        status = ml_file_write(DOCUMENT, made.data, made.size, &err);
    if (status != 0)
        fprintf(stderr, "%s\n", err.message);
    ml_buffer_clear(&made);
    return status != 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--write") == 0)
        return write_document();
    const struct CMUnitTest tests[] = {cmocka_unit_test(document_is_current)};
    return cmocka_run_group_tests_name("recipe_doc", tests, NULL, NULL);
}
