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

/* Chinese marks that do not begin a line. */
static bool closes(uint32_t c)
{
    static const uint32_t marks[] = {0x3001, 0x3002, 0x300b, 0x300d, 0x201d, 0xff01,
                                     0xff09, 0xff0c, 0xff1a, 0xff1b, 0xff1f};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (marks[i] == c)
            return true;
    return false;
}

/* Bytes of text that fit `room` columns: to the last space, or to between two wide characters. */
static size_t fitting(const char *text, size_t room)
{
    size_t at = 0, good = 0, columns = 0;
    uint32_t before = 0;
    while (text[at] && text[at] != '\n') {
        uint32_t c;
        size_t n = ml_utf8_decode(text + at, strlen(text + at), &c);
        if (n == 0)
            return at + 1;
        bool wide = (before >= 0x2e80 || c >= 0x2e80) && before != 0xff08; /* not behind （ */
        if (at && c != ' ' && wide && before != ' ' && !closes(c))
            good = at;
        else if (c == ' ')
            good = at;
        columns += (size_t)ml_utf8_width(c);
        if (columns > room)
            return good ? good : at;
        at += n;
        before = c;
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
    printf(chinese
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

static void option_words(const struct option *options)
{
    for (const struct option *o = options; o && o->name; o++)
        printf("--%s ", o->name);
}

/* Choices such as "gguf|safetensors", with blanks between them. */
static void choice_words(const char *value)
{
    for (; *value; value++)
        putchar(*value == '|' ? ' ' : *value);
}

/* What follows an option that has choices; `command` is a pattern of the shell's. */
static void bash_choices(const char *command, const struct option *options)
{
    for (const struct option *o = options; o && o->name; o++) {
        if (!o->value || !strchr(o->value, '|'))
            continue;
        printf("        %s\" --%s\"", command, o->name);
        if (o->letter)
            printf("|%s\" -%c\"", command, o->letter);
        printf(") words=\"");
        choice_words(o->value);
        printf("\" ;;\n");
    }
}

/* Files where nothing of ours is meant: readline's default, for which COMPREPLY stays empty. */
static void bash_completion(void)
{
    int count;
    const struct command *list = command_list(&count);
    printf("# bash completion of maliang: source this file\n_maliang() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words= commands=\"");
    for (int i = 0; i < count; i++)
        printf("%s ", list[i].name);
    printf("\"\n    case \"$command ${COMP_WORDS[COMP_CWORD-1]}\" in\n");
    for (int i = 0; i < count; i++)
        bash_choices(list[i].name, list[i].options);
    bash_choices("*", global_options());
    printf("        *) case \"$COMP_CWORD $command $word\" in\n"
           "            1\\ *) words=\"$commands help --help --version\" ;;\n"
           "            2\\ help\\ *) words=$commands ;;\n");
    for (int i = 0; i < count; i++) {
        printf("            *\\ %s\\ -*) words=\"", list[i].name);
        option_words(list[i].options);
        option_words(global_options());
        printf("\" ;;\n");
        if (list[i].actions) {
            printf("            2\\ %s\\ *) words=\"", list[i].name);
            for (int a = 0; list[i].actions[a]; a++)
                printf("%s ", list[i].actions[a]);
            printf("\" ;;\n");
        }
    }
    printf("        esac ;;\n    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n"
           "complete -o default -F _maliang maliang\n");
}

static void zsh_completion(void)
{
    printf("# zsh completion of maliang: source this file after compinit\n"
           "autoload -U +X bashcompinit && bashcompinit\n");
    bash_completion();
}

/* In single quotes, where fish reads $ and " as they are. */
static void fish_text(const char *text)
{
    printf(" -d '");
    for (; *text; text++)
        printf(*text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
    printf("'\n");
}

static void fish_options(const char *command, const struct option *options)
{
    for (const struct option *o = options; o && o->name; o++) {
        printf("complete -c maliang");
        if (command)
            printf(" -n '__fish_seen_subcommand_from %s'", command);
        printf(" -l %s", o->name);
        if (o->letter)
            printf(" -s %c", o->letter);
        if (o->value && strchr(o->value, '|')) {
            printf(" -x -a '");
            choice_words(o->value);
            printf("'");
        } else if (o->value) {
            printf(" -r");
        }
        fish_text(o->what.en);
    }
}

static void fish_completion(void)
{
    int count;
    const struct command *list = command_list(&count);
    printf("# fish completion of maliang\n");
    for (int i = 0; i < count; i++) {
        printf("complete -c maliang -f -n __fish_use_subcommand -a %s", list[i].name);
        fish_text(list[i].what.en);
        for (int a = 0; list[i].actions && list[i].actions[a]; a++)
            printf("complete -c maliang -n '__fish_seen_subcommand_from %s' -a %s\n", list[i].name,
                   list[i].actions[a]);
        fish_options(list[i].name, list[i].options);
    }
    fish_options(NULL, global_options());
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
