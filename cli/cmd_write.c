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

enum { MAX_MESSAGES = 400, MAX_LINE_BYTES = 1 << 20 };

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
    const char *given[CLI_MAX_GIVEN];
    *count = cli_all(cli, "set", given, CLI_MAX_GIVEN);
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

static int print_results_json(const struct ml_write_request *request,
                              const struct ml_write_result *r, struct ml_error *err)
{
    ml_json_setup();
    json_t *samples = json_array();
    int tokens = 0;
    for (int i = 0; i < r->sample_count; i++) {
        const struct ml_text_sample *s = &r->samples[i];
        tokens += s->tokens;
        json_array_append_new(samples,
                              json_pack("{s:o, s:i, s:s}", "text", json_text(s->text, s->bytes),
                                        "tokens", s->tokens, "finish", finish_name(s->finish)));
    }
    return print_json(json_pack("{s:o, s:I, s:i, s:i, s:f, s:f, s:f}", "samples", samples, "seed",
                                (json_int_t)request->seed, "prompt_tokens", r->prompt_tokens,
                                "reused_tokens", r->reused_tokens, "prompt_seconds",
                                r->prompt_seconds, "seconds", r->seconds, "tokens_per_second",
                                r->seconds > 0 ? tokens / r->seconds : 0.0),
                      err);
}

