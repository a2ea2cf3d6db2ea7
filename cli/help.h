/* Help and shell completion, made from the table of commands. */
#ifndef ML_CLI_HELP_H
#define ML_CLI_HELP_H

#include "options.h"

void help_overview(bool chinese); /* to stdout */
void help_command(const struct command *command, bool chinese);
int help_completion(const char *shell, struct ml_error *err); /* "bash", "zsh", "fish" */

#endif
