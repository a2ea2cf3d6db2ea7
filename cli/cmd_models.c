#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/words.h"
#include "commands.h"

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *model_json(const struct ml_model_info *m)
{
    json_t *value = json_pack(
        "{s:o, s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "name", json_path(m->name),
        "kind", m->kind, "stage", m->stage, "origin", m->origin, "path", json_path(m->path),
        "created", m->created, "licence", m->licence, "description", m->description, "recipe_hash",
        m->recipe_hash, "dataset_hash", m->dataset_hash, "parameters", (json_int_t)m->parameters,
        "bytes", (json_int_t)m->bytes);
    json_object_set_new(value, "layers", json_integer(m->layers));
    json_object_set_new(value, "width", json_integer(m->width));
    json_object_set_new(value, "context", json_integer(m->context));
    json_object_set_new(value, "vocab", json_integer(m->vocab));
    json_object_set_new(value, "validation_loss", number(m->validation_loss));
    json_object_set_new(value, "bits_per_character", number(m->bits_per_character));
    return value;
}

static int list(struct cli *cli, struct ml_error *err)
{
    struct ml_model_info *models = NULL;
    int count = 0;
    int status = ml_catalog_list(cli->workspace, &models, &count, err);
    if (status != 0)
        return status;
    if (cli->json) {
        ml_json_setup();
        json_t *array = json_array();
        for (int i = 0; i < count; i++)
            json_array_append_new(array, model_json(&models[i]));
        status = print_json(array, err);
    } else if (count == 0) {
        printf("no models yet; train one: maliang train recipes/small.yaml\n");
    } else {
        printf("%-20s %-10s %8s %9s %9s  %s\n", "name", "stage", "params", "held-out", "bits/char",
               "from");
        for (int i = 0; i < count; i++) {
            char params[32], loss[16] = "-", bits[16] = "-";
            if (isfinite(models[i].validation_loss))
                snprintf(loss, sizeof loss, "%.3f", models[i].validation_loss);
            if (isfinite(models[i].bits_per_character))
                snprintf(bits, sizeof bits, "%.3f", models[i].bits_per_character);
            print_column(models[i].name, 20);
            printf(" %-10s %8s %9s %9s  %s\n", models[i].stage,
                   ml_format_count(params, sizeof params, (double)models[i].parameters), loss, bits,
                   models[i].origin);
        }
    }
    ml_catalog_free(models);
    return status;
}

static void row(const char *name, const char *value)
{
    if (value[0])
        printf("%-14s %s\n", name, value);
}

static int show(struct cli *cli, struct ml_error *err)
{
    struct ml_model_info m;
    int status = ml_catalog_find(cli->workspace, cli->arguments[1], &m, err);
    if (status != 0)
        return status;
    if (cli->json) {
        ml_json_setup();
        return print_json(model_json(&m), err);
    }
    char bytes[32], params[32], shape[128];
    snprintf(shape, sizeof shape, "%s parameters, %d layer%s, %d wide, context %d, vocabulary %d",
             ml_format_count(params, sizeof params, (double)m.parameters), m.layers,
             m.layers == 1 ? "" : "s", m.width, m.context, m.vocab);
    row("name", m.name);
    row("description", m.description);
    row("shape", shape);
    row("stage", m.stage);
    row("licence", m.licence);
    row("created", m.created);
    if (isfinite(m.validation_loss))
        printf("%-14s %.4f nats a token, %.3f bits a character\n", "held-out loss",
               m.validation_loss, m.bits_per_character);
    row("size", ml_format_bytes(bytes, sizeof bytes, (double)m.bytes));
    row("recipe hash", m.recipe_hash);
    row("dataset hash", m.dataset_hash);
    row("folder", m.path);
    return 0;
}

/* What was done: as JSON on stdout, or said on stderr. */
static int report(struct cli *cli, const char *action, const char *value, struct ml_error *err)
{
    const char *model = cli->arguments[1];
    if (cli->json) {
        ml_json_setup();
        return print_json(json_pack("{s:s, s:o, s:o}", "action", action, "model", json_path(model),
                                    "value", json_path(value)),
                          err);
    }
    if (!cli->quiet)
        fprintf(stderr, "%s %s: %s\n", action, model, value);
    return 0;
}

static int export_model(struct cli *cli, struct ml_error *err)
{
    const char *format = cli_text(cli, "format"), *path = cli->arguments[2];
    int status = ml_catalog_export(cli->workspace, cli->arguments[1], format ? format : "gguf",
                                   cli_text(cli, "precision"), path, err);
    return status == 0 ? report(cli, "export", path, err) : status;
}

static int stage(struct cli *cli, struct ml_error *err)
{
    int status = ml_catalog_set_stage(cli->workspace, cli->arguments[1], cli->arguments[2], err);
    return status == 0 ? report(cli, "stage", cli->arguments[2], err) : status;
}

static int remove_model(struct cli *cli, struct ml_error *err)
{
    bool files = cli_flag(cli, "files");
    int status = ml_catalog_remove(cli->workspace, cli->arguments[1], files, err);
    return status == 0 ? report(cli, "remove",
                                files ? "with its files" : "from the list; its files are kept", err)
                       : status;
}

int run_models(struct cli *cli, struct ml_error *err)
{
    static const struct {
        const char *name, *usage;
        int arguments;
        int (*run)(struct cli *, struct ml_error *);
    } actions[] = {{"list", "list", 1, list},
                   {"show", "show MODEL", 2, show},
                   {"export", "export MODEL FILE", 3, export_model},
                   {"stage", "stage MODEL STAGE", 3, stage},
                   {"remove", "remove MODEL", 2, remove_model}};
    if (cli->argument_count == 0)
        return list(cli, err);
    for (int i = 0; i < 5; i++) {
        if (strcmp(cli->arguments[0], actions[i].name) != 0)
            continue;
        if (cli->argument_count != actions[i].arguments)
            return ml_fail(err, ML_ERR_ARG, "usage: maliang models %s", actions[i].usage);
        return actions[i].run(cli, err);
    }
    const char *nearest = ml_word_nearest(cli->arguments[0], cli->command->actions, 5);
    return ml_fail(err, ML_ERR_ARG, "models cannot \"%s\"%s%s%s", cli->arguments[0],
                   nearest ? "; did you mean " : "; see: maliang models --help",
                   nearest ? nearest : "", nearest ? "?" : "");
}
