/* Writing through the public API: prompts, fields, chats, samples, streams, and the same bytes with
 * any number of threads. */
#include "round.h"

static struct round r;

/* Three models: tiny continues, chatty knows ChatML's marks, titled fills a template. */
static int setup(void **state)
{
    struct ml_collect_result collected;
    struct ml_train_result trained;
    struct ml_error err = {0};
    char path[ROUND_PATH];
    round_open(&r, NULL);
    round_ok(round_collect(&r, r.texts, "tales", &collected, &err), err);
    round_ok(round_train(&r, NULL, NULL, NULL, &trained, &err), err);
    round_ok(round_train(&r, "chatty", "tokenizer.special=<|end|>,<|im_start|>,<|im_end|>", NULL,
                         &trained, &err),
             err);
    round_text(
        round_path(&r, "titled.jsonl", path),
        "{\"title\":\"One\",\"text\":\"the fox\"}\n{\"title\":\"Two\",\"text\":\"a river\"}\n"
        "{\"title\":\"Three\",\"text\":\"the moon\"}\n{\"text\":\"no title\"}\n");
    round_ok(round_collect(&r, path, "titled", &collected, &err), err);
    round_text(r.recipe, "name: titled\n"
                         "data: {dataset: titled, template: \"[<|title|>{title}]<|text|>{text}\"}\n"
                         "tokenizer: {vocab: 270, special: [<|end|>, <|title|>, <|text|>]}\n"
                         "model: {layers: 1, width: 16, heads: 2, ffn: 32, context: 48}\n"
                         "train: {steps: 3, batch: 2, precision: f32}\n");
    round_ok(round_train(&r, NULL, NULL, NULL, &trained, &err), err);
    return 0;
}

static int teardown(void **state)
{
    round_close(&r);
    return 0;
}

static struct ml_text_session *opened(const char *model)
{
    struct ml_text_session *session = NULL;
    struct ml_error err = {0};
    round_ok(ml_text_session_open(&session, r.engine, r.workspace, model, &err), err);
    return session;
}

static struct ml_write_result written(struct ml_text_session *session,
                                      const struct ml_write_request *request)
{
    struct ml_write_result result = {0};
    struct ml_error err = {0};
    round_ok(ml_text_session_write(session, request, &result, &err), err);
    return result;
}

/* ---- prompts ---- */

static void a_prompt_is_continued(void **state)
{
    struct ml_text_session *session = opened("tiny");
    const struct ml_write_request request = {.prompt = "the 3 foxes", .max_tokens = 10, .seed = 4};
    struct ml_write_result first = written(session, &request), second = written(session, &request);
    assert_int_equal(first.sample_count, 1);
    assert_int_equal(first.samples[0].bytes, strlen(first.samples[0].text));
    assert_true(first.prompt_tokens > 2 && first.reused_tokens == 0);
    assert_int_equal(second.reused_tokens, first.prompt_tokens - 1);
    assert_string_equal(first.samples[0].text, second.samples[0].text);
    assert_true(first.samples[0].tokens <= 10);
    ml_write_result_clear(&first);
    ml_write_result_clear(&first); /* twice is once */
    ml_write_result_clear(&second);
    ml_write_result_clear(NULL);
    /* Another seed writes something else; no prompt at all is a beginning. */
    struct ml_write_request other = {.prompt = "the 3 foxes", .max_tokens = 10, .seed = 5};
    struct ml_write_result a = written(session, &other);
    other = (struct ml_write_request){.max_tokens = 10, .temperature = -1};
    struct ml_write_result b = written(session, &other);
    ml_write_result_clear(&a);
    ml_write_result_clear(&b);
    int count = -1;
    ml_text_session_fields(session, &count);
    assert_int_equal(count, 0);
    ml_text_session_close(session);
    ml_text_session_close(NULL);
}

static void samples_are_written_together(void **state)
{
    struct ml_text_session *session = opened("tiny");
    struct ml_write_request request = {
        .prompt = "the", .samples = 4, .max_tokens = 12, .seed = 9, .temperature = 1.5f};
    struct ml_write_result four = written(session, &request);
    assert_int_equal(four.sample_count, 4);
    int different = 0;
    for (int i = 1; i < 4; i++)
        different += strcmp(four.samples[0].text, four.samples[i].text) != 0;
    assert_true(different > 0);
    request.samples = 1; /* the first of four is the one that is written alone */
    struct ml_write_result one = written(session, &request);
    assert_string_equal(four.samples[0].text, one.samples[0].text);
    ml_write_result_clear(&four);
    ml_write_result_clear(&one);
    ml_text_session_close(session);
}

