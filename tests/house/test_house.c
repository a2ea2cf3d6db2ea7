/* The rules of the house, read from the files themselves (CONTRIBUTING.md has them in words). Each
 * broken rule is told with the line to mend. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/files.h"
#include "c_source.h"

#define MAX_FILE_LINES     1200
#define MAX_FUNCTION_LINES 80

struct house {
    struct ml_arena arena;
    char **paths; /* from the project's root */
    size_t count, capacity;
    int broken; /* lines to mend in the current test */
};

static struct house house;

static void mend(const char *path, int line, const char *rule, const char *detail)
{
    print_error("%s:%d: %s%s\n", path, line, rule, detail);
    house.broken++;
}

static void finish(void)
{
    int broken = house.broken;
    house.broken = 0;
    if (broken)
        fail_msg("%d place(s) to mend, listed above", broken);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static int note_file(void *arg, const char *path, uint64_t bytes, struct ml_error *err)
{
    if (!ends_with(path, ".c") && !ends_with(path, ".h"))
        return 0;
    if (house.count == house.capacity) {
        house.capacity = house.capacity ? house.capacity * 2 : 256;
        house.paths = ml_mem_realloc(house.paths, house.capacity * sizeof house.paths[0]);
        assert_non_null(house.paths);
    }
    house.paths[house.count] = ml_arena_strdup(&house.arena, path + strlen(PROJECT_ROOT) + 1);
    assert_non_null(house.paths[house.count]);
    house.count++;
    return 0;
}

static int enter(void **state)
{
    static const char *const folders[] = {"include", "src",   "cli",   "server",  "apps",
                                          "bench",   "tests", "tools", "examples"};
    ml_arena_init(&house.arena, 0);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        struct ml_error err = {0};
        char *path = ml_path_join(&house.arena, PROJECT_ROOT, folders[i]);
        if (!path)
            return -1;
        if (ml_path_is_dir(path) && ml_dir_walk(path, note_file, NULL, &err) != 0) {
            print_error("%s\n", err.message);
            return -1;
        }
    }
    return house.count > 0 ? 0 : -1;
}

static int leave(void **state)
{
    ml_mem_free(house.paths);
    ml_arena_clear(&house.arena);
    return 0;
}

static struct c_source source_of(struct ml_arena *arena, const char *path)
{
    struct c_source source;
    struct ml_error err = {0};
    if (c_source_read(&source, arena, PROJECT_ROOT, path, &err) != 0)
        fail_msg("%s: %s", path, err.message);
    return source;
}

/* ---- layers ---- */

struct layer {
    char name[32];
    char allowed[256]; /* " kernel tensor " */
};

static struct layer layers[64];
static int n_layers;

static const struct layer *layer_named(const char *name, size_t n)
{
    for (int i = 0; i < n_layers; i++)
        if (strlen(layers[i].name) == n && memcmp(layers[i].name, name, n) == 0)
            return &layers[i];
    return NULL;
}

/* Rows "name: lower lower"; a row may only name rows above it, so that no circle can be written. */
static void read_layers(void)
{
    char *text = NULL, *path = ml_path_join(&house.arena, PROJECT_ROOT, "tools/layers.txt");
    struct ml_error err = {0};
    if (ml_file_read(&house.arena, path, 1 << 16, &text, NULL, &err) != 0)
        fail_msg("%s", err.message);
    n_layers = 0;
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *colon = strchr(line, ':'), *words = NULL;
        if (line[0] == '#' || !colon)
            continue;
        *colon = '\0';
        struct layer *layer = &layers[n_layers];
        assert_true(n_layers < 63 && strlen(line) < sizeof layer->name);
        strcpy(layer->name, line);
        strcpy(layer->allowed, " ");
        for (char *word = strtok_r(colon + 1, " \t", &words); word;
             word = strtok_r(NULL, " \t", &words)) {
            if (strcmp(word, "*") != 0 && !layer_named(word, strlen(word)))
                mend("tools/layers.txt", n_layers + 1, layer->name,
                     " names a layer that does not stand above it");
            assert_true(strlen(layer->allowed) + strlen(word) + 2 < sizeof layer->allowed);
            strcat(strcat(layer->allowed, word), " ");
        }
        n_layers++;
    }
}

/* The layer that a file of this path belongs to: src/nn/x.c is nn's, cli/x.c is cli's. */
static void layer_of(const char *path, const char **name, size_t *n)
{
    *name = starts_with(path, "src/") ? path + 4 : path;
    *n = strcspn(*name, "/");
}

