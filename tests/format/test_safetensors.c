/* safetensors: round trips, the reference implementation's file, and every way a file can lie. */
#include "format_check.h"

#include <math.h>

#include "format/safetensors.h"

static const float six[6] = {0, 1, -2, 3.5f, -4.25f, 1e-3f};
static const int32_t ids[3] = {7, -1, 2147483647};

static void put_length(uint8_t *out, uint64_t length)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(length >> (8 * i));
}

/* length word + header + n bytes of data, parsed. */
static int parse_made(struct ml_safetensors *out, const char *header, size_t n,
                      struct ml_error *err)
{
    static uint8_t bytes[1 << 16];
    size_t length = strlen(header);
    put_length(bytes, length);
    memcpy(bytes + 8, header, length);
    memset(bytes + 8 + length, 0, n);
    return ml_safetensors_parse(out, bytes, 8 + length + n, "made.safetensors", err);
}

static void round_trip(void **state)
{
    struct ml_error err = {0};
    struct ml_safetensors f = {0};
    const char *path = in_folder(state, 0, "a.safetensors");
    struct ml_saved_tensor tensors[] = {
        {"half", ML_F16, ML_F32, 2, {2, 3}, six},   {"w", ML_F32, ML_F32, 1, {6}, six},
        {"ids", ML_I32, ML_I32, 1, {3}, ids},       {"brain", ML_BF16, ML_F32, 2, {3, 2}, six},
        {"empty", ML_F32, ML_F32, 2, {0, 5}, NULL}, {"scalar", ML_F32, ML_F32, 0, {0}, six + 1},
        {"语/\"x\"", ML_F32, ML_F32, 1, {2}, six},
    };
    struct ml_saved_note notes[] = {{"step", "12"}, {"说明", "line 1\nline 2 \"quoted\""}};
    struct ml_saved_list list = {tensors, 7, notes, 2};
    float back[6];
    int32_t whole[3];
    assert_int_equal(ml_safetensors_write(path, &list, &err), 0);
    assert_int_equal(ml_safetensors_open(&f, path, &err), 0);
    assert_int_equal(f.count, 7);
    assert_string_equal(ml_safetensors_note(&f, "说明"), "line 1\nline 2 \"quoted\"");
    assert_null(ml_safetensors_note(&f, "none"));
    assert_null(ml_safetensors_find(&f, "none"));
    for (int i = 0; i < f.count; i++) {
        const struct ml_safetensors_entry *e = &f.entries[i];
        assert_ptr_equal(ml_safetensors_find(&f, e->name), e);
        assert_int_equal((uintptr_t)e->data % (uintptr_t)ml_number_bytes(e->number), 0);
    }
    const struct ml_safetensors_entry *e = ml_safetensors_find(&f, "half");
    assert_string_equal(e->type, "F16");
    assert_int_equal(e->ndim, 2);
    assert_int_equal(e->dim[0] * 10 + e->dim[1], 23);
    assert_int_equal(ml_safetensors_load(&f, e, ML_F32, back, &err), 0);
    for (int i = 0; i < 6; i++)
        assert_true(back[i] == ml_f16_to_f32(ml_f32_to_f16(six[i])));
    e = ml_safetensors_find(&f, "w");
    assert_int_equal(ml_safetensors_load(&f, e, ML_F32, back, &err), 0);
    assert_memory_equal(back, six, sizeof six);
    e = ml_safetensors_find(&f, "ids");
    assert_int_equal(ml_safetensors_load(&f, e, ML_I32, whole, &err), 0);
    assert_memory_equal(whole, ids, sizeof ids);
    assert_int_equal(ml_safetensors_load(&f, e, ML_F32, back, &err), ML_ERR_UNSUPPORTED);
    assert_message(&err, ML_ERR_UNSUPPORTED, "\"ids\" holds I32");
    assert_int_equal(ml_safetensors_check_finite(&f, NULL), 0);
    ml_safetensors_close(&f);
    ml_safetensors_close(&f);
    ml_safetensors_close(NULL);
}

