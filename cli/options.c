#include "options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/words.h"

static const struct option *find_in(const struct option *list, const char *name, size_t length,
                                    char letter)
{
    for (; list && list->name; list++)
        if (name ? strlen(list->name) == length && strncmp(list->name, name, length) == 0
                 : list->letter == letter)
            return list;
    return NULL;
}

static const struct option *find_option(const struct cli *cli, const char *name, size_t length,
                                        char letter)
{
    const struct option *option = find_in(cli->command->options, name, length, letter);
    return option ? option : find_in(global_options(), name, length, letter);
}

static int unknown_option(const struct cli *cli, const char *argument, struct ml_error *err)
{
    const char *known[96];
    int n = 0;
    for (const struct option *o = cli->command->options; o && o->name && n < 96; o++)
        known[n++] = o->name;
    for (const struct option *o = global_options(); o->name && n < 96; o++)
        known[n++] = o->name;
    char word[64];
    size_t length = strcspn(argument, "=");
    length = length < sizeof word - 1 ? length : sizeof word - 1;
    memcpy(word, argument, length);
    word[length] = 0;
    const char *dashless = word + strspn(word, "-");
    const char *nearest = ml_word_nearest(dashless, known, n);
    if (nearest)
        return ml_fail(err, ML_ERR_ARG, "%s has no option %s; did you mean --%s?",
                       cli->command->name, word, nearest);
    return ml_fail(err, ML_ERR_ARG, "%s has no option %s; see: maliang %s --help",
                   cli->command->name, word, cli->command->name);
}

/* One option at argv[at]; *used says how many words it took. */
static int take_option(struct cli *cli, int argc, char **argv, int at, int *used,
                       struct ml_error *err)
{
    const char *text = argv[at], *value = NULL;
    const struct option *option;
    *used = 1;
    if (text[1] == '-') {
        size_t length = strcspn(text + 2, "=");
        option = find_option(cli, text + 2, length, 0);
        if (text[2 + length] == '=')
            value = text + 3 + length;
    } else {
        option = find_option(cli, NULL, 0, text[1]);
        if (text[2])
            value = text + 2;
    }
    if (!option)
        return unknown_option(cli, text, err);
    if (!option->value && value)
        return ml_fail(err, ML_ERR_ARG, "--%s takes no value", option->name);
    if (option->value && !value) {
        if (at + 1 >= argc)
            return ml_fail(err, ML_ERR_ARG, "--%s needs a value: --%s %s", option->name,
                           option->name, option->value);
        value = argv[at + 1];
        *used = 2;
    }
    if (cli->given_count == CLI_MAX_GIVEN)
        return ml_fail(err, ML_ERR_LIMIT, "more than %d options", CLI_MAX_GIVEN);
    cli->given[cli->given_count].option = option;
    cli->given[cli->given_count++].value = value;
    return 0;
}

/* A number such as -1 or a lone dash is an argument, not an option. */
static bool is_option(const char *text)
{
    return text[0] == '-' && text[1] && !(text[1] >= '0' && text[1] <= '9') && text[1] != '.';
}

int cli_parse(struct cli *cli, int argc, char **argv, struct ml_error *err)
{
    const struct command *command = cli->command;
    int kept = 0;
    bool only_arguments = false;
    for (int at = 0; at < argc;) {
        int used = 1;
        if (!only_arguments && strcmp(argv[at], "--") == 0) {
            only_arguments = true;
        } else if (!only_arguments && is_option(argv[at])) {
            int status = take_option(cli, argc, argv, at, &used, err);
            if (status != 0)
                return status;
        } else {
            argv[kept++] = argv[at];
        }
        at += used;
    }
    cli->arguments = (const char **)argv;
    cli->argument_count = kept;
    cli->json = cli_flag(cli, "json");
    cli->quiet = cli_flag(cli, "quiet");
    const char *workspace = cli_text(cli, "workspace");
    if (!workspace)
        workspace = getenv("MALIANG_WORKSPACE");
    cli->workspace = workspace && *workspace ? workspace : "maliang-workspace";
    if (cli_flag(cli, "help"))
        return 0;
    if (kept < command->min_arguments)
        return ml_fail(err, ML_ERR_ARG, "%s needs %s; see: maliang %s --help", command->name,
                       command->arguments, command->name);
    if (command->max_arguments >= 0 && kept > command->max_arguments)
        return ml_fail(err, ML_ERR_ARG,
                       "%s does not know what to do with \"%s\"; see: maliang %s --help",
                       command->name, argv[command->max_arguments], command->name);
    return 0;
}

bool cli_flag(const struct cli *cli, const char *name)
{
    for (int i = 0; i < cli->given_count; i++)
        if (strcmp(cli->given[i].option->name, name) == 0)
            return true;
    return false;
}

const char *cli_text(const struct cli *cli, const char *name)
{
    for (int i = cli->given_count - 1; i >= 0; i--)
        if (strcmp(cli->given[i].option->name, name) == 0)
            return cli->given[i].value;
    return NULL;
}

int cli_all(const struct cli *cli, const char *name, const char **values, int max)
{
    int n = 0;
    for (int i = 0; i < cli->given_count && n < max; i++)
        if (strcmp(cli->given[i].option->name, name) == 0)
            values[n++] = cli->given[i].value;
    return n;
}

int cli_integer(const struct cli *cli, const char *name, int64_t low, int64_t high, int64_t *out,
                struct ml_error *err)
{
    const char *text = cli_text(cli, name);
    if (!text)
        return 0;
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value < low || value > high)
        return ml_fail(err, ML_ERR_ARG,
                       "--%s is \"%s\", but must be a whole number from %lld to %lld", name, text,
                       (long long)low, (long long)high);
    *out = value;
    return 0;
}

int cli_number(const struct cli *cli, const char *name, double low, double high, double *out,
               struct ml_error *err)
{
    const char *text = cli_text(cli, name);
    if (!text)
        return 0;
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= low && value <= high))
        return ml_fail(err, ML_ERR_ARG, "--%s is \"%s\", but must be a number from %g to %g", name,
                       text, low, high);
    *out = value;
    return 0;
}

const char *cli_words(const struct cli *cli, struct words words)
{
    return cli->chinese && words.zh ? words.zh : words.en;
}
