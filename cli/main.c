/* maliang: the program. Finds the command, parses its line, runs it. */
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/words.h"
#include "commands.h"
#include "help.h"

/* Raised by Ctrl-C and SIGTERM; long work looks at it and stops cleanly. A second Ctrl-C ends the
 * program at once. */
static volatile int stop_requested;

static void request_stop(int number)
{
    stop_requested = 1;
    signal(number, SIG_DFL);
}

static bool speaks_chinese(void)
{
    const char *names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strncmp(value, "zh", 2) == 0;
    }
    return false;
}

static int unknown_command(const char *name, struct ml_error *err)
{
    int count;
    const struct command *list = command_list(&count);
    const char *names[32];
    for (int i = 0; i < count && i < 32; i++)
        names[i] = list[i].name;
    if (name[0] == '-')
        return ml_fail(err, ML_ERR_ARG, "%s: options come behind the command: maliang COMMAND %s",
                       name, name);
    const char *nearest = ml_word_nearest(name, names, count);
    if (nearest)
        return ml_fail(err, ML_ERR_ARG, "there is no command \"%s\"; did you mean %s?", name,
                       nearest);
    return ml_fail(err, ML_ERR_ARG, "there is no command \"%s\"; see: maliang --help", name);
}

static int run(int argc, char **argv, struct ml_error *err)
{
    bool chinese = speaks_chinese();
    const char *name = argc > 1 ? argv[1] : "--help";
    if (strcmp(name, "--version") == 0) {
        printf("maliang %s\n", ml_version());
        return 0;
    }
    bool help = strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    if (help && argc < 3) {
        help_overview(chinese);
        return 0;
    }
    if (help)
        name = argv[2];
    struct cli cli = {.command = command_find(name), .chinese = chinese, .cancel = &stop_requested};
    if (!cli.command)
        return unknown_command(name, err);
    int status = help ? 0 : cli_parse(&cli, argc - 2, argv + 2, err);
    if (status != 0)
        return status;
    if (help || cli_flag(&cli, "help")) {
        help_command(cli.command, chinese);
        return 0;
    }
    return cli.command->run(&cli, err);
}

/* Whoever read our output has gone (maliang ... | head), which is not worth a message. */
static bool reader_left(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) > 0 && (out.revents & POLLERR);
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    struct sigaction action = {.sa_handler = request_stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a full quota is an error of the write, not the end */
    struct ml_error err = {0};
    int status = run(argc, argv, &err);
    bool lost = fflush(stdout) != 0 || ferror(stdout);
    if (lost && reader_left())
        return 1;
    if (status == 0 && lost)
        status = ml_fail(&err, ML_ERR_IO, "cannot write to standard output: is the disk full?");
    if (status == 0)
        return 0;
    fprintf(stderr, "maliang: %s\n", err.message);
    return status == ML_ERR_CANCELLED ? 130 : status == ML_ERR_ARG ? 2 : 1;
}
