/* GGUF: round trips, the reference implementation's file, and every way a file can lie. */
#include "format_check.h"

#include "format/gguf.h"

static const float six[6] = {0, 1, -2, 3.5f, -4.25f, 1e-3f};
static const int32_t ints[3] = {1, -2, 3};
static const float floats[2] = {0.5f, -1.5f};
static const char *const strings[4] = {"a", "", "神笔", "Ġb"};

static const struct ml_gguf_pair pairs[] = {
    {.key = "general.architecture", .type = ML_GGUF_STRING, .string = "test"},
    {.key = "n.u32", .type = ML_GGUF_U32, .u32 = 4000000000u},
    {.key = "n.i32", .type = ML_GGUF_I32, .i32 = -7},
    {.key = "n.f32", .type = ML_GGUF_F32, .f32 = 0.1f},
    {.key = "n.bool", .type = ML_GGUF_BOOL, .boolean = true},
    {.key = "list.strings", .type = ML_GGUF_STRING, .array = strings, .count = 4},
    {.key = "list.ints", .type = ML_GGUF_I32, .array = ints, .count = 3},
    {.key = "list.floats", .type = ML_GGUF_F32, .array = floats, .count = 2},
    {.key = "list.none", .type = ML_GGUF_I32, .array = ints, .count = 0},
};
static const struct ml_saved_tensor tensors[] = {
    {"w", ML_F32, ML_F32, 2, {2, 3}, six},          {"half", ML_F16, ML_F32, 1, {5}, six},
    {"brain", ML_BF16, ML_F32, 2, {3, 2}, six},     {"none", ML_F32, ML_F32, 1, {0}, NULL},
    {"last", ML_F32, ML_F32, 4, {1, 3, 1, 2}, six},
};
static const struct ml_gguf_content content = {pairs, 9, tensors, 5};