static void print_results(struct cli *cli, const char *prompt, const struct ml_write_result *r,
                          bool streamed)
{
    int tokens = 0;
    for (int i = 0; i < r->sample_count; i++) {
        const struct ml_text_sample *s = &r->samples[i];
        tokens += s->tokens;
        if (r->sample_count > 1)
            printf("%s--- %d ---\n", i ? "\n" : "", i + 1);
        if (!streamed && prompt)
            fputs(prompt, stdout);
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
        status = print_results_json(request, &result, err);
    else if (status == 0)
        print_results(cli, request->prompt, &result, streamed);
    ml_write_result_clear(&result);
    return status == 0 && *cli->cancel ? ml_fail(err, ML_ERR_CANCELLED, "stopped") : status;
}

/* ---- a conversation ---- */

struct talk {
    struct cli *cli;
    struct ml_text_session *session;
    struct ml_write_request *request;
    struct ml_arena arena;
    struct ml_message messages[MAX_MESSAGES];
    int count;
    bool full; /* the last answer ended where the model's context does */
};

/* Room for what comes: the older half of the questions and answers is forgotten (one by one, all
 * would have to be read anew for each), what the assistant was told about itself is not. False when
 * there is nothing but the last question. */
static bool forget(struct talk *talk)
{
    int first = talk->count && strcmp(talk->messages[0].role, "system") == 0;
    int turns = (talk->count - first) / 2, gone = 2 * ((turns + 1) / 2);
    memmove(talk->messages + first, talk->messages + first + gone,
            (size_t)(talk->count - first - gone) * sizeof *talk->messages);
    talk->count -= gone;
    return gone > 0;
}

static int take_answer(struct talk *talk, const struct ml_write_result *result,
                       struct ml_error *err)
{
    const struct ml_text_sample *s = &result->samples[0];
    const struct ml_write_request *r = talk->request;
    const char *text = ml_arena_strndup(&talk->arena, s->text, s->bytes);
    if (!text)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for the conversation");
    talk->messages[talk->count++] = (struct ml_message){"assistant", text};
    talk->full = s->finish == ML_FINISH_LENGTH && s->tokens < (r->max_tokens ? r->max_tokens : 256);
    if (talk->cli->json)
        return print_results_json(r, result, err);
    printf("\n");
    fflush(stdout);
    return 0;
}

/* One turn. */
static int answer(struct talk *talk, const char *question, struct ml_error *err)
{
    struct ml_write_result result = {0};
    struct ml_write_request *r = talk->request;
    int status;
    if (talk->full || talk->count + 2 > MAX_MESSAGES)
        forget(talk);
    talk->messages[talk->count++] = (struct ml_message){"user", question};
    r->messages = talk->messages;
    r->stream = talk->cli->json ? NULL : stream;
    do {
        struct ml_error mine = {0};
        r->message_count = talk->count;
        status = ml_text_session_write(talk->session, r, &result, &mine);
        if (status != ML_ERR_LIMIT || !forget(talk)) {
            if (status != 0)
                ml_fail(err, status, "%s", mine.message);
            break;
        }
    } while (true);
    if (status == 0)
        status = take_answer(talk, &result, err);
    ml_write_result_clear(&result);
    return status;
}

/* 1: *question is the next line; 0: no more. */
static int next_question(struct talk *talk, bool terminal, struct ml_buffer *line,
                         const char **question, struct ml_error *err)
{
    int more;
    do {
        if (terminal)
            fprintf(stderr, "> ");
        more = ml_line_read(stdin, MAX_LINE_BYTES, line, err);
    } while (more > 0 && line->size == 0);
    if (more <= 0)
        return more;
    *question = ml_arena_strndup(&talk->arena, line->data, line->size);
    return *question ? 1 : ml_fail(err, ML_ERR_MEMORY, "out of memory for the conversation");
}

static int chat(struct cli *cli, struct ml_text_session *session, struct ml_write_request *request,
                struct ml_error *err)
{
    struct talk talk = {.cli = cli, .session = session, .request = request};
    struct ml_buffer line = {0};
    bool terminal = isatty(STDIN_FILENO);
    const char *system = cli_text(cli, "system");
    const char *question = cli->argument_count ? cli->arguments[0] : NULL;
    int more = question ? 1 : 0, status = 0;
    ml_arena_init(&talk.arena, 0);
    if (system)
        talk.messages[talk.count++] = (struct ml_message){"system", system};
    if (terminal && !cli->quiet)
        fprintf(stderr, "%s\n",
                cli->chinese ? "每行一条消息；Ctrl-D 结束。" : "One message a line; Ctrl-D ends.");
    if (!more)
        more = next_question(&talk, terminal, &line, &question, err);
    while (more > 0 && status == 0) {
        status = answer(&talk, question, err);
        if (status == 0 && *cli->cancel)
            status = ml_fail(err, ML_ERR_CANCELLED, "stopped");
        if (status == 0)
            more = next_question(&talk, terminal, &line, &question, err);
    }
    if (terminal && more == 0)
        fputc('\n', stderr); /* behind the prompt that Ctrl-D answered */
    ml_buffer_clear(&line);
    ml_arena_clear(&talk.arena);
    return more < 0 ? more : status;
}

/* What belongs to a conversation only, or to a single text only. */
static int check_together(struct cli *cli, const struct ml_write_request *request,
                          struct ml_error *err)
{
    bool chatting = cli_flag(cli, "chat");
    if (chatting && request->samples > 1)
        return ml_fail(err, ML_ERR_ARG, "--chat gives one answer at a time: leave out --samples");
    if (chatting && request->field_count)
        return ml_fail(err, ML_ERR_ARG,
                       "--set fills a template, which --chat does not use: leave "
                       "out one of them");
    if (!chatting && cli_flag(cli, "system"))
        return ml_fail(err, ML_ERR_ARG, "--system is for --chat: leave it out or add --chat");
    return 0;
}

int run_write(struct cli *cli, struct ml_error *err)
{
    struct ml_engine *engine = NULL;
    struct ml_text_session *session = NULL;
    struct ml_arena arena;
    struct ml_field fields[CLI_MAX_GIVEN];
    const char *stops[CLI_MAX_GIVEN];
    struct ml_write_request request = {
        .fields = fields,
        .stop = stops,
        .stop_count = cli_all(cli, "stop", stops, CLI_MAX_GIVEN),
        .cancel = cli->cancel,
    };
    ml_arena_init(&arena, 0);
    int status = read_sampling(cli, &request, err);
    if (status == 0)
        status = read_fields(cli, &arena, fields, &request.field_count, err);
    if (status == 0)
        status = check_together(cli, &request, err);
    if (status == 0)
        status = open_engine(cli, &engine, err);
    if (status == 0)
        status =
            ml_text_session_open(&session, engine, cli->workspace, cli_text(cli, "model"), err);
    if (status == 0)
        status = cli_flag(cli, "chat") ? chat(cli, session, &request, err)
                                       : write_once(cli, session, &request, err);
    ml_text_session_close(session);
    ml_engine_close(engine);
    ml_arena_clear(&arena);
    return status;
}
