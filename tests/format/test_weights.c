/* Weights in one file, in shards, in a folder. */
#include "format_check.h"

#include "format/weights.h"

static const float ramp[6] = {1, 2, 3, 4, 5, 6};

static void write_shard(const char *path, const char *first, const char *second)
{
    struct ml_saved_tensor tensors[] = {{first, ML_F32, ML_F32, 2, {2, 3}, ramp},
                                        {second, ML_BF16, ML_F32, 1, {4}, ramp}};
    struct ml_saved_list list = {tensors, second ? 2 : 1, NULL, 0};
    assert_int_equal(ml_safetensors_write(path, &list, NULL), 0);
}

static void write_index(const char *path, const char *text)
{
    assert_int_equal(ml_file_write(path, text, strlen(text), NULL), 0);
}

static const char good_index[] = "{\"metadata\":{\"total_size\":64},\"weight_map\":{"
                                 "\"a\":\"model-00001-of-00002.safetensors\","
                                 "\"b\":\"model-00001-of-00002.safetensors\","
                                 "\"c\":\"model-00002-of-00002.safetensors\"}}";

static const char *make_sharded(void **state, const char *index)
{
    ml_dir_make(in_folder(state, 0, "sharded"), NULL);
    write_shard(in_folder(state, 1, "sharded/model-00001-of-00002.safetensors"), "a", "b");
    write_shard(in_folder(state, 1, "sharded/model-00002-of-00002.safetensors"), "c", NULL);
    write_index(in_folder(state, 1, "sharded/model.safetensors.index.json"), index);
    return in_folder(state, 0, "sharded");
}

static void one_file(void **state)
{
    struct ml_weights w;
    struct ml_error err = {0};
    const int64_t shape[2] = {2, 3}, turned[2] = {3, 2};
    float out[6];
    struct ml_load_target target = {ML_F32, 2, shape, out};
    const char *path = in_folder(state, 0, "one.safetensors");
    write_shard(path, "a", "b");
    assert_int_equal(ml_weights_open(&w, path, &err), 0);
    assert_int_equal(w.tensor_count, 2);
    assert_int_equal(ml_weights_load(&w, "a", &target, &err), 0);
    assert_memory_equal(out, ramp, sizeof out);
    target.dim = turned;
    assert_int_equal(ml_weights_load(&w, "a", &target, &err), ML_ERR_SHAPE);
    assert_message(&err, ML_ERR_SHAPE, "\"a\" is [2,3], the model needs [3,2]");
    memset(&err, 0, sizeof err);
    assert_int_equal(ml_weights_load(&w, "z", &target, &err), ML_ERR_NOT_FOUND);
    assert_message(&err, ML_ERR_NOT_FOUND, "no tensor \"z\"");
    assert_int_equal(ml_weights_check_finite(&w, NULL), 0);
    ml_weights_close(&w);
    ml_weights_close(&w);
    ml_weights_close(NULL);
}