/* Same content, same bytes; the header is padded so that data is aligned. */
static void bytes_do_not_depend_on_order(void **state)
{
    struct ml_saved_tensor one[] = {{"b", ML_F32, ML_F32, 1, {6}, six},
                                    {"a", ML_BF16, ML_F32, 1, {3}, six},
                                    {"c", ML_F32, ML_F32, 1, {1}, six}};
    struct ml_saved_tensor two[] = {one[2], one[0], one[1]};
    struct ml_saved_list first = {one, 3, NULL, 0}, second = {two, 3, NULL, 0};
    struct ml_file_map x, y;
    assert_int_equal(ml_safetensors_write(in_folder(state, 0, "x"), &first, NULL), 0);
    assert_int_equal(ml_safetensors_write(in_folder(state, 1, "y"), &second, NULL), 0);
    assert_int_equal(ml_file_map_open(&x, in_folder(state, 0, "x"), NULL), 0);
    assert_int_equal(ml_file_map_open(&y, in_folder(state, 1, "y"), NULL), 0);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    assert_int_equal(x.data[0] % 8, 0);
    ml_file_map_close(&x);
    ml_file_map_close(&y);
}

static void large_tensors_go_in_chunks(void **state)
{
    enum { N = 10007 };
    float *in = ml_mem_alloc(N * 4), *out = ml_mem_alloc(N * 4);
    struct ml_safetensors f;
    for (int i = 0; i < N; i++)
        in[i] = (float)i * 0.37f - 1000;
    struct ml_saved_tensor t = {"t", ML_BF16, ML_F32, 1, {N}, in};
    struct ml_saved_list list = {&t, 1, NULL, 0};
    assert_int_equal(ml_safetensors_write(in_folder(state, 0, "l"), &list, NULL), 0);
    assert_int_equal(ml_safetensors_open(&f, in_folder(state, 0, "l"), NULL), 0);
    assert_int_equal(ml_safetensors_load(&f, f.entries, ML_F32, out, NULL), 0);
    for (int i = 0; i < N; i++)
        assert_true(out[i] == ml_bf16_to_f32(ml_f32_to_bf16(in[i])));
    ml_safetensors_close(&f);
    ml_mem_free(in);
    ml_mem_free(out);
}

