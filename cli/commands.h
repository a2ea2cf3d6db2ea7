/* What each command runs; the table is in commands.c. */
#ifndef ML_CLI_COMMANDS_H
#define ML_CLI_COMMANDS_H

#include <jansson.h>

#include "options.h"

int run_init(struct cli *cli, struct ml_error *err);
int run_collect(struct cli *cli, struct ml_error *err);
int run_datasets(struct cli *cli, struct ml_error *err);
int run_label(struct cli *cli, struct ml_error *err);
int run_curate(struct cli *cli, struct ml_error *err);
int run_find(struct cli *cli, struct ml_error *err);
int run_train(struct cli *cli, struct ml_error *err);
int run_write(struct cli *cli, struct ml_error *err);
int run_models(struct cli *cli, struct ml_error *err);
int run_bench(struct cli *cli, struct ml_error *err);
int run_doctor(struct cli *cli, struct ml_error *err);
int run_completion(struct cli *cli, struct ml_error *err);

/* What commands share (shared.c). */
int open_engine(struct cli *cli, struct ml_engine **out, struct ml_error *err);
/* Prints a JSON value (json_t *, taken over) to stdout, indented, with a line end. */
int print_json(json_t *value, struct ml_error *err);
/* A string of JSON, which is UTF-8 throughout: bytes that are not (of a file's name, of a model's
 * text) become U+FFFD. */
json_t *json_text(const char *text, size_t bytes);
json_t *json_path(const char *path);
/* Prints text cut or padded to `columns` of the terminal (wide characters counted). */
void print_column(const char *text, int columns);
/* Bytes of text that fit into `columns`. */
size_t fit_columns(const char *text, int columns, int *used);

#endif