static void sharded_folder(void **state)
{
    struct ml_weights w;
    struct ml_error err = {0};
    const struct ml_safetensors *file = NULL;
    const char *folder = make_sharded(state, good_index);
    if (ml_weights_open(&w, folder, &err) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(w.shard_count, 2);
    assert_int_equal(w.tensor_count, 3);
    assert_non_null(ml_weights_find(&w, "c", &file));
    assert_non_null(strstr(file->path, "model-00002-of-00002.safetensors"));
    assert_null(ml_weights_find(&w, "d", NULL));
    ml_weights_close(&w);
    /* The index itself can be named as well. */
    assert_int_equal(
        ml_weights_open(&w, in_folder(state, 1, "sharded/model.safetensors.index.json"), NULL), 0);
    ml_weights_close(&w);
    /* A whole model.safetensors is taken before the index. */
    write_shard(in_folder(state, 1, "sharded/model.safetensors"), "whole", NULL);
    assert_int_equal(ml_weights_open(&w, folder, NULL), 0);
    assert_int_equal(w.tensor_count, 1);
    ml_weights_close(&w);
    assert_int_equal(remove(in_folder(state, 1, "sharded/model.safetensors")), 0);
}

static void hostile_indexes(void **state)
{
    static const struct {
        const char *text;
        int code;
        const char *part;
    } cases[] = {
        {"", ML_ERR_FORMAT, "not valid JSON"},
        {"[]", ML_ERR_FORMAT, "weight_map is missing"},
        {"{}", ML_ERR_FORMAT, "weight_map is missing"},
        {"{\"weight_map\":{}}", ML_ERR_FORMAT, "weight_map is missing"},
        {"{\"weight_map\":[1]}", ML_ERR_FORMAT, "weight_map is missing"},
        {"{\"weight_map\":{\"a\":7}}", ML_ERR_FORMAT, "(not a string)"},
        {"{\"weight_map\":{\"a\":\"../one.safetensors\"}}", ML_ERR_FORMAT, "same folder"},
        {"{\"weight_map\":{\"a\":\"/etc/x.safetensors\"}}", ML_ERR_FORMAT, "same folder"},
        {"{\"weight_map\":{\"a\":\"x\\\\y.safetensors\"}}", ML_ERR_FORMAT, "same folder"},
        {"{\"weight_map\":{\"a\":\".safetensors\"}}", ML_ERR_FORMAT, "same folder"},
        {"{\"weight_map\":{\"a\":\"passwd\"}}", ML_ERR_FORMAT, "same folder"},
        {"{\"weight_map\":{\"a\":\"\"}}", ML_ERR_FORMAT, "same folder"},
        {"{\"weight_map\":{\"a\":\"gone.safetensors\"}}", ML_ERR_NOT_FOUND, "gone.safetensors"},
        {"{\"weight_map\":{\"z\":\"model-00001-of-00002.safetensors\"}}", ML_ERR_FORMAT,
         "\"z\" is not in model-00001"},
        {"{\"weight_map\":{\"a\":\"model-00001-of-00002.safetensors\","
         "\"c\":\"model-00002-of-00002.safetensors\",\"e\":\"again.safetensors\"}}",
         ML_ERR_FORMAT, "is both in"},
    };
    write_shard(in_folder(state, 1, "one.safetensors"), "a", "b");
    make_sharded(state, good_index);
    write_shard(in_folder(state, 1, "sharded/again.safetensors"), "e", "b");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ml_weights w = {.shard_count = -5};
        struct ml_error err = {0};
        uint64_t before = live_blocks();
        write_index(in_folder(state, 1, "sharded/model.safetensors.index.json"), cases[i].text);
        assert_int_equal(ml_weights_open(&w, in_folder(state, 0, "sharded"), &err), cases[i].code);
        assert_message(&err, cases[i].code, cases[i].part);
        assert_int_equal(w.shard_count, -5);
        assert_int_equal(live_blocks(), before);
    }
}

static void empty_folder(void **state)
{
    struct ml_weights w;
    struct ml_error err = {0};
    const char *folder = in_folder(state, 0, "empty");
    ml_dir_make(folder, NULL);
    assert_int_equal(ml_weights_open(&w, folder, &err), ML_ERR_NOT_FOUND);
    assert_message(&err, ML_ERR_NOT_FOUND, "no model.safetensors");
}

static int open_close(void *arg, struct ml_error *err)
{
    struct ml_weights w;
    int rc = ml_weights_open(&w, arg, err);
    if (rc == 0)
        ml_weights_close(&w);
    return rc;
}

static void allocations_fail(void **state)
{
    char *folder = (char *)(uintptr_t)make_sharded(state, good_index);
    assert_true(each_allocation_fails(open_close, folder) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_file),         cmocka_unit_test(sharded_folder),
        cmocka_unit_test(hostile_indexes),  cmocka_unit_test(empty_folder),
        cmocka_unit_test(allocations_fail),
    };
    return cmocka_run_group_tests_name("weights", tests, folder_setup, folder_teardown);
}
