/* Recipes: any bytes give a recipe whose printed form reads back as the same recipe, or one
 * message. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "fuzz.h"
#include "train/recipe.h"

static void check_print(struct ml_arena *arena, const struct ml_recipe *recipe)
{
    struct ml_buffer text = {0};
    struct ml_recipe again;
    struct ml_error err = {0};
    char a[65], b[65];
    if (ml_recipe_print(recipe, &text, &err) != 0 ||
        ml_recipe_parse(&again, arena, text.data, text.size, "printed.yaml", &err) != 0)
        abort();
    ml_recipe_hash(recipe, false, a);
    ml_recipe_hash(&again, false, b);
    if (strcmp(a, b) != 0)
        abort();
    ml_buffer_clear(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_arena arena;
    struct ml_recipe recipe;
    struct ml_error err = {0};
    ml_arena_init(&arena, 0);
    int status = ml_recipe_parse(&recipe, &arena, (const char *)data, size, "fuzz.yaml", &err);
    if (status != err.code || (status != 0 && !err.message[0]))
        abort();
    if (status == 0)
        check_print(&arena, &recipe);
    ml_arena_clear(&arena);
    return 0;
}