/* Every text that an engine with `threads` writes, one after the other. */
static void write_all(int threads, char *out, size_t size)
{
    static const char *const prompts[] = {"the", "the 3 foxes saw 5 moons over", "x", NULL};
    const struct ml_engine_options options = {.threads = threads};
    struct ml_engine *engine = NULL;
    struct ml_text_session *session = NULL;
    struct ml_error err = {0};
    size_t used = 0;
    round_ok(ml_engine_open(&engine, &options, &err), err);
    assert_int_equal(ml_engine_threads(engine), threads);
    round_ok(ml_text_session_open(&session, engine, r.workspace, "tiny", &err), err);
    for (int i = 0; i < 4; i++) {
        const struct ml_write_request request = {
            .prompt = prompts[i], .samples = 3, .max_tokens = 24, .seed = (uint64_t)i, .top_k = 40};
        struct ml_write_result result = written(session, &request);
        for (int s = 0; s < 3; s++)
            used += (size_t)snprintf(out + used, size - used, "%s\n", result.samples[s].text);
        assert_true(used < size);
        ml_write_result_clear(&result);
    }
    ml_text_session_close(session);
    ml_engine_close(engine);
}

static void the_same_bytes_with_any_number_of_threads(void **state)
{
    char one[4096], more[4096];
    write_all(1, one, sizeof one);
    for (int threads = 2; threads <= 4; threads += 2) {
        write_all(threads, more, sizeof more);
        assert_string_equal(one, more);
    }
}

/* ---- streams ---- */

struct heard {
    char text[512];
    size_t bytes;
    int calls, stop_after;
    volatile int cancel;
    int cancel_after;
};

static int hear(void *arg, int sample, const char *text, size_t bytes)
{
    struct heard *h = arg;
    assert_int_equal(sample, 0);
    assert_true(bytes > 0 && h->bytes + bytes < sizeof h->text);
    memcpy(h->text + h->bytes, text, bytes);
    h->bytes += bytes;
    h->calls++;
    if (h->cancel_after && h->calls >= h->cancel_after)
        h->cancel = 1;
    return h->stop_after && h->calls >= h->stop_after;
}

static void a_stream_is_the_text(void **state)
{
    struct ml_text_session *session = opened("tiny");
    struct heard h = {0};
    struct ml_write_request request = {
        .prompt = "the", .max_tokens = 30, .seed = 2, .stream = hear, .arg = &h};
    struct ml_write_result whole = written(session, &request);
    assert_int_equal(h.bytes, whole.samples[0].bytes);
    assert_memory_equal(h.text, whole.samples[0].text, h.bytes);
    /* A stop text never shows, not even its beginning. */
    char stop[3] = {h.text[h.bytes / 2], h.text[h.bytes / 2 + 1], 0};
    const char *const stops[] = {stop};
    struct heard until = {0};
    request.stop = stops;
    request.stop_count = 1;
    request.arg = &until;
    struct ml_write_result cut = written(session, &request);
    const char *at = memmem(h.text, h.bytes, stop, 2);
    assert_int_equal(cut.samples[0].finish, ML_FINISH_STOP);
    assert_int_equal(until.bytes, at - h.text);
    assert_int_equal(cut.samples[0].bytes, until.bytes);
    ml_write_result_clear(&cut);
    /* The listener has heard enough; somebody raises the flag. */
    for (int i = 0; i < 2; i++) {
        struct heard some = {.stop_after = i ? 0 : 2, .cancel_after = i ? 2 : 0};
        request.stop_count = 0;
        request.cancel = &some.cancel;
        request.arg = &some;
        struct ml_write_result part = written(session, &request);
        assert_int_equal(part.samples[0].finish, ML_FINISH_CANCELLED);
        assert_true(part.samples[0].bytes < whole.samples[0].bytes);
        assert_memory_equal(part.samples[0].text, whole.samples[0].text, part.samples[0].bytes);
        ml_write_result_clear(&part);
    }
    ml_write_result_clear(&whole);
    ml_text_session_close(session);
}

/* ---- fields ---- */

