#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fail.h"
#include "base/files.h"
#include "base/json.h"
#include "base/utf8.h"
#include "commands.h"

enum { MAX_FIELDS = 32, MAX_STOPS = 16, MAX_MESSAGES = 400, MAX_LINE_BYTES = 1 << 20 };

static const char *finish_name(enum ml_finish finish)
{
    static const char *const names[] = {"end", "stop", "length", "cancelled"};
    return names[finish];
}

/* A model may have learnt terminal control sequences; on a terminal they are not obeyed. */
static void print_text(const char *text, size_t bytes)
{
    bool terminal = isatty(STDOUT_FILENO);
    for (size_t at = 0; at < bytes;) {
        uint32_t c = 0;
        size_t n = ml_utf8_decode(text + at, bytes - at, &c);
        bool control = (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0);
        if (terminal && (n == 0 || control))
            fputs("\xef\xbf\xbd", stdout);
        else
            fwrite(text + at, 1, n ? n : 1, stdout);
        at += n ? n : 1;
    }
}

/* Text straight to the terminal as it comes (one sample only). */
static int stream(void *arg, int sample, const char *text, size_t bytes)
{
    (void)arg;
    (void)sample;
    print_text(text, bytes);
    return fflush(stdout) != 0;
}

static int read_sampling(struct cli *cli, struct ml_write_request *request, struct ml_error *err)
{
    double temperature = 0.8, top_p = 0, min_p = 0, penalty = 0;
    int64_t samples = 0, max_tokens = 0, top_k = 0, seed = 0;
    int status = cli_number(cli, "temperature", 0, 100, &temperature, err);
    if (status == 0)
        status = cli_number(cli, "top-p", 0, 1, &top_p, err);
    if (status == 0)
        status = cli_number(cli, "min-p", 0, 1, &min_p, err);
    if (status == 0)
        status = cli_number(cli, "repetition-penalty", 0, 10, &penalty, err);
    if (status == 0)
        status = cli_integer(cli, "samples", 1, 1024, &samples, err);
    if (status == 0)
        status = cli_integer(cli, "max-tokens", 1, 1 << 20, &max_tokens, err);
    if (status == 0)
        status = cli_integer(cli, "top-k", 0, 1 << 20, &top_k, err);
    if (status == 0)
        status = cli_integer(cli, "seed", 0, INT64_MAX, &seed, err);
    request->temperature = temperature == 0 ? -1 : (float)temperature;
    request->top_p = (float)top_p;
    request->min_p = (float)min_p;
    request->repetition_penalty = (float)penalty;
    request->samples = (int)samples;
    request->max_tokens = (int)max_tokens;
    request->top_k = (int)top_k;
    request->seed = (uint64_t)seed;
    return status;
}

/* --set name=value, split in place of copies owned by the arena. */
static int read_fields(struct cli *cli, struct ml_arena *arena, struct ml_field *fields, int *count,
                       struct ml_error *err)
{
    const char *given[MAX_FIELDS];
    *count = cli_all(cli, "set", given, MAX_FIELDS);
    for (int i = 0; i < *count; i++) {
        const char *equals = strchr(given[i], '=');
        if (!equals)
            return ml_fail(err, ML_ERR_ARG, "--set %s: write it as FIELD=TEXT, such as title=Rain",
                           given[i]);
        fields[i].name = ml_arena_strndup(arena, given[i], (size_t)(equals - given[i]));
        fields[i].value = equals + 1;
        if (!fields[i].name)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory");
    }
    return 0;
}

/* JSON is UTF-8 throughout: what is not becomes U+FFFD. */
static json_t *text_value(const char *text, size_t bytes)
{
    struct ml_buffer clean = {0};
    struct ml_error err = {0};
    json_t *value = json_stringn(text, bytes);
    for (size_t at = 0; !value && at < bytes && !err.code;) {
        uint32_t c;
        size_t n = ml_utf8_decode(text + at, bytes - at, &c);
        ml_buffer_put(&clean, n ? text + at : "\xef\xbf\xbd", n ? n : 3, &err);
        at += n ? n : 1;
    }
    if (!value && !err.code)
        value = json_stringn(clean.data ? clean.data : "", clean.size);
    ml_buffer_clear(&clean);
    return value;
}

static int print_results_json(const struct ml_write_result *r, struct ml_error *err)
{
    ml_json_setup();
    json_t *samples = json_array();
    int tokens = 0;
    for (int i = 0; i < r->sample_count; i++) {
        const struct ml_text_sample *s = &r->samples[i];
        tokens += s->tokens;
        json_array_append_new(samples,
                              json_pack("{s:o, s:i, s:s}", "text", text_value(s->text, s->bytes),
                                        "tokens", s->tokens, "finish", finish_name(s->finish)));
    }
    return print_json(json_pack("{s:o, s:i, s:i, s:f, s:f, s:f}", "samples", samples,
                                "prompt_tokens", r->prompt_tokens, "reused_tokens",
                                r->reused_tokens, "prompt_seconds", r->prompt_seconds, "seconds",
                                r->seconds, "tokens_per_second",
                                r->seconds > 0 ? tokens / r->seconds : 0.0),
                      err);
}