static void round_trip(void **state)
{
    struct ml_error err = {0};
    struct ml_gguf f;
    float back[6];
    const char *path = in_folder(state, 0, "a.gguf");
    assert_int_equal(ml_gguf_write(path, &content, &err), 0);
    if (ml_gguf_open(&f, path, &err) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(f.value_count, 9);
    assert_int_equal(f.tensor_count, 5);
    assert_string_equal(ml_gguf_get(&f, "general.architecture")->string, "test");
    assert_true(ml_gguf_get(&f, "n.u32")->scalar.u == 4000000000u);
    assert_true(ml_gguf_get(&f, "n.i32")->scalar.i == -7);
    assert_true(ml_gguf_get(&f, "n.f32")->scalar.f == (double)0.1f);
    assert_true(ml_gguf_get(&f, "n.bool")->scalar.u == 1);
    assert_null(ml_gguf_get(&f, "none"));
    const struct ml_gguf_value *v = ml_gguf_get(&f, "list.strings");
    uint64_t at = 0;
    size_t length = 0;
    for (int i = 0; i < 4; i++) {
        const char *text = ml_gguf_next_string(v, &at, &length);
        assert_non_null(text);
        assert_int_equal(length, strlen(strings[i]));
        assert_memory_equal(text, strings[i], length);
    }
    assert_null(ml_gguf_next_string(v, &at, &length));
    v = ml_gguf_get(&f, "list.ints");
    for (uint64_t i = 0; i < 3; i++)
        assert_true(ml_gguf_number(v, i) == ints[i]);
    assert_true(ml_gguf_number(v, 3) == 0);
    assert_true(ml_gguf_number(ml_gguf_get(&f, "list.floats"), 1) == -1.5);
    assert_int_equal(ml_gguf_get(&f, "list.none")->count, 0);
    for (int i = 0; i < 5; i++) {
        const struct ml_gguf_tensor *t = ml_gguf_find(&f, tensors[i].name);
        assert_ptr_equal(t, &f.tensors[i]);
        assert_int_equal(t->offset % 32, 0);
        assert_int_equal(t->ndim, tensors[i].ndim);
        for (int d = 0; d < t->ndim; d++)
            assert_int_equal(t->dim[d], tensors[i].dim[d]);
        assert_int_equal(ml_gguf_load(&f, t, ML_F32, back, &err), 0);
        for (int64_t j = 0; i != 1 && i != 2 && j < t->count; j++)
            assert_true(back[j] == six[j]);
    }
    assert_int_equal(ml_gguf_load(&f, &f.tensors[0], ML_I32, back, &err), ML_ERR_UNSUPPORTED);
    ml_gguf_close(&f);
    ml_gguf_close(&f);
    ml_gguf_close(NULL);
}

/* Written by the Python package `gguf`. */
static void reads_the_reference_writer(void **state)
{
    static const char *const names[] = {"f32", "f16", "bf16"};
    struct ml_error err = {0};
    struct ml_gguf f;
    float back[6];
    if (ml_gguf_open(&f, GOLDEN_DIR "/reference.gguf", &err) != 0)
        fail_msg("%s", err.message);
    assert_string_equal(ml_gguf_get(&f, "general.architecture")->string, "qwen3");
    assert_string_equal(ml_gguf_get(&f, "test.string")->string, "马良");
    assert_true(ml_gguf_get(&f, "test.u64")->scalar.u == (uint64_t)1 << 40);
    assert_true(ml_gguf_get(&f, "test.i64")->scalar.i == -((int64_t)1 << 40));
    assert_true(ml_gguf_get(&f, "test.f64")->scalar.f == 1e-300);
    assert_true(ml_gguf_get(&f, "test.i8")->scalar.i == -3);
    assert_true(ml_gguf_get(&f, "test.u16")->scalar.u == 65535);
    assert_true(ml_gguf_number(ml_gguf_get(&f, "test.ints"), 1) == -2);
    assert_int_equal(ml_gguf_get(&f, "test.strings")->count, 3);
    for (int i = 0; i < 3; i++) {
        const struct ml_gguf_tensor *t = ml_gguf_find(&f, names[i]);
        assert_int_equal(t->dim[0] * 10 + t->dim[1], 23);
        assert_int_equal(ml_gguf_load(&f, t, ML_F32, back, &err), 0);
        for (int j = 0; j < 6; j++)
            assert_true(back[j] == (float)j / 4 - 1);
    }
    const struct ml_gguf_tensor *q8 = ml_gguf_find(&f, "q8");
    assert_string_equal(q8->block->name, "Q8_0");
    assert_int_equal(q8->dim[0] * 100 + q8->dim[1], 264);
    assert_int_equal(q8->bytes, 136);
    for (int i = 0; i < 136; i++)
        assert_int_equal(((const uint8_t *)q8->data)[i], i);
    assert_int_equal(ml_gguf_load(&f, q8, ML_F32, back, &err), ML_ERR_UNSUPPORTED);
    ml_gguf_close(&f);
}

/* A file made by hand, a field at a time. */
struct made {
    uint8_t bytes[4096];
    size_t size;
};

static void put(struct made *m, uint64_t value, int size)
{
    for (int i = 0; i < size; i++)
        m->bytes[m->size++] = (uint8_t)(value >> (8 * i));
}

static void put_text(struct made *m, const char *text)
{
    put(m, strlen(text), 8);
    memcpy(m->bytes + m->size, text, strlen(text));
    m->size += strlen(text);
}

static void begin(struct made *m, uint64_t version, uint64_t tensor_count, uint64_t values)
{
    memset(m, 0, sizeof *m);
    memcpy(m->bytes, "GGUF", 4);
    m->size = 4;
    put(m, version, 4);
    put(m, tensor_count, 8);
    put(m, values, 8);
}

static void key(struct made *m, const char *name, uint64_t type, uint64_t value, int size)
{
    put_text(m, name);
    put(m, type, 4);
    put(m, value, size);
}

static void tensor(struct made *m, const char *name, uint64_t dim, uint64_t type, uint64_t offset)
{
    put_text(m, name);
    put(m, 1, 4);
    put(m, dim, 8);
    put(m, type, 4);
    put(m, offset, 8);
}

static void refused(const struct made *m, int code, const char *part)
{
    struct ml_gguf f = {.value_count = -5};
    struct ml_error err = {0};
    uint64_t before = live_blocks();
    assert_int_equal(ml_gguf_parse(&f, m->bytes, m->size, "made.gguf", &err), code);
    assert_message(&err, code, part);
    assert_int_equal(f.value_count, -5);
    assert_int_equal(live_blocks(), before);
}

static void hostile_beginnings(void **state)
{
    struct made m;
    static const uint64_t counts[] = {1, 1000, 1u << 31, (uint64_t)1 << 60, UINT64_MAX};
    begin(&m, 3, 0, 0);
    m.size = 0;
    refused(&m, ML_ERR_FORMAT, "not a GGUF file");
    m.size = 20;
    refused(&m, ML_ERR_FORMAT, "cut off");
    m.size = 24;
    m.bytes[0] = 'g';
    refused(&m, ML_ERR_FORMAT, "not a GGUF file");
    begin(&m, 1, 0, 0);
    refused(&m, ML_ERR_UNSUPPORTED, "version 1");
    begin(&m, 3u << 24, 0, 0); /* big-endian */
    refused(&m, ML_ERR_UNSUPPORTED, "version 50331648");
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        begin(&m, 3, counts[i], 0);
        refused(&m, ML_ERR_FORMAT, "more than its size allows");
        begin(&m, 3, 0, counts[i]);
        refused(&m, ML_ERR_FORMAT, "more than its size allows");
    }
}

