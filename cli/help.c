#include "help.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"

enum { WIDTH = 79 };

static const char *pick(struct words words, bool chinese)
{
    return chinese && words.zh ? words.zh : words.en;
}

/* Bytes of text that fit `room` columns: to the last space, or anywhere between wide characters. */
static size_t fitting(const char *text, size_t room)
{
    size_t at = 0, good = 0, columns = 0;
    while (text[at] && text[at] != '\n') {
        uint32_t c;
        size_t n = ml_utf8_decode(text + at, strlen(text + at), &c);
        if (n == 0)
            return at + 1;
        columns += (size_t)ml_utf8_width(c);
        if (columns > room)
            return good ? good : at;
        at += n;
        if (c >= 0x2e80 || text[at] == ' ' || !text[at] || text[at] == '\n')
            good = at;
    }
    return at;
}

/* Prints text wrapped, its first line at the current column `at`, later ones indented. */
static void wrap(const char *text, int at, int indent)
{
    printf("%*s", at < indent ? indent - at : 0, "");
    while (*text) {
        size_t n = fitting(text, (size_t)(WIDTH - indent));
        printf("%.*s\n", (int)n, text);
        text += n;
        while (*text == ' ')
            text++;
        if (*text == '\n')
            text++;
        if (*text)
            printf("%*s", indent, "");
    }
}

static void print_options(const struct option *options, bool chinese)
{
    for (const struct option *o = options; o && o->name; o++) {
        char left[64];
        int n = snprintf(left, sizeof left, "  %c%c%s--%s%s%s", o->letter ? '-' : ' ',
                         o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name,
                         o->value ? " " : "", o->value ? o->value : "");
        printf("%s", left);
        if (n > 28) {
            printf("\n");
            n = 0;
        }
        wrap(pick(o->what, chinese), n, 30);
    }
}

void help_overview(bool chinese)
{
    int count;
    const struct command *list = command_list(&count);
    printf(
        chinese
            ? "maliang %s：本地的 AIGC 引擎。收集素材、训练、生成、改进，都在本机完成。\n\n"
              "用法：maliang 命令 [选项]\n\n命令：\n"
            : "maliang %s: a local AIGC engine. Collect material, train, generate, improve;\n"
              "everything stays on this machine.\n\n"
              "usage: maliang COMMAND [options]\n\ncommands:\n",
        ml_version());
    for (int i = 0; i < count; i++) {
        int n = printf("  %s", list[i].name);
        wrap(pick(list[i].what, chinese), n, 14);
    }
    printf(chinese ? "\n每个命令都可用的选项：\n" : "\noptions of every command:\n");
    print_options(global_options(), chinese);
    printf(chinese ? "\n从这里开始：\n" : "\nto begin:\n");
    printf("  maliang collect --dataset mine FOLDER\n"
           "  maliang train recipes/small.yaml --set data.dataset=mine\n"
           "  maliang write --model small \"Once upon a time\"\n"
           "  maliang write --model verse --set form=七绝 --set title=春夜\n");
}

void help_command(const struct command *command, bool chinese)
{
    char usage[256];
    snprintf(usage, sizeof usage, "maliang %s %s%s%s", command->name, command->arguments,
             command->arguments[0] ? " " : "", chinese ? "[选项]" : "[options]");
    wrap(usage, printf("%s", chinese ? "用法：" : "usage: ") - (chinese ? 3 : 0), chinese ? 6 : 7);
    printf("\n");
    wrap(pick(command->what, chinese), 0, 0);
    if (command->options && command->options->name) {
        printf(chinese ? "\n选项：\n" : "\noptions:\n");
        print_options(command->options, chinese);
    }
    printf(chinese ? "\n每个命令都可用的选项：\n" : "\noptions of every command:\n");
    print_options(global_options(), chinese);
    const char *details = pick(command->details, chinese);
    if (details)
        printf("\n%s", details);
}

/* ---- completion ---- */

static void option_words(const struct option *options, const char *format)
{
    for (const struct option *o = options; o && o->name; o++)
        printf(format, o->name);
}

static void bash_completion(void)
{
    int count;
    const struct command *list = command_list(&count);
    printf("# bash completion of maliang: source this file\n_maliang() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words=\n"
           "    if [ \"$COMP_CWORD\" -eq 1 ]; then words=\"");
    for (int i = 0; i < count; i++)
        printf("%s ", list[i].name);
    printf("\"\n    else case $command in\n");
    for (int i = 0; i < count; i++) {
        printf("        %s) words=\"", list[i].name);
        for (int a = 0; list[i].actions && list[i].actions[a]; a++)
            printf("%s ", list[i].actions[a]);
        option_words(list[i].options, "--%s ");
        option_words(global_options(), "--%s ");
        printf("\" ;;\n");
    }
    printf("    esac; fi\n    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n"
           "complete -o default -F _maliang maliang\n");
}

static void zsh_completion(void)
{
    printf("# zsh completion of maliang: source this file after compinit\n"
           "autoload -U +X bashcompinit && bashcompinit\n");
    bash_completion();
}

static void fish_completion(void)
{
    int count;
    const struct command *list = command_list(&count);
    printf("# fish completion of maliang\n");
    for (int i = 0; i < count; i++) {
        printf("complete -c maliang -n __fish_use_subcommand -a %s -d \"%s\"\n", list[i].name,
               list[i].what.en);
        for (const struct option *o = list[i].options; o && o->name; o++)
            printf("complete -c maliang -n '__fish_seen_subcommand_from %s' -l %s%s -d \"%s\"\n",
                   list[i].name, o->name, o->value ? " -r" : "", o->what.en);
    }
    for (const struct option *o = global_options(); o->name; o++)
        printf("complete -c maliang -l %s%s -d \"%s\"\n", o->name, o->value ? " -r" : "",
               o->what.en);
}

int help_completion(const char *shell, struct ml_error *err)
{
    if (strcmp(shell, "bash") == 0)
        bash_completion();
    else if (strcmp(shell, "zsh") == 0)
        zsh_completion();
    else if (strcmp(shell, "fish") == 0)
        fish_completion();
    else
        return ml_fail(err, ML_ERR_ARG, "completion knows bash, zsh and fish, not \"%s\"", shell);
    return 0;
}