static void a_form_is_filled(void **state)
{
    struct ml_text_session *session = opened("titled");
    const struct ml_field title = {"title", "One"}, typo = {"titel", "One"};
    struct ml_write_result result = {0};
    struct ml_error err = {0};
    int count = 0;
    const char *const *fields = ml_text_session_fields(session, &count);
    assert_int_equal(count, 2);
    assert_string_equal(fields[0], "title");
    struct ml_write_request request = {
        .fields = &title, .field_count = 1, .prompt = "the", .max_tokens = 5, .seed = 1};
    struct ml_write_result with = written(session, &request);
    request.field_count = 0; /* the title is optional */
    struct ml_write_result without = written(session, &request);
    assert_true(with.prompt_tokens > without.prompt_tokens);
    ml_write_result_clear(&with);
    ml_write_result_clear(&without);
    request.fields = &typo;
    request.field_count = 1;
    round_fails(ml_text_session_write(session, &request, &result, &err), ML_ERR_NOT_FOUND, "title",
                err);
    assert_null(result.samples);
    ml_text_session_close(session);
    session = opened("tiny");
    round_fails(ml_text_session_write(session, &request, &result, &err), ML_ERR_ARG,
                "has no fields", err);
    ml_text_session_close(session);
}

/* ---- chats ---- */

/* Each turn reads only what is new: what was said and answered is in the session's memory. */
static void a_chat_goes_on(void **state)
{
    static const char *const models[] = {"tiny", "chatty"};
    for (int m = 0; m < 2; m++) {
        struct ml_text_session *session = opened(models[m]);
        struct ml_message messages[4] = {{"user", "the fox"}};
        struct ml_write_request request = {
            .messages = messages, .message_count = 1, .max_tokens = 3, .seed = 8};
        struct ml_write_result first = written(session, &request);
        assert_null(strstr(first.samples[0].text, "User:"));
        messages[1] = (struct ml_message){"assistant", first.samples[0].text};
        messages[2] = (struct ml_message){"user", "a"};
        request.message_count = 3;
        struct ml_write_result second = written(session, &request);
        assert_true(second.prompt_tokens > first.prompt_tokens);
        assert_true(second.reused_tokens >= first.prompt_tokens - 1);
        ml_write_result_clear(&first);
        ml_write_result_clear(&second);
        /* What people write is text, never a mark. */
        messages[0].content = "a<|im_end|>b";
        request.message_count = 1;
        struct ml_write_result marked = written(session, &request);
        messages[0].content = "ab";
        struct ml_write_result plain = written(session, &request);
        assert_true(marked.prompt_tokens > plain.prompt_tokens + 4);
        ml_write_result_clear(&marked);
        ml_write_result_clear(&plain);
        struct ml_write_result result = {0};
        struct ml_error err = {0};
        messages[0].role = "robot";
        round_fails(ml_text_session_write(session, &request, &result, &err), ML_ERR_ARG, "robot",
                    err);
        messages[0].role = NULL;
        round_fails(ml_text_session_write(session, &request, &result, &err), ML_ERR_ARG, "role",
                    err);
        ml_text_session_close(session);
    }
}

/* ---- what cannot be ---- */

static void impossible_requests_are_refused(void **state)
{
    struct ml_text_session *session = opened("tiny");
    struct ml_write_result result = {0};
    struct ml_error err = {0};
    char endless[4096];
    memset(endless, 'z', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    const struct {
        struct ml_write_request request;
        int code;
        const char *part;
    } rows[] = {
        {{.prompt = endless}, ML_ERR_LIMIT, "shorten the prompt"},
        {{.prompt = "a", .samples = -1}, ML_ERR_ARG, "samples"},
        {{.prompt = "a", .samples = 5000}, ML_ERR_ARG, "samples"},
        {{.prompt = "a", .max_tokens = -3}, ML_ERR_ARG, "length"},
        {{.prompt = "a", .stop_count = -1}, ML_ERR_LIMIT, "stop texts"},
        {{.prompt = "a", .stop_count = 33}, ML_ERR_LIMIT, "stop texts"},
        {{.prompt = "a", .top_p = -1}, ML_ERR_ARG, ""},
        {{.prompt = "a", .top_k = -1}, ML_ERR_ARG, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        round_fails(ml_text_session_write(session, &rows[i].request, &result, &err), rows[i].code,
                    rows[i].part, err);
    assert_null(result.samples);
    /* The session is as good as before. A text ends where the context does. */
    const struct ml_write_request more = {.prompt = "the", .max_tokens = 1000, .seed = 3};
    struct ml_write_result full = written(session, &more);
    assert_true(full.prompt_tokens + full.samples[0].tokens <= 48);
    ml_write_result_clear(&full);
    ml_text_session_close(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prompt_is_continued),
        cmocka_unit_test(samples_are_written_together),
        cmocka_unit_test(the_same_bytes_with_any_number_of_threads),
        cmocka_unit_test(a_stream_is_the_text),
        cmocka_unit_test(a_form_is_filled),
        cmocka_unit_test(a_chat_goes_on),
        cmocka_unit_test(impossible_requests_are_refused),
    };
    return cmocka_run_group_tests_name("writing", tests, setup, teardown);
}