/* Written by the Python package `safetensors`; tensor "t.F64" etc. hold i/4 - 1 in [2,3]. */
static void reads_the_reference_writer(void **state)
{
    static const char *const types[] = {"F64", "F32", "F16", "BF16"};
    struct ml_error err = {0};
    struct ml_safetensors f = {0};
    if (ml_safetensors_open(&f, GOLDEN_DIR "/reference.safetensors", &err) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(f.count, 10);
    assert_string_equal(ml_safetensors_note(&f, "format"), "pt");
    for (int i = 0; i < 4; i++) {
        char name[16];
        float back[6];
        uint16_t brain[6];
        snprintf(name, sizeof name, "t.%s", types[i]);
        const struct ml_safetensors_entry *e = ml_safetensors_find(&f, name);
        assert_non_null(e);
        assert_string_equal(e->type, types[i]);
        assert_int_equal(ml_safetensors_load(&f, e, ML_F32, back, &err), 0);
        assert_int_equal(ml_safetensors_load(&f, e, ML_BF16, brain, &err), 0);
        for (int j = 0; j < 6; j++) {
            assert_true(back[j] == (float)j / 4 - 1);
            assert_true(ml_bf16_to_f32(brain[j]) == (float)j / 4 - 1);
        }
    }
    const struct ml_safetensors_entry *e = ml_safetensors_find(&f, "t.I64");
    assert_int_equal(e->number, ML_NUMBER_OTHER);
    assert_int_equal(ml_safetensors_load(&f, e, ML_F32, NULL, &err), ML_ERR_UNSUPPORTED);
    assert_message(&err, ML_ERR_UNSUPPORTED, "holds I64");
    assert_int_equal(ml_safetensors_find(&f, "scalar")->ndim, 0);
    assert_int_equal(ml_safetensors_find(&f, "empty")->count, 0);
    ml_safetensors_close(&f);
}

#define T(dtype, shape, offsets)                                                                   \
    "{\"a\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void hostile_headers(void **state)
{
    static const struct {
        const char *header;
        size_t data;
        int code;
        const char *part;
    } cases[] = {
        {"", 0, ML_ERR_FORMAT, "does not begin with '{'"},
        {"   ", 0, ML_ERR_FORMAT, "does not begin with '{'"},
        {"[]", 0, ML_ERR_FORMAT, "does not begin with '{'"},
        {"{", 0, ML_ERR_FORMAT, "does not begin with '{'"},
        {"{\"a\"", 0, ML_ERR_FORMAT, "not valid JSON"},
        {"{} x", 0, ML_ERR_FORMAT, "not valid JSON"},
        {"{\"a\":1}", 0, ML_ERR_FORMAT, "\"a\": its description is not an object"},
        {"{\"\":{}}", 0, ML_ERR_FORMAT, "name is empty"},
        {"{\"a\\nb\":{}}", 0, ML_ERR_FORMAT, "control"},
        {"{\"a\":{}}", 0, ML_ERR_FORMAT, "\"dtype\" is missing"},
        {T("F32", "[1]", "[0,4]") " ", 0, ML_ERR_FORMAT, "the file has 0"},
        {T("F32", "[1]", "[0,4]"), 3, ML_ERR_FORMAT, "cut off"},
        {T("F32", "[1]", "[0,4]"), 5, ML_ERR_FORMAT, "1 bytes after the last tensor"},
        {T("F32", "[1]", "[4,8]"), 8, ML_ERR_FORMAT, "belong to no tensor"},
        {T("F32", "[1]", "[4,0]"), 8, ML_ERR_FORMAT, "ends before it begins"},
        {T("F32", "[1]", "[-4,0]"), 8, ML_ERR_FORMAT, "ends before it begins"},
        {T("F32", "[2]", "[0,4]"), 4, ML_ERR_FORMAT, "need 8 bytes, its offsets give 4"},
        {T("F32", "[1]", "[0,4,8]"), 8, ML_ERR_FORMAT, "not a pair"},
        {T("F32", "[1]", "[0.0,4.0]"), 4, ML_ERR_FORMAT, "not a pair"},
        {T("F32", "[1]", "null"), 4, ML_ERR_FORMAT, "not a pair"},
        {T("F32", "7", "[0,4]"), 4, ML_ERR_FORMAT, "\"shape\""},
        {T("F32", "[-1]", "[0,4]"), 4, ML_ERR_FORMAT, "a dimension"},
        {T("F32", "[1.5]", "[0,4]"), 4, ML_ERR_FORMAT, "a dimension"},
        {T("F32", "[99999999999999999999]", "[0,4]"), 4, ML_ERR_FORMAT, "not valid JSON"},
        {T("F32", "[4611686018427387904,4]", "[0,0]"), 0, ML_ERR_FORMAT, "more elements"},
        {T("F32", "[4611686018427387904]", "[0,0]"), 0, ML_ERR_FORMAT, "whole bytes"},
        {T("F4", "[3]", "[0,1]"), 1, ML_ERR_FORMAT, "whole bytes"},
        {T("Q4", "[1]", "[0,4]"), 4, ML_ERR_UNSUPPORTED, "unknown number type \"Q4\""},
        {T("F32", "[1]", "[0,9223372036854775807]"), 4, ML_ERR_FORMAT, "its offsets give"},
        {T("U8", "[9223372036854775807]", "[0,9223372036854775807]"), 4, ML_ERR_FORMAT, "whole"},
        {T("U8", "[1000000000000000000]", "[0,1000000000000000000]"), 4, ML_ERR_FORMAT, "cut off"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
         6, ML_ERR_FORMAT, "\"b\": its data overlaps"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
         4, ML_ERR_FORMAT, "overlaps"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[4,6]}}",
         6, ML_ERR_FORMAT, "\"b\": bytes before its data"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
         1, ML_ERR_FORMAT, "duplicate"},
        {"{\"__metadata__\":[]}", 0, ML_ERR_FORMAT, "__metadata__ is not an object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, ML_ERR_FORMAT, "\"a\" is not a string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ml_error err = {0};
        struct ml_safetensors f = {.count = -5};
        uint64_t before = live_blocks();
        assert_int_equal(parse_made(&f, cases[i].header, cases[i].data, &err), cases[i].code);
        assert_message(&err, cases[i].code, cases[i].part);
        assert_int_equal(f.count, -5); /* untouched on failure */
        assert_int_equal(live_blocks(), before);
    }
}