static bool may_include(const char *path, const char *included, size_t n)
{
    const char *slash = memchr(included, '/', n), *own;
    size_t own_length, length = slash ? (size_t)(slash - included) : 0;
    layer_of(path, &own, &own_length);
    if (!slash) /* a neighbour in the same folder, or what the build generates */
        return true;
    if (length == 7 && memcmp(included, "maliang", 7) == 0)
        return true;
    if (strncmp(own, "include", own_length) == 0)
        return false;
    if (length == own_length && memcmp(included, own, length) == 0)
        return true;
    const struct layer *layer = layer_named(own, own_length);
    char word[64];
    snprintf(word, sizeof word, " %.*s ", (int)length, included);
    return (length == 4 && memcmp(included, "base", 4) == 0) ||
           (layer && (strstr(layer->allowed, word) || strcmp(layer->allowed, " * ") == 0));
}

static void layers_hold(void **state)
{
    read_layers();
    for (size_t i = 0; i < house.count; i++) {
        struct ml_arena arena;
        ml_arena_init(&arena, 0);
        struct c_source source = source_of(&arena, house.paths[i]);
        const char *name;
        size_t offset = 0, n;
        while (c_source_include(&source, &offset, &name, &n)) {
            char included[160];
            snprintf(included, sizeof included, "%.*s", (int)n, name);
            if (!may_include(source.path, name, n))
                mend(source.path, c_source_line(&source, offset - 1),
                     "this layer may not include (tools/layers.txt): ", included);
        }
        ml_arena_clear(&arena);
    }
    finish();
}

static void every_folder_is_a_layer(void **state)
{
    read_layers();
    for (size_t i = 0; i < house.count; i++) {
        const char *path = house.paths[i], *name;
        size_t n;
        layer_of(path, &name, &n);
        bool first =
            i == 0 || strncmp(path, house.paths[i - 1], (size_t)(name - path) + n + 1) != 0;
        if (!starts_with(path, "src/") || starts_with(path, "src/base/") || !first)
            continue;
        if (!layer_named(name, n))
            mend(path, 1, "this folder has no row in ", "tools/layers.txt");
    }
    finish();
}

/* ---- sizes and names ---- */

static void file_names_are_unique(void **state)
{
    for (size_t i = 0; i < house.count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(strrchr(house.paths[i], '/'), strrchr(house.paths[j], '/')) == 0)
                mend(house.paths[i], 1, "another file has this name: ", house.paths[j]);
    finish();
}

static void files_are_short(void **state)
{
    for (size_t i = 0; i < house.count; i++) {
        struct ml_arena arena;
        ml_arena_init(&arena, 0);
        struct c_source source = source_of(&arena, house.paths[i]);
        if (c_source_line(&source, source.size) - 1 > MAX_FILE_LINES)
            mend(source.path, MAX_FILE_LINES, "the file goes on past ", "1,200 lines; split it");
        ml_arena_clear(&arena);
    }
    finish();
}

static void functions_are_short(void **state)
{
    size_t functions = 0;
    for (size_t i = 0; i < house.count; i++) {
        struct ml_arena arena;
        ml_arena_init(&arena, 0);
        struct c_source source = source_of(&arena, house.paths[i]);
        struct c_function function;
        for (size_t offset = 0; c_source_function(&source, &offset, &function); functions++) {
            char detail[160];
            int lines = function.last_line - function.first_line + 1;
            snprintf(detail, sizeof detail, "%s has %d lines; %d are allowed", function.name, lines,
                     MAX_FUNCTION_LINES);
            if (lines > MAX_FUNCTION_LINES)
                mend(source.path, function.first_line, "", detail);
        }
        ml_arena_clear(&arena);
    }
    assert_true(functions > house.count); /* the reader of functions itself works */
    finish();
}

static void only_the_arena_calls_malloc(void **state)
{
    static const char *const names[] = {
        "malloc",         "calloc",         "realloc",  "reallocarray", "free",     "strdup",
        "strndup",        "aligned_alloc",  "memalign", "valloc",       "asprintf", "vasprintf",
        "posix_memalign", "open_memstream", "getline",  "getdelim",     NULL,
    };
    for (size_t i = 0; i < house.count; i++) {
        const char *path = house.paths[i], *name;
        bool ours = starts_with(path, "src/") || starts_with(path, "cli/") ||
                    starts_with(path, "server/") || starts_with(path, "apps/");
        if (!ours || strcmp(path, "src/base/arena.c") == 0)
            continue;
        struct ml_arena arena;
        ml_arena_init(&arena, 0);
        struct c_source source = source_of(&arena, path);
        for (size_t offset = 0; c_source_call(&source, &offset, names, &name);)
            mend(path, c_source_line(&source, offset), "memory comes from base/arena.h, not from ",
                 name);
        ml_arena_clear(&arena);
    }
    finish();
}

/* ---- headers ---- */