static void print_results(struct cli *cli, const struct ml_write_result *r, bool streamed)
{
    int tokens = 0;
    for (int i = 0; i < r->sample_count; i++) {
        const struct ml_text_sample *s = &r->samples[i];
        tokens += s->tokens;
        if (r->sample_count > 1)
            printf("%s--- %d ---\n", i ? "\n" : "", i + 1);
        if (!streamed)
            print_text(s->text, s->bytes);
        if (s->bytes == 0 || s->text[s->bytes - 1] != '\n')
            printf("\n");
    }
    fflush(stdout);
    if (!cli->quiet && isatty(STDERR_FILENO))
        fprintf(stderr, "\n%d tokens, %.0f a second\n", tokens,
                r->seconds > 0 ? tokens / r->seconds : 0.0);
}

static int write_once(struct cli *cli, struct ml_text_session *session,
                      struct ml_write_request *request, struct ml_error *err)
{
    struct ml_write_result result = {0};
    request->prompt = cli->argument_count ? cli->arguments[0] : NULL;
    bool streamed = !cli->json && request->samples <= 1;
    if (streamed) {
        request->stream = stream;
        if (request->prompt) {
            fputs(request->prompt, stdout);
            fflush(stdout);
        }
    }
    int status = ml_text_session_write(session, request, &result, err);
    if (status == 0 && cli->json)
        status = print_results_json(&result, err);
    else if (status == 0)
        print_results(cli, &result, streamed);
    ml_write_result_clear(&result);
    return status;
}

/* One turn: the user's line is in messages already; the answer is appended. */
static int answer(struct cli *cli, struct ml_text_session *session, struct ml_arena *arena,
                  struct ml_write_request *request, struct ml_message *messages, int *count,
                  struct ml_error *err)
{
    struct ml_write_result result = {0};
    request->messages = messages;
    request->message_count = *count;
    request->stream = cli->json ? NULL : stream;
    int status = ml_text_session_write(session, request, &result, err);
    if (status != 0)
        return status;
    const struct ml_text_sample *s = &result.samples[0];
    const char *text = ml_arena_strndup(arena, s->text, s->bytes);
    if (!text)
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory for the conversation");
    else
        messages[(*count)++] = (struct ml_message){"assistant", text};
    if (status == 0 && cli->json)
        status = print_results_json(&result, err);
    else if (status == 0)
        printf("\n");
    ml_write_result_clear(&result);
    return status;
}

static int chat(struct cli *cli, struct ml_text_session *session, struct ml_arena *arena,
                struct ml_write_request *request, struct ml_error *err)
{
    struct ml_message messages[MAX_MESSAGES];
    int count = 0, status = 0;
    bool terminal = isatty(STDIN_FILENO);
    struct ml_buffer line = {0};
    const char *system = cli_text(cli, "system");
    if (system)
        messages[count++] = (struct ml_message){"system", system};
    if (terminal && !cli->quiet)
        fprintf(stderr, "%s\n",
                cli->chinese ? "每行一条消息；Ctrl-D 结束。" : "One message a line; Ctrl-D ends.");
    while (status == 0 && !(cli->cancel && *cli->cancel) && count + 2 <= MAX_MESSAGES) {
        if (terminal)
            fprintf(stderr, "> ");
        int more = ml_line_read(stdin, MAX_LINE_BYTES, &line, err);
        if (more <= 0) {
            status = more;
            break;
        }
        if (line.size == 0)
            continue;
        const char *text = ml_arena_strndup(arena, line.data, line.size);
        if (!text) {
            status = ml_fail(err, ML_ERR_MEMORY, "out of memory for the conversation");
            break;
        }
        messages[count++] = (struct ml_message){"user", text};
        status = answer(cli, session, arena, request, messages, &count, err);
    }
    ml_buffer_clear(&line);
    return status;
}

int run_write(struct cli *cli, struct ml_error *err)
{
    struct ml_engine *engine = NULL;
    struct ml_text_session *session = NULL;
    struct ml_arena arena;
    struct ml_field fields[MAX_FIELDS];
    const char *stops[MAX_STOPS];
    struct ml_write_request request = {
        .fields = fields,
        .stop = stops,
        .stop_count = cli_all(cli, "stop", stops, MAX_STOPS),
        .cancel = cli->cancel,
    };
    ml_arena_init(&arena, 0);
    int status = read_sampling(cli, &request, err);
    if (status == 0)
        status = read_fields(cli, &arena, fields, &request.field_count, err);
    if (status == 0)
        status = open_engine(cli, &engine, err);
    if (status == 0)
        status =
            ml_text_session_open(&session, engine, cli->workspace, cli_text(cli, "model"), err);
    if (status == 0)
        status = cli_flag(cli, "chat") ? chat(cli, session, &arena, &request, err)
                                       : write_once(cli, session, &request, err);
    ml_text_session_close(session);
    ml_engine_close(engine);
    ml_arena_clear(&arena);
    return status;
}