static void hostile_lengths(void **state)
{
    static const struct {
        uint64_t length;
        size_t size;
        const char *part;
    } cases[] = {
        {0, 0, "only 0 bytes"},    {0, 7, "only 7 bytes"},    {0, 8, "does not begin"},
        {1, 16, "does not begin"}, {9, 16, "cut off"},        {100000000, 16, "cut off"},
        {100000001, 16, "limit"},  {UINT64_MAX, 16, "limit"}, {UINT64_MAX - 7, 64, "limit"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[64] = {0};
        struct ml_error err = {0};
        struct ml_safetensors f = {0};
        put_length(bytes, cases[i].length);
        bytes[8] = cases[i].length == 1 ? ' ' : '{';
        assert_int_equal(ml_safetensors_parse(&f, bytes, cases[i].size, "made", &err),
                         ML_ERR_FORMAT);
        assert_message(&err, ML_ERR_FORMAT, cases[i].part);
    }
}

static void long_names_and_many_dimensions(void **state)
{
    char header[4096], name[600];
    struct ml_error err = {0};
    struct ml_safetensors f = {0};
    memset(name, 'n', sizeof name);
    name[ML_SAFETENSORS_MAX_NAME] = '\0';
    snprintf(header, sizeof header,
             "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", name);
    assert_int_equal(parse_made(&f, header, 1, &err), 0);
    ml_safetensors_close(&f);
    name[ML_SAFETENSORS_MAX_NAME] = 'n';
    name[ML_SAFETENSORS_MAX_NAME + 1] = '\0';
    snprintf(header, sizeof header, "{\"%s\":{}}", name);
    assert_int_equal(parse_made(&f, header, 0, &err), ML_ERR_FORMAT);
    assert_message(&err, ML_ERR_FORMAT, "longer than 512");

    memset(&err, 0, sizeof err);
    float out;
    assert_int_equal(parse_made(&f, T("F32", "[1,1,1,1,1,1,1]", "[0,4]"), 4, &err), 0);
    assert_int_equal(f.entries[0].ndim, 7);
    assert_int_equal(ml_safetensors_load(&f, f.entries, ML_F32, &out, &err), ML_ERR_UNSUPPORTED);
    assert_message(&err, ML_ERR_UNSUPPORTED, "7 dimensions");
    ml_safetensors_close(&f);
    size_t n = (size_t)snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"U8\",\"shape\":[1");
    for (int i = 0; i < 64; i++)
        n += (size_t)snprintf(header + n, sizeof header - n, ",1");
    snprintf(header + n, sizeof header - n, "],\"data_offsets\":[0,1]}}");
    memset(&err, 0, sizeof err);
    assert_int_equal(parse_made(&f, header, 1, &err), ML_ERR_FORMAT);
    assert_message(&err, ML_ERR_FORMAT, "more than 64 dimensions");
}

/* A file cut at any byte is refused; the whole one opens. */
static void cut_at_every_byte(void **state)
{
    struct ml_saved_tensor tensors[] = {{"a", ML_F32, ML_F32, 2, {2, 3}, six},
                                        {"b", ML_BF16, ML_F32, 1, {3}, six}};
    struct ml_saved_list list = {tensors, 2, NULL, 0};
    struct ml_file_map map;
    assert_int_equal(ml_safetensors_write(in_folder(state, 0, "c"), &list, NULL), 0);
    assert_int_equal(ml_file_map_open(&map, in_folder(state, 0, "c"), NULL), 0);
    for (size_t size = 0; size < map.size; size++) {
        struct ml_safetensors f;
        struct ml_error err = {0};
        assert_int_equal(ml_safetensors_parse(&f, map.data, size, "c", &err), ML_ERR_FORMAT);
        assert_true(err.message[0] != '\0');
    }
    ml_file_map_close(&map);
}