static void hostile_values(void **state)
{
    struct made m;
    begin(&m, 3, 0, 2);
    key(&m, "a", ML_GGUF_U32, 1, 4);
    key(&m, "a", ML_GGUF_U32, 1, 4);
    refused(&m, ML_ERR_FORMAT, "key \"a\": it appears twice");
    begin(&m, 3, 0, 1);
    key(&m, "a", 13, 1, 8);
    refused(&m, ML_ERR_FORMAT, "unknown type");
    begin(&m, 3, 0, 1);
    key(&m, "a", ML_GGUF_BOOL, 2, 1);
    refused(&m, ML_ERR_FORMAT, "boolean");
    begin(&m, 3, 0, 1);
    key(&m, "", ML_GGUF_U64, 1, 8);
    refused(&m, ML_ERR_FORMAT, "is empty");
    begin(&m, 3, 0, 1);
    key(&m, "\xff\xfe", ML_GGUF_U64, 1, 8);
    refused(&m, ML_ERR_FORMAT, "not UTF-8");
    begin(&m, 3, 0, 1);
    put(&m, UINT64_MAX, 8); /* a key of 2^64 - 1 bytes */
    put(&m, 0, 8);
    refused(&m, ML_ERR_FORMAT, "longer than");
    begin(&m, 3, 0, 1);
    key(&m, "a", ML_GGUF_STRING, UINT64_MAX, 8);
    refused(&m, ML_ERR_FORMAT, "cut off");
    begin(&m, 3, 0, 1);
    key(&m, "a", ML_GGUF_STRING, 2, 8);
    put(&m, 0xfeff, 2);
    refused(&m, ML_ERR_FORMAT, "text is not UTF-8");
    static const struct {
        uint64_t type, count;
        const char *part;
    } arrays[] = {
        {ML_GGUF_ARRAY, 1, "array of arrays"}, {99, 1, "array of arrays"},
        {ML_GGUF_U8, (1u << 30) + 1, "2^30"},  {ML_GGUF_U64, UINT64_MAX, "2^30"},
        {ML_GGUF_U64, 1u << 30, "cut off"},    {ML_GGUF_STRING, 1u << 30, "cut off"},
        {ML_GGUF_F64, 3, "cut off"},
    };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        begin(&m, 3, 0, 1);
        key(&m, "a", ML_GGUF_ARRAY, arrays[i].type, 4);
        put(&m, arrays[i].count, 8);
        put(&m, 0, 8);
        put(&m, 0, 8);
        refused(&m, ML_ERR_FORMAT, arrays[i].part);
    }
    static const struct {
        uint64_t type, value;
    } alignments[] = {{ML_GGUF_U32, 0},  {ML_GGUF_U32, 33}, {ML_GGUF_U32, 0x80000000u},
                      {ML_GGUF_I32, 32}, {ML_GGUF_F32, 32}, {ML_GGUF_U32, 1u << 21}};
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        begin(&m, 3, 0, 1);
        key(&m, "general.alignment", alignments[i].type, alignments[i].value, 4);
        refused(&m, ML_ERR_FORMAT, "power of two");
    }
}

