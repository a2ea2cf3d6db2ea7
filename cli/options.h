/* What a command line may say. One table (commands.c) holds every command and option; parsing, help
 * and completion are made from it. */
#ifndef ML_CLI_OPTIONS_H
#define ML_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maliang/maliang.h"

/* A text in the two languages of the program. */
struct words {
    const char *en, *zh;
};

struct option {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    const char
        *value; /* what follows, such as "FILE" (with choices: "gguf|safetensors"); NULL: a flag */
    struct words what;
};

struct cli;

struct command {
    const char *name;
    const char *arguments; /* "PATH..." */
    struct words what;
    struct words details;             /* paragraphs below the options, with examples; may be NULL */
    const struct option *options;     /* ends with a NULL name */
    const char *const *actions;       /* words that may come first, such as "list"; NULL: none */
    int min_arguments, max_arguments; /* max -1: any number */
    int (*run)(struct cli *cli, struct ml_error *err);
};

const struct command *command_list(int *count);
const struct command *command_find(const char *name);
const struct option *global_options(void);

enum { CLI_MAX_GIVEN = 128 };

/* A parsed command line. */
struct cli {
    const struct command *command;
    struct {
        const struct option *option;
        const char *value; /* NULL for a flag */
    } given[CLI_MAX_GIVEN];
    int given_count;
    const char **arguments; /* points into argv */
    int argument_count;
    bool json, quiet, chinese;
    const char *workspace; /* never NULL */
    ml_cancel *cancel;
};

/* Parses what follows the command's name; a mistake is one message with the nearest known word.
 * argv is reordered. */
int cli_parse(struct cli *cli, int argc, char **argv, struct ml_error *err);

bool cli_flag(const struct cli *cli, const char *name);
const char *cli_text(const struct cli *cli, const char *name); /* the last one given, or NULL */
/* All values of a repeatable option; returns their number, at most max. */
int cli_all(const struct cli *cli, const char *name, const char **values, int max);
/* Numbers: *out is untouched when the option was not given; a message when it is no number or out
 * of its limits. */
int cli_integer(const struct cli *cli, const char *name, int64_t low, int64_t high, int64_t *out,
                struct ml_error *err);
int cli_number(const struct cli *cli, const char *name, double low, double high, double *out,
               struct ml_error *err);

const char *cli_words(const struct cli *cli, struct words words);

#endif