static void odd_but_valid(void **state)
{
    struct ml_safetensors f;
    assert_int_equal(parse_made(&f, "{}", 0, NULL), 0);
    assert_int_equal(f.count, 0);
    assert_null(ml_safetensors_find(&f, "a"));
    ml_safetensors_close(&f);
    assert_int_equal(parse_made(&f, "{}      ", 0, NULL), 0); /* padding with spaces */
    ml_safetensors_close(&f);
    /* The odd length puts f32 data on an odd address. */
    float out[2];
    assert_int_equal(parse_made(&f, T("F32", "[2]", "[0,8]") " ", 8, NULL), 0);
    assert_int_equal(ml_safetensors_load(&f, f.entries, ML_F32, out, NULL), 0);
    assert_true(out[0] == 0 && out[1] == 0);
    ml_safetensors_close(&f);
    assert_int_equal(parse_made(&f, T("F32", "[2]", "[0,8]"), 8, NULL), 0);
    ml_bf16 brain[2];
    assert_int_equal(ml_safetensors_load(&f, f.entries, ML_BF16, brain, NULL), 0);
    ml_safetensors_close(&f);
}

static void names_what_is_not_finite(void **state)
{
    float bad[6] = {0, 1, 2, 3, NAN, INFINITY};
    struct ml_saved_tensor tensors[] = {{"fine", ML_F32, ML_F32, 1, {6}, six},
                                        {"layer.bad", ML_BF16, ML_F32, 2, {2, 3}, bad}};
    struct ml_saved_list list = {tensors, 2, NULL, 0};
    struct ml_safetensors f;
    struct ml_error err = {0};
    assert_int_equal(ml_safetensors_write(in_folder(state, 0, "n"), &list, NULL), 0);
    assert_int_equal(ml_safetensors_open(&f, in_folder(state, 0, "n"), NULL), 0);
    assert_int_equal(ml_safetensors_check_finite(&f, &err), ML_ERR_NUMERIC);
    assert_message(&err, ML_ERR_NUMERIC, "\"layer.bad\" has nan at index 4");
    ml_safetensors_close(&f);
}

static void refuses_to_write(void **state)
{
    float huge[2] = {1, 1e30f};
    struct ml_saved_tensor good = {"a", ML_F32, ML_F32, 1, {2}, six};
    struct ml_saved_tensor twice[] = {good, good};
    struct ml_saved_tensor bad[] = {
        {NULL, ML_F32, ML_F32, 1, {2}, six},
        {"", ML_F32, ML_F32, 1, {2}, six},
        {"\xff", ML_F32, ML_F32, 1, {2}, six},
        {"a\nb", ML_F32, ML_F32, 1, {2}, six},
        {"__metadata__", ML_F32, ML_F32, 1, {2}, six},
        {"a", ML_I32, ML_F32, 1, {2}, six},
        {"a", ML_F32, ML_F32, 7, {1}, six},
        {"a", ML_F32, ML_F32, 1, {-2}, six},
        {"a", ML_F32, ML_F32, 2, {INT64_MAX, 2}, six},
        {"a", ML_F32, ML_F32, 1, {2}, NULL},
        {"a", ML_DTYPE_COUNT, ML_F32, 1, {2}, six},
        {"a", ML_F16, ML_F32, 1, {2}, huge},
    };
    struct ml_saved_note notes[] = {{"k", "v"}, {"k", "w"}, {"x", "\xc3"}};
    const char *path = in_folder(state, 0, "refused");
    int before = count_files(((struct folder *)*state)->path);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ml_saved_list list = {&bad[i], 1, NULL, 0};
        struct ml_error err = {0};
        assert_true(ml_safetensors_write(path, &list, &err) < 0);
        assert_true(err.message[0] != '\0');
    }
    struct ml_error err = {0};
    struct ml_saved_list list = {twice, 2, NULL, 0};
    assert_int_equal(ml_safetensors_write(path, &list, &err), ML_ERR_ARG);
    assert_message(&err, ML_ERR_ARG, "two tensors are named \"a\"");
    struct ml_saved_list noted = {&good, 1, notes, 2};
    assert_int_equal(ml_safetensors_write(path, &noted, NULL), ML_ERR_ARG);
    noted.notes = notes + 1;
    assert_int_equal(ml_safetensors_write(path, &noted, NULL), ML_ERR_ARG);
    assert_int_equal(count_files(((struct folder *)*state)->path), before);
    memset(&err, 0, sizeof err);
    struct ml_saved_list overflow = {&bad[11], 1, NULL, 0};
    assert_int_equal(ml_safetensors_write(path, &overflow, &err), ML_ERR_NUMERIC);
    assert_message(&err, ML_ERR_NUMERIC, "1e+30 at index 1, more than f16 can hold");
}

