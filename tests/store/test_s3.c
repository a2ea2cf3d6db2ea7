/* Material in S3, against a server in this program (s3_server.h). It was not run against AWS; the
 * signature is compared with the examples that AWS publishes. */
#include "scratch.h"

#include <dirent.h>
#include <sys/stat.h>

#include "s3_server.h"
#include "store/blob_cache.h"
#include "store/blob_driver.h"
#include "store/blobs.h"
#include "store/check.h"
#include "store/records.h"
#include "store/s3_http.h"
#include "store/s3_xml.h"

#define ID     "AKIAIOSFODNN7EXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define EMPTY  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static char folder[SCRATCH_PATH], url[256];
static struct s3_server server;
static struct ml_arena arena;

static int set_up(void **state)
{
    scratch_make(folder);
    ml_arena_init(&arena, 0);
    setenv("AWS_ACCESS_KEY_ID", ID, 1);
    setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
    unsetenv("AWS_SESSION_TOKEN");
    unsetenv("AWS_PROFILE");
    unsetenv("AWS_REGION");
    unsetenv("AWS_DEFAULT_REGION");
    setenv("no_proxy", "*", 1);
    memset(&server, 0, sizeof server);
    server.bucket = "material";
    server.id = ID;
    server.secret = SECRET;
    server.page = 2;
    s3_server_start(&server);
    snprintf(url, sizeof url,
             "s3://material/a%%20b/c?endpoint=http://127.0.0.1:%d&region=eu-west-1", server.port);
    return 0;
}

static int tear_down(void **state)
{
    s3_server_stop(&server);
    ml_arena_clear(&arena);
    scratch_remove(folder);
    return 0;
}

/* ---- the parts ---- */

/* docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html: the four examples. */
static void signatures_of_the_documentation(void **state)
{
    static const char welcome[] =
        "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    static const struct ml_s3_header get[] = {{"host", "examplebucket.s3.amazonaws.com"},
                                              {"range", "bytes=0-9"},
                                              {"x-amz-content-sha256", EMPTY},
                                              {"x-amz-date", "20130524T000000Z"}};
    static const struct ml_s3_header put[] = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                              {"host", "examplebucket.s3.amazonaws.com"},
                                              {"x-amz-content-sha256", welcome},
                                              {"x-amz-date", "20130524T000000Z"},
                                              {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
    static const struct ml_s3_header list[] = {{"host", "examplebucket.s3.amazonaws.com"},
                                               {"x-amz-content-sha256", EMPTY},
                                               {"x-amz-date", "20130524T000000Z"}};
    static const struct {
        const char *method, *path, *query;
        const struct ml_s3_header *headers;
        size_t count;
        const char *hash, *signature;
    } examples[] = {
        {"GET", "/test.txt", "", get, 4, EMPTY,
         "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
        {"PUT", "/test%24file.text", "", put, 5, welcome,
         "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
        {"GET", "/", "lifecycle=", list, 3, EMPTY,
         "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
        {"GET", "/", "max-keys=2&prefix=J", list, 3, EMPTY,
         "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
    };
    const struct ml_s3_keys keys = {.id = ID, .secret = SECRET};
    char date[ML_S3_DATE];
    ml_s3_date(date, 1369353600);
    assert_string_equal(date, "20130524T000000Z");
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        const struct ml_s3_request request = {.method = examples[i].method,
                                              .region = "us-east-1",
                                              .path = examples[i].path,
                                              .query = examples[i].query,
                                              .headers = examples[i].headers,
                                              .header_count = examples[i].count,
                                              .payload_hash = examples[i].hash,
                                              .date = date};
        const char *header = ml_s3_sign(&arena, &request, &keys);
        assert_non_null(strstr(header, "Credential=" ID "/20130524/us-east-1/s3/aws4_request,"));
        assert_string_equal(strstr(header, "Signature=") + 10, examples[i].signature);
        assert_null(strstr(header, SECRET));
    }
    struct ml_buffer text = {0};
    struct ml_error err = {0};
    assert_ok(ml_s3_escape(&text, "a b/春+~", false, &err), err);
    assert_ok(ml_s3_escape(&text, "/=", true, &err), err);
    assert_string_equal(text.data, "a%20b/%E6%98%A5%2B~%2F%3D");
    ml_buffer_clear(&text);
}

static void addresses(void **state)
{
    struct ml_error err = {0};
    struct ml_s3_address a;
    assert_ok(ml_s3_address_parse(&a, &arena, "s3://b", &err), err);
    assert_string_equal(a.prefix, "");
    assert_string_equal(a.endpoint, "https://s3.us-east-1.amazonaws.com");
    assert_false(a.path_style);
    setenv("AWS_REGION", "cn-north-1", 1);
    assert_ok(ml_s3_address_parse(&a, &arena, "s3://b.c/p/q//?style=path&keys=%2Fk&cache=5", &err),
              err);
    assert_string_equal(a.bucket, "b.c");
    assert_string_equal(a.prefix, "p/q/");
    assert_string_equal(a.region, "cn-north-1");
    assert_string_equal(a.keys, "/k");
    assert_true(a.path_style);
    assert_int_equal(a.cache_megabytes, 5);
    assert_ok(ml_s3_address_parse(&a, &arena, "s3://b?endpoint=http://[::1]:9000/", &err), err);
    assert_string_equal(a.endpoint, "http://[::1]:9000");
    assert_true(a.path_style);
    static const struct {
        const char *address, *says;
    } bad[] = {
        {"s3://", "bucket"},
        {"s3:///p", "bucket"},
        {"s3://b@evil/p", "bucket"},
        {"s3://b/%zz", "prefix"},
        {"s3://b//x", "prefix"},
        {"s3://b?endpoint=file:///etc", "endpoint"},
        {"s3://b?endpoint=http://h/path", "endpoint"},
        {"s3://b?endpont=http://h", "did you mean endpoint"},
        {"s3://b?region=a/b", "region"},
        {"s3://b?style=round", "style"},
        {"s3://b?cache=0", "cache"},
        {"s3://b?cache=x", "cache"},
        {"s3://b?keys=relative", "keys"},
        {"s3://b?region", "NAME=VALUE"},
        {"http://b", "begins with s3://"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_fails(ml_s3_address_parse(&a, &arena, bad[i].address, &err), ML_ERR_ARG, bad[i].says,
                     err);
}

static void keys(void **state)
{
    struct ml_error err = {0};
    struct ml_s3_keys got;
    char path[SCRATCH_PATH + 32];
    snprintf(path, sizeof path, "%s/credentials", folder);
    const struct ml_s3_address address = {.bucket = "b", .keys = path};
    assert_ok(ml_s3_keys_find(&got, &arena, &address, &err), err);
    assert_string_equal(got.id, ID);
    assert_null(got.token);
    unsetenv("AWS_SECRET_ACCESS_KEY");
    static const char text[] = "# mine\n[other]\naws_access_key_id = o\naws_secret_access_key=p\n"
                               "[default]\n aws_access_key_id=i \r\naws_secret_access_key = s=t\n"
                               "aws_session_token = u\n";
    assert_ok(ml_file_write(path, text, sizeof text - 1, &err), err);
    assert_int_equal(chmod(path, 0644), 0);
    assert_fails(ml_s3_keys_find(&got, &arena, &address, &err), ML_ERR_STATE, "chmod 600", err);
    assert_int_equal(chmod(path, 0600), 0);
    assert_ok(ml_s3_keys_find(&got, &arena, &address, &err), err);
    assert_string_equal(got.id, "i");
    assert_string_equal(got.secret, "s=t");
    assert_string_equal(got.token, "u");
    setenv("AWS_PROFILE", "other", 1);
    assert_ok(ml_s3_keys_find(&got, &arena, &address, &err), err);
    assert_string_equal(got.secret, "p");
    assert_null(got.token);
    setenv("AWS_PROFILE", "none", 1);
    assert_fails(ml_s3_keys_find(&got, &arena, &address, &err), ML_ERR_NOT_FOUND,
                 "AWS_ACCESS_KEY_ID", err);
    setenv("AWS_SECRET_ACCESS_KEY", "two\nlines", 1);
    assert_int_equal(ml_s3_keys_find(&got, &arena, &address, &err), ML_ERR_FORMAT);
    assert_null(strstr(err.message, "lines"));
}

static void lists(void **state)
{
    static const char page[] =
        "<A><Contents><Key>a&amp;b&lt;&#x6625;&#26149;&#0;&bad;&</Key><Size>12</Size></Contents>"
        "<Contents><Size>3</Size><Key>c</Key></Contents><Contents><Key>d</Key>";
    struct ml_s3_object object;
    const char *at = page, *end = page + sizeof page - 1;
    char text[8];
    assert_true(ml_s3_next_object(&at, end, &object));
    assert_string_equal(object.key, "a&b<春春&#0;&bad;&");
    assert_int_equal(object.bytes, 12);
    assert_true(ml_s3_next_object(&at, end, &object));
    assert_string_equal(object.key, "c");
    assert_false(ml_s3_next_object(&at, end, &object));
    assert_non_null(ml_s3_element(page, end, "Key", text, sizeof text));
    assert_string_equal(text, "a&b<春"); /* cut at a character */
    assert_null(ml_s3_element(page, end, "Token", text, sizeof text));
}

/* ---- requests ---- */

static struct ml_s3 *open_s3(void)
{
    struct ml_s3 *s3 = NULL;
    struct ml_error err = {0};
    assert_ok(ml_s3_open(&s3, url, &err), err);
    ml_s3_set_pause(s3, 0.001);
    return s3;
}

static int take(void *arg, const void *bytes, size_t n, struct ml_error *err)
{
    return ml_buffer_put(arg, bytes, n, err);
}

static int begin(void *arg, int64_t length, struct ml_error *err)
{
    ((struct ml_buffer *)arg)->size = 0;
    return 0;
}

static void requests(void **state)
{
    struct ml_error err = {0};
    struct ml_s3 *s3 = open_s3();
    struct ml_buffer got = {0};
    char hash[ML_HASH_HEX];
    int64_t length = -1;
    static char big[3000000]; /* more than curl sends without asking (Expect) */
    memset(big, 'b', sizeof big);
    ml_hash_text(big, sizeof big, hash);
    struct ml_s3_call call = {.method = "PUT",
                              .key = "诗/x y",
                              .body = big,
                              .body_bytes = sizeof big,
                              .body_hash = hash,
                              .begin = begin,
                              .take = take,
                              .arg = &got};
    assert_ok(ml_s3_call(s3, &call, NULL, &err), err);
    assert_non_null(s3_server_find(&server, "a b/c/诗/x y"));
    call.method = "HEAD";
    call.body_hash = NULL;
    assert_ok(ml_s3_call(s3, &call, &length, &err), err);
    assert_int_equal(length, sizeof big);
    call.method = "GET";
    assert_ok(ml_s3_call(s3, &call, NULL, &err), err);
    assert_int_equal(got.size, sizeof big);
    assert_memory_equal(got.data, big, sizeof big);
    /* Passing failures are got over ... */
    server.busy = 2;
    server.cut = 1;
    server.shorten = 1;
    assert_ok(ml_s3_call(s3, &call, NULL, &err), err);
    assert_int_equal(got.size, sizeof big);
    assert_int_equal(server.shorten + server.busy + server.cut, 0);
    /* ... but not for ever. */
    server.busy = 100;
    int before = server.requests;
    assert_fails(ml_s3_call(s3, &call, NULL, &err), ML_ERR_IO, "503 SlowDown", err);
    assert_int_equal(server.requests - before, 5);
    server.busy = 0;
    call.method = "DELETE";
    assert_ok(ml_s3_call(s3, &call, NULL, &err), err);
    call.method = "GET";
    assert_fails(ml_s3_call(s3, &call, NULL, &err), ML_ERR_NOT_FOUND, "there is no a b/c/诗/x y",
                 err);
    assert_int_equal(server.refused, 0);
    ml_buffer_clear(&got);
    ml_s3_close(s3);
    ml_s3_close(NULL);
}

static void refusals(void **state)
{
    struct ml_error err = {0};
    struct ml_s3 *s3 = open_s3();
    const struct ml_s3_call call = {.method = "GET", .key = "x"};
    static const struct {
        int status;
        const char *body, *says;
    } answers[] = {
        {403, "<Error><Code>AccessDenied</Code></Error>", "refuses it (AccessDenied)"},
        {403, "<Error><Code>RequestTimeTooSkewed</Code></Error>", "clock"},
        {404, "<Error><Code>NoSuchBucket</Code></Error>", "no such bucket"},
        {301, "<Error><Code>PermanentRedirect</Code><Region>eu-north-1</Region></Error>",
         "region, eu-north-1"},
        {400, "<Error><Code>Bad</Code", "answers 400"},
        {418, "", "answers 418"},
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        server.answer = answers[i].status;
        server.answer_body = answers[i].body;
        assert_fails(ml_s3_call(s3, &call, NULL, &err), ML_ERR_IO, answers[i].says, err);
    }
    server.answer = 0;
    server.secret = "another";
    assert_fails(ml_s3_call(s3, &call, NULL, &err), ML_ERR_IO, "SignatureDoesNotMatch", err);
    assert_int_equal(server.refused, 1);
    server.secret = SECRET;
    ml_s3_close(s3);
    /* With a session's token, and the bucket in the name of the host. */
    setenv("AWS_SESSION_TOKEN", "token/of+a=session", 1);
    server.token = "token/of+a=session";
    s3 = open_s3();
    assert_int_equal(ml_s3_call(s3, &call, NULL, &err), ML_ERR_NOT_FOUND);
    err = (struct ml_error){0};
    ml_s3_close(s3);
    /* Nobody there. */
    snprintf(url, sizeof url, "s3://material?endpoint=http://127.0.0.1:1");
    s3 = open_s3();
    assert_fails(ml_s3_call(s3, &call, NULL, &err), ML_ERR_IO, "cannot be reached", err);
    ml_s3_close(s3);
}

static void bucket_in_the_host(void **state)
{
    struct ml_error err = {0};
    server.virtual_host = true;
    snprintf(url, sizeof url, "s3://material?style=virtual&endpoint=http://localhost:%d",
             server.port);
    struct ml_s3 *s3 = open_s3();
    const struct ml_s3_call put = {.method = "PUT", .key = "k", .body_hash = EMPTY};
    /* material.localhost is this machine where the resolver knows RFC 6761, libcurl among them. */
    assert_ok(ml_s3_call(s3, &put, NULL, &err), err);
    assert_non_null(s3_server_find(&server, "k"));
    ml_s3_close(s3);
}

/* ---- workspaces ---- */

static struct ml_workspace *open_workspace(const char *name)
{
    struct ml_workspace *ws = NULL;
    struct ml_error err = {0};
    struct ml_workspace_options options = scratch_options();
    char *path = ml_path_join(&arena, folder, name);
    options.blobs_url = url;
    assert_ok(ml_workspace_open(&ws, path, &options, &err), err);
    return ws;
}

static void add(struct ml_workspace *ws, const char *source, const char *text)
{
    struct ml_record record = {.kind = "text", .type = "text/plain", .source = source};
    struct ml_error err = {0};
    assert_ok(ml_records_add(ws, &record, text, strlen(text), NULL, NULL, &err), err);
}

static char *key_of(const char *text)
{
    char hash[ML_HASH_HEX];
    ml_hash_text(text, strlen(text), hash);
    return ml_arena_printf(&arena, "a b/c/%.2s/%s", hash, hash + 2);
}

static void put_and_view(void **state)
{
    struct ml_error err = {0};
    struct ml_workspace *ws = open_workspace("ws");
    struct ml_blob_view view = {0};
    char hash[ML_HASH_HEX], empty[ML_HASH_HEX];
    assert_ok(ml_blobs_put(ws, "precious", 8, hash, &err), err);
    assert_ok(ml_blobs_put(ws, "", 0, empty, &err), err);
    assert_int_equal(server.puts, 2);
    assert_ok(ml_blobs_put(ws, "precious", 8, hash, &err), err);
    assert_int_equal(server.puts, 2); /* it is there */
    assert_int_equal(s3_server_find(&server, key_of("precious"))->size, 8);
    assert_ok(ml_blobs_view(ws, &view, hash, &err), err);
    assert_memory_equal(view.map.data, "precious", 8);
    assert_int_equal(server.gets, 1);
    ml_blob_view_clear(&view);
    assert_ok(ml_blobs_view(ws, &view, hash, &err), err); /* from the copy */
    assert_int_equal(server.gets, 1);
    assert_ok(ml_blobs_view(ws, &view, empty, &err), err);
    assert_int_equal(view.map.size, 0);
    ml_blob_view_clear(&view);
    /* What is checked is what lies there, not the copy of it. */
    struct s3_object *object = s3_server_find(&server, key_of("precious"));
    object->bytes[7] = 'x';
    assert_fails(ml_blobs_verify(ws, hash, &err), ML_ERR_FORMAT, "other bytes", err);
    object->size = 4;
    assert_ok(ml_blobs_put(ws, "precious", 8, hash, &err), err); /* repairs it */
    assert_ok(ml_blobs_verify(ws, hash, &err), err);
    server.answer = 404;
    server.answer_body = "";
    assert_fails(ml_blobs_verify(ws, hash, &err), ML_ERR_NOT_FOUND, "collect its source again",
                 err);
    server.answer = 0;
    assert_int_equal(server.refused, 0);
    ml_workspace_close(ws);
    /* Another machine: the same bucket and no copies. */
    ws = open_workspace("other");
    server.shorten = 1;
    assert_ok(ml_blobs_view(ws, &view, hash, &err), err);
    assert_memory_equal(view.map.data, "precious", 8);
    ml_blob_view_clear(&view);
    ml_workspace_close(ws);
    /* The secret is in no file of it. */
    char *grep = ml_arena_printf(&arena, "grep -rqF '%s' '%s'", SECRET, folder);
    assert_int_not_equal(system(grep), 0);
}

/* What `init` does before it says that bytes can be kept. */
static void tried(void **state)
{
    struct ml_error err = {0};
    struct ml_workspace *ws = open_workspace("ws");
    assert_ok(ml_blobs_try(ws, &err), err);
    assert_int_equal(server.puts, 1);
    assert_null(
        s3_server_find(&server, key_of("Maliang was here to see whether bytes can be kept.\n")));
    server.answer = 403;
    server.answer_body = "";
    assert_int_not_equal(ml_blobs_try(ws, &err), 0);
    server.answer = 0;
    ml_workspace_close(ws);
}

static void checked(void **state)
{
    struct ml_error err = {0};
    struct ml_workspace *ws = open_workspace("ws");
    struct ml_workspace_check r;
    const struct ml_check_options repair = {.repair = true, .deep = true};
    for (int i = 0; i < 5; i++)
        add(ws, ml_arena_printf(&arena, "/%d", i), ml_arena_printf(&arena, "text %d", i));
    assert_ok(ml_workspace_check(ws, &repair, &r, &err), err);
    assert_int_equal(r.problems, 0);
    /* An orphan, a stranger, one that is missing, one that is damaged. */
    add(ws, "/0", "text 0");
    struct ml_s3 *s3 = open_s3();
    char hash[ML_HASH_HEX], key[ML_HASH_HEX + 1];
    ml_hash_text("orphan", 6, hash);
    snprintf(key, sizeof key, "%.2s/%s", hash, hash + 2);
    struct ml_s3_call call = {
        .method = "PUT", .key = key, .body = "orphan", .body_bytes = 6, .body_hash = hash};
    assert_ok(ml_s3_call(s3, &call, NULL, &err), err);
    call.key = "notes";
    assert_ok(ml_s3_call(s3, &call, NULL, &err), err);
    ml_hash_text("text 1", 6, hash);
    snprintf(key, sizeof key, "%.2s/%s", hash, hash + 2);
    call.key = key;
    call.method = "DELETE";
    call.body_hash = NULL;
    assert_ok(ml_s3_call(s3, &call, NULL, &err), err);
    ml_s3_close(s3);
    s3_server_find(&server, key_of("text 2"))->bytes[0] = 'T';
    assert_ok(ml_workspace_check(ws, &repair, &r, &err), err);
    assert_int_equal(r.orphans, 1);
    assert_int_equal(r.strangers, 1);
    assert_int_equal(r.missing, 1);
    assert_int_equal(r.damaged, 1);
    assert_int_equal(r.lost_records, 2);
    assert_null(s3_server_find(&server, key_of("orphan")));
    assert_non_null(s3_server_find(&server, "a b/c/notes"));
    s3_server_find(&server, key_of("text 2"))->bytes[0] = 't';
    add(ws, "/1", "text 1");
    add(ws, "/2", "text 2");
    assert_ok(ml_workspace_check(ws, &repair, &r, &err), err);
    assert_int_equal(r.problems, 0);
    assert_int_equal(r.records, 5);
    ml_workspace_close(ws);
}

static int count_files(void *arg, const char *path, uint64_t bytes, struct ml_error *err)
{
    *(int64_t *)arg += (int64_t)bytes;
    return 0;
}

static void copies_have_a_limit(void **state)
{
    struct ml_error err = {0};
    struct ml_blob_cache cache;
    struct ml_blob_copy copy = {.file = -1};
    struct ml_file_map map;
    char hash[ML_HASH_HEX], text[100] = "";
    int64_t bytes = 0;
    assert_ok(ml_blob_cache_init(&cache, folder, 1000, &err), err);
    for (int i = 0; i < 30; i++) {
        snprintf(text, sizeof text, "%d", i);
        ml_hash_text(text, sizeof text, hash);
        assert_false(ml_blob_cache_view(&cache, hash, &map));
        assert_ok(ml_blob_copy_begin(&copy, &cache, &err), err);
        assert_ok(ml_blob_copy_put(&copy, text, 50, &err), err);
        assert_ok(ml_blob_copy_put(&copy, text + 50, 50, &err), err);
        assert_ok(ml_blob_copy_finish(&copy, &cache, hash, true, &map, &err), err);
        assert_memory_equal(map.data, text, sizeof text);
        ml_file_map_close(&map);
        bytes = 0;
        assert_ok(ml_dir_walk(cache.folder, count_files, &bytes, &err), err);
        assert_in_range(bytes, 100, 1000);
    }
    assert_true(ml_blob_cache_view(&cache, hash, &map)); /* the newest is there */
    ml_file_map_close(&map);
    /* Other bytes than were asked for. */
    assert_ok(ml_blob_copy_begin(&copy, &cache, &err), err);
    assert_int_equal(ml_blob_copy_finish(&copy, &cache, hash, true, &map, &err), ML_ERR_FORMAT);
    assert_int_equal(err.code, 0);
    /* Nowhere to keep it: a folder cannot be made below a file. */
    char *file = ml_path_join(&arena, folder, "file");
    assert_ok(ml_file_write(file, "x", 1, &err), err);
    ml_blob_cache_clear(&cache);
    assert_ok(ml_blob_cache_init(&cache, file, 1000, &err), err);
    assert_ok(ml_blob_copy_begin(&copy, &cache, &err), err);
    assert_true(copy.in_memory);
    assert_ok(ml_blob_copy_put(&copy, text, sizeof text, &err), err);
    assert_ok(ml_blob_copy_finish(&copy, &cache, hash, true, &map, &err), err);
    assert_memory_equal(map.data, text, sizeof text);
    ml_file_map_close(&map);
    ml_blob_cache_clear(&cache);
}

static void every_allocation_fails(void **state)
{
    struct ml_mem_stats before, after;
    ml_mem_get_stats(&before);
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        struct ml_blob_store *store = NULL;
        struct ml_file_map map = {0};
        struct ml_error err = {0};
        char hash[ML_HASH_HEX];
        ml_hash_text("abc", 3, hash);
        ml_mem_fail_at(n);
        int status = ml_blob_s3_open(&store, folder, url, &err);
        if (status == 0)
            status = store->driver->put(store, hash, "abc", 3, false, &err);
        if (status == 0)
            status = store->driver->view(store, hash, true, &map, &err);
        ml_mem_get_stats(&after);
        done = after.allocations < n;
        ml_mem_fail_at(0);
        if (done)
            assert_ok(status, err);
        else if (status)
            assert_int_equal(status, ML_ERR_MEMORY);
        assert_int_equal(status, err.code);
        ml_file_map_close(&map);
        if (store)
            store->driver->close(store);
        ml_mem_get_stats(&after);
        assert_int_equal(after.live_blocks, before.live_blocks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(signatures_of_the_documentation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bucket_in_the_host, set_up, tear_down),
        cmocka_unit_test_setup_teardown(put_and_view, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tried, set_up, tear_down),
        cmocka_unit_test_setup_teardown(checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(copies_have_a_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_allocation_fails, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("s3", tests, NULL, NULL);
}
