#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/progress.h"
#include "commands.h"

struct view {
    struct ml_progress progress;
    double began;
    char done[16]; /* the stage whose end was shown last */
};

/* What a step says, in 48 columns: beside it an 80-column terminal has room for a bar and the time
 * left. */
static void describe(const struct ml_train_progress *p, char *out, size_t size)
{
    char rate[32];
    int n = snprintf(out, size, "loss %.*f", p->loss < 10 ? 3 : 2, p->loss);
    if (!isnan(p->validation_loss))
        n += snprintf(out + n, size - (size_t)n, " (held out %.*f)",
                      p->validation_loss < 10 ? 3 : 2, p->validation_loss);
    if (p->tokens_per_second > 0)
        n += snprintf(out + n, size - (size_t)n, " %s tok/s",
                      ml_format_count(rate, sizeof rate, p->tokens_per_second));
    if (p->peak_share > 0)
        snprintf(out + n, size - (size_t)n, " %.0f%% peak", 100 * p->peak_share);
}

/* The bar's time left follows from when it began. Steps before a resumption and the stages before
 * training took no time of these steps, so it begins where the trainer's own estimate says. */
static void set_time_left(struct ml_progress *progress, const struct ml_train_progress *p)
{
    double share = (double)p->step / (double)p->steps;
    if (share > 0 && share < 1 && p->seconds_left > 0)
        progress->started = ml_time() - p->seconds_left * share / (1 - share);
}

/* Measurements in between are part of training and not shown; other stages end with one line. */
static void show(void *arg, const struct ml_train_progress *p)
{
    struct view *view = arg;
    struct ml_progress *progress = &view->progress;
    bool training = strcmp(p->stage, "train") == 0, ended = p->step >= p->steps;
    char detail[160] = "";
    if (strcmp(p->stage, "evaluate") == 0 || (ended && strcmp(p->stage, view->done) == 0))
        return;
    if (ended)
        snprintf(view->done, sizeof view->done, "%s", p->stage);
    progress->started = view->began;
    if (training && p->steps > 0 && !isnan(p->loss)) {
        describe(p, detail, sizeof detail);
        set_time_left(progress, p);
    }
    ml_progress_draw(progress, p->stage, (double)p->step, (double)(p->steps ? p->steps : 1),
                     detail);
    if (training && ended) /* the last loss stays in sight */
        ml_progress_end(progress);
}

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static int print_result(struct cli *cli, const struct ml_train_result *r, struct ml_error *err)
{
    if (cli->json) {
        ml_json_setup();
        return print_json(
            json_pack(
                "{s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "run",
                json_path(r->run), "model", json_path(r->model), "steps", (json_int_t)r->steps,
                "resumed_from", (json_int_t)r->resumed_from, "parameters",
                (json_int_t)r->parameters, "tokens", (json_int_t)r->tokens, "train_loss",
                number(r->train_loss), "validation_loss", number(r->validation_loss),
                "best_validation_loss", number(r->best_validation_loss), "bits_per_character",
                number(r->bits_per_character), "seconds", number(r->seconds), "tokens_per_second",
                number(r->tokens_per_second), "stopped_early", r->stopped_early),
            err);
    }
    char count[32], time[32];
    printf("trained %s parameters for %lld steps in %s%s\n",
           ml_format_count(count, sizeof count, (double)r->parameters), (long long)r->steps,
           ml_format_seconds(time, sizeof time, r->seconds),
           r->stopped_early ? " (stopped early: the held-out loss no longer fell)" : "");
    if (isfinite(r->best_validation_loss))
        printf("held-out loss %.4f nats a token, %.3f bits a character\n", r->best_validation_loss,
               r->bits_per_character);
    printf("model: %s\n", r->model);
    return 0;
}

static int explain(struct cli *cli, const struct ml_train_request *request, struct ml_error *err)
{
    char *text = NULL;
    int status =
        ml_recipe_explain(request->recipe, request->overrides, request->override_count, &text, err);
    if (status == 0 && cli->json) {
        ml_json_setup();
        status = print_json(json_pack("{s:o}", "recipe", json_path(text)), err);
    } else if (status == 0) {
        fputs(text, stdout);
    }
    ml_string_free(text);
    return status;
}

int run_train(struct cli *cli, struct ml_error *err)
{
    const char *overrides[CLI_MAX_GIVEN];
    struct view view = {0};
    struct ml_train_result result = {0};
    struct ml_engine *engine = NULL;
    struct ml_train_request request = {
        .workspace = cli->workspace,
        .recipe = cli->arguments[0],
        .overrides = overrides,
        .override_count = cli_all(cli, "set", overrides, CLI_MAX_GIVEN),
        .name = cli_text(cli, "name"),
        .out = cli_text(cli, "out"),
        .restart = cli_flag(cli, "restart"),
        .cancel = cli->cancel,
        .progress = cli->quiet ? NULL : show,
        .arg = &view,
    };
    if (cli_flag(cli, "explain"))
        return explain(cli, &request, err);
    int status = open_engine(cli, &engine, err);
    ml_progress_init(&view.progress);
    view.began = view.progress.started;
    if (status == 0)
        status = ml_engine_train(engine, &request, &result, err);
    if (!cli->quiet)
        ml_progress_end(&view.progress);
    ml_engine_close(engine);
    return status == 0 ? print_result(cli, &result, err) : status;
}