static void full_disk_keeps_the_old_file(void **state)
{
    enum { N = 100000 };
    float *big = ml_mem_calloc(N, 4);
    struct ml_saved_tensor small = {"a", ML_F32, ML_F32, 1, {6}, six},
                           large = {"a", ML_BF16, ML_F32, 1, {N}, big};
    struct ml_saved_list old = {&small, 1, NULL, 0}, new = {&large, 1, NULL, 0};
    const char *path = in_folder(state, 0, "full.safetensors");
    struct ml_safetensors f;
    struct ml_error err = {0};
    assert_int_equal(ml_safetensors_write(path, &old, NULL), 0);
    int before = count_files(((struct folder *)*state)->path);
    limit_file_size(50000);
    int rc = ml_safetensors_write(path, &new, &err);
    limit_file_size(RLIM_INFINITY);
    assert_int_equal(rc, ML_ERR_IO);
    assert_message(&err, ML_ERR_IO, "full.safetensors");
    assert_int_equal(count_files(((struct folder *)*state)->path), before);
    assert_int_equal(ml_safetensors_open(&f, path, NULL), 0);
    assert_int_equal(f.entries[0].count, 6);
    ml_safetensors_close(&f);
    ml_mem_free(big);
}

static int write_one(void *arg, struct ml_error *err)
{
    struct ml_saved_tensor tensors[] = {{"a", ML_F32, ML_F32, 2, {2, 3}, six},
                                        {"b", ML_BF16, ML_F32, 1, {6}, six}};
    struct ml_saved_note notes[] = {{"k", "v"}, {"l", "w"}};
    struct ml_saved_list list = {tensors, 2, notes, 2};
    return ml_safetensors_write(arg, &list, err);
}

static int read_one(void *arg, struct ml_error *err)
{
    struct ml_safetensors f;
    float out[6];
    int rc = ml_safetensors_open(&f, arg, err);
    if (rc != 0)
        return rc;
    rc = ml_safetensors_load(&f, ml_safetensors_find(&f, "b"), ML_F32, out, err);
    ml_safetensors_close(&f);
    return rc;
}

static void allocations_fail(void **state)
{
    char *path = (char *)(uintptr_t)in_folder(state, 0, "m.safetensors");
    assert_true(each_allocation_fails(write_one, path) > 5);
    assert_true(each_allocation_fails(read_one, path) > 5);
}

static void missing_file_and_folder(void **state)
{
    struct ml_safetensors f;
    struct ml_error err = {0};
    assert_int_equal(ml_safetensors_open(&f, in_folder(state, 0, "no.safetensors"), &err),
                     ML_ERR_NOT_FOUND);
    assert_message(&err, ML_ERR_NOT_FOUND, "no.safetensors");
    memset(&err, 0, sizeof err);
    assert_int_equal(ml_safetensors_open(&f, ((struct folder *)*state)->path, &err), ML_ERR_ARG);
    assert_message(&err, ML_ERR_ARG, "folder");
    assert_int_equal(ml_file_write(in_folder(state, 1, "zero"), "", 0, NULL), 0);
    memset(&err, 0, sizeof err);
    assert_int_equal(ml_safetensors_open(&f, in_folder(state, 1, "zero"), &err), ML_ERR_FORMAT);
    assert_message(&err, ML_ERR_FORMAT, "only 0 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(bytes_do_not_depend_on_order),
        cmocka_unit_test(large_tensors_go_in_chunks),
        cmocka_unit_test(reads_the_reference_writer),
        cmocka_unit_test(hostile_headers),
        cmocka_unit_test(hostile_lengths),
        cmocka_unit_test(long_names_and_many_dimensions),
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(odd_but_valid),
        cmocka_unit_test(names_what_is_not_finite),
        cmocka_unit_test(refuses_to_write),
        cmocka_unit_test(full_disk_keeps_the_old_file),
        cmocka_unit_test(allocations_fail),
        cmocka_unit_test(missing_file_and_folder),
    };
    return cmocka_run_group_tests_name("safetensors", tests, folder_setup, folder_teardown);
}