static void hostile_tensors(void **state)
{
    struct made m;
    char name[80];
    memset(name, 'n', sizeof name);
    name[64] = '\0';
    begin(&m, 3, 1, 0);
    tensor(&m, name, 1, 0, 0);
    refused(&m, ML_ERR_FORMAT, "longer than 63");
    begin(&m, 3, 2, 0);
    tensor(&m, "a", 8, 0, 0);
    tensor(&m, "a", 8, 0, 32);
    m.size += 100;
    refused(&m, ML_ERR_FORMAT, "tensor \"a\": it appears twice");
    begin(&m, 3, 2, 0);
    tensor(&m, "a", 8, 0, 0);
    tensor(&m, "b", 8, 0, 64);
    m.size += 200;
    refused(&m, ML_ERR_FORMAT, "\"b\": its data does not follow");
    begin(&m, 3, 1, 0);
    tensor(&m, "a", 8, 0, 0);
    m.size += 38; /* one byte short */
    refused(&m, ML_ERR_FORMAT, "the file ends before its data");
    static const struct {
        uint64_t dim, type;
        int code;
        const char *part;
    } cases[] = {
        {UINT64_MAX, 0, ML_ERR_FORMAT, "impossible shape"},
        {(uint64_t)1 << 62, 0, ML_ERR_FORMAT, "impossible shape"},
        {(uint64_t)1 << 60, 0, ML_ERR_FORMAT, "the file ends before"},
        {33, 8, ML_ERR_FORMAT, "whole blocks"},
        {32, 4, ML_ERR_UNSUPPORTED, "unknown type 4"},
        {32, 4294967295u, ML_ERR_UNSUPPORTED, "unknown type 4294967295"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(&m, 3, 1, 0);
        tensor(&m, "a", cases[i].dim, cases[i].type, 0);
        m.size += 64;
        refused(&m, cases[i].code, cases[i].part);
    }
    begin(&m, 3, 1, 0);
    put_text(&m, "a");
    put(&m, 5, 4);
    m.size += 64;
    refused(&m, ML_ERR_FORMAT, "more than 4 dimensions");
}

static void cut_at_every_byte(void **state)
{
    struct ml_file_map map;
    assert_int_equal(ml_gguf_write(in_folder(state, 0, "c.gguf"), &content, NULL), 0);
    assert_int_equal(ml_file_map_open(&map, in_folder(state, 0, "c.gguf"), NULL), 0);
    assert_int_equal(map.size % 32, 0);
    /* The last 8 bytes are padding, which nobody reads. */
    for (size_t size = 0; size < map.size - 8; size++) {
        struct ml_gguf f;
        struct ml_error err = {0};
        assert_int_equal(ml_gguf_parse(&f, map.data, size, "c", &err), ML_ERR_FORMAT);
        assert_true(err.message[0] != '\0');
    }
    ml_file_map_close(&map);
}

static void refuses_to_write(void **state)
{
    static const struct ml_gguf_pair bad[] = {
        {.key = NULL, .type = ML_GGUF_U32},
        {.key = "", .type = ML_GGUF_U32},
        {.key = "a", .type = ML_GGUF_U64},
        {.key = "a", .type = ML_GGUF_BOOL, .array = ints, .count = 1},
        {.key = "a", .type = ML_GGUF_STRING, .string = NULL},
        {.key = "a", .type = ML_GGUF_STRING, .string = "\xff"},
    };
    char name[80];
    memset(name, 'n', sizeof name);
    name[64] = '\0';
    const struct ml_saved_tensor wrong[] = {{name, ML_F32, ML_F32, 1, {1}, six},
                                            {"a", ML_F32, ML_F32, 5, {1, 1, 1, 1, 1}, six}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ml_gguf_content c = {&bad[i], 1, NULL, 0};
        assert_int_equal(ml_gguf_write(in_folder(state, 0, "no"), &c, NULL), ML_ERR_ARG);
    }
    const struct ml_gguf_pair twice[] = {pairs[1], pairs[1]};
    struct ml_gguf_content c = {twice, 2, NULL, 0};
    assert_int_equal(ml_gguf_write(in_folder(state, 0, "no"), &c, NULL), ML_ERR_ARG);
    for (int i = 0; i < 2; i++) {
        struct ml_gguf_content d = {NULL, 0, &wrong[i], 1};
        assert_int_equal(ml_gguf_write(in_folder(state, 0, "no"), &d, NULL), ML_ERR_LIMIT);
    }
    assert_false(ml_path_exists(in_folder(state, 0, "no")));
}

static int write_one(void *arg, struct ml_error *err)
{
    return ml_gguf_write(arg, &content, err);
}

static int read_one(void *arg, struct ml_error *err)
{
    struct ml_gguf f;
    int rc = ml_gguf_open(&f, arg, err);
    if (rc == 0)
        ml_gguf_close(&f);
    return rc;
}

static void allocations_fail(void **state)
{
    char *path = (char *)(uintptr_t)in_folder(state, 0, "m.gguf");
    assert_true(each_allocation_fails(write_one, path) > 2);
    assert_true(each_allocation_fails(read_one, path) > 0);
}

static void full_disk_leaves_nothing(void **state)
{
    enum { N = 100000 };
    float *big = ml_mem_calloc(N, 4);
    struct ml_saved_tensor large = {"a", ML_F16, ML_F32, 1, {N}, big};
    struct ml_gguf_content c = {pairs, 1, &large, 1};
    struct ml_error err = {0};
    int before = count_files(((struct folder *)*state)->path);
    limit_file_size(50000);
    int rc = ml_gguf_write(in_folder(state, 0, "full.gguf"), &c, &err);
    limit_file_size(RLIM_INFINITY);
    assert_int_equal(rc, ML_ERR_IO);
    assert_message(&err, ML_ERR_IO, "full.gguf");
    assert_int_equal(count_files(((struct folder *)*state)->path), before);
    ml_mem_free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(reads_the_reference_writer),
        cmocka_unit_test(hostile_beginnings),
        cmocka_unit_test(hostile_values),
        cmocka_unit_test(hostile_tensors),
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(refuses_to_write),
        cmocka_unit_test(allocations_fail),
        cmocka_unit_test(full_disk_leaves_nothing),
    };
    return cmocka_run_group_tests_name("gguf", tests, folder_setup, folder_teardown);
}