/* Compiles `#include "header"` alone. command ends before the includes: "cc -std=c11 -x c". */
static void compile_alone(const char *path, const char *header, const char *command)
{
    char line[2048];
    int n = snprintf(line, sizeof line,
                     "printf '#include \"%s\"\\n' | %s -Wall -Wextra -Wpedantic -Werror "
                     "-Wno-psabi -I'%s/include' -I'%s/src' -fsyntax-only - >&2",
                     header, command, PROJECT_ROOT, PROJECT_ROOT);
    assert_true(n > 0 && (size_t)n < sizeof line);
    if (system(line) != 0)
        mend(path, 1, "does not compile alone with: ", command);
}

/* Headers of another kind of processor's intrinsics compile only there. */
static bool is_foreign(const char *path)
{
#if defined(__aarch64__)
    return starts_with(path, "src/kernel/x86/");
#else
    return starts_with(path, "src/kernel/arm/");
#endif
}

static void compile_headers(const char *folder, const char *command)
{
    for (size_t i = 0; i < house.count; i++)
        if (starts_with(house.paths[i], folder) && ends_with(house.paths[i], ".h") &&
            !is_foreign(house.paths[i]))
            compile_alone(house.paths[i], house.paths[i] + strlen(folder), command);
    finish();
}

static void public_headers_compile_as_c11(void **state)
{
    compile_headers("include/", C_COMPILER " -std=c11 -x c");
}

static void public_headers_compile_as_cpp17(void **state)
{
    if (CPP_COMPILER[0] == '\0') {
        print_message("no C++ compiler here: headers are not checked as C++17\n");
        skip();
    }
    compile_headers("include/", CPP_COMPILER " -std=c++17 -x c++");
}

static void headers_inside_compile_alone(void **state)
{
    compile_headers("src/", C_COMPILER " -std=gnu11 -D_GNU_SOURCE -x c");
}

static void every_header_has_a_guard(void **state)
{
    for (size_t i = 0; i < house.count; i++) {
        if (!ends_with(house.paths[i], ".h"))
            continue;
        struct ml_arena arena;
        ml_arena_init(&arena, 0);
        struct c_source source = source_of(&arena, house.paths[i]);
        const char *code = source.code + strspn(source.code, " \n");
        if (!starts_with(code, "#ifndef "))
            mend(source.path, 1, "a header begins with a guard: ", "#ifndef NAME_H");
        ml_arena_clear(&arena);
    }
    finish();
}

/* ---- style ---- */

/* Another version of clang-format breaks lines otherwise: only the one that we use judges. */
static const char *formatter(void)
{
    static const char *const names[] = {"clang-format-14", "clang-format"};
    for (size_t i = 0; i < 2; i++) {
        char command[128];
        snprintf(command, sizeof command, "%s --version 2>/dev/null | grep -q 'version 14\\.'",
                 names[i]);
        if (system(command) == 0)
            return names[i];
    }
    return NULL;
}

/* Files i to i + 39 that the tool would change, one path a line. */
static void list_unformatted(const char *tool, size_t i, struct ml_buffer *command)
{
    command->size = 0;
    assert_int_equal(ml_buffer_printf(command, NULL, "cd '%s' && %s --dry-run", PROJECT_ROOT, tool),
                     0);
    for (size_t j = i; j < house.count && j < i + 40; j++)
        assert_int_equal(ml_buffer_printf(command, NULL, " '%s'", house.paths[j]), 0);
    static const char rest[] =
        " 2>&1 | sed -n 's/:.*code should be clang-formatted.*//p' | sort -u";
    assert_int_equal(ml_buffer_put(command, rest, sizeof rest - 1, NULL), 0);
    FILE *pipe = popen(command->data, "r");
    assert_non_null(pipe);
    for (char path[1024]; fgets(path, sizeof path, pipe);) {
        path[strcspn(path, "\n")] = '\0';
        mend(path, 1, "not formatted; run: clang-format -i ", path);
    }
    assert_int_equal(pclose(pipe), 0);
}

static void sources_are_formatted(void **state)
{
    const char *tool = formatter();
    if (!tool) {
        print_message("no clang-format 14 here: the style is not checked\n");
        skip();
    }
    struct ml_buffer command = {0};
    for (size_t i = 0; i < house.count; i += 40) /* some at a time: short command lines */
        list_unformatted(tool, i, &command);
    ml_buffer_clear(&command);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_hold),
        cmocka_unit_test(every_folder_is_a_layer),
        cmocka_unit_test(file_names_are_unique),
        cmocka_unit_test(files_are_short),
        cmocka_unit_test(functions_are_short),
        cmocka_unit_test(only_the_arena_calls_malloc),
        cmocka_unit_test(public_headers_compile_as_c11),
        cmocka_unit_test(public_headers_compile_as_cpp17),
        cmocka_unit_test(headers_inside_compile_alone),
        cmocka_unit_test(every_header_has_a_guard),
        cmocka_unit_test(sources_are_formatted),
    };
    return cmocka_run_group_tests_name("house", tests, enter, leave);
}
