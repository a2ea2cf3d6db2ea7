#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/json.h"
#include "base/progress.h"
#include "commands.h"

enum { COLUMNS = 76, MAX_QUESTION = 1 << 20 };

static void show(void *arg, int64_t done, int64_t total)
{
    char detail[96], a[32], b[32];
    snprintf(detail, sizeof detail, "%s of %s records", ml_format_count(a, sizeof a, (double)done),
             ml_format_count(b, sizeof b, (double)total));
    ml_progress_draw(arg, "index", (double)done, (double)(total ? total : 1), detail);
}

static int print_answers_json(const struct ml_find_answer *answers, int count, struct ml_error *err)
{
    ml_json_setup();
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        const struct ml_find_answer *a = &answers[i];
        json_t *marks = json_array();
        for (int m = 0; m < a->marks; m++)
            json_array_append_new(marks, json_pack("[i, i]", a->mark[m].start, a->mark[m].bytes));
        json_array_append_new(
            list,
            json_pack("{s:I, s:s, s:o, s:o, s:f, s:i, s:i, s:f, s:f, s:o, s:o}", "record",
                      (json_int_t)a->record, "kind", a->kind, "title", json_path(a->title),
                      "source", json_path(a->source), "score", a->score, "rank_words",
                      a->rank_words, "rank_meaning", a->rank_meaning, "cosine", a->cosine,
                      "overlap", a->overlap, "snippet", json_path(a->snippet), "marks", marks));
    }
    return print_json(json_pack("{s:o}", "answers", list), err);
}

/* The snippet in lines, words of the question in bold on a terminal. */
static void print_snippet(const struct ml_find_answer *a, bool bold)
{
    int mark = 0, used = 0, column = 0;
    printf("    ");
    for (size_t at = 0; a->snippet[at];) {
        while (mark < a->marks && (size_t)(a->mark[mark].start + a->mark[mark].bytes) <= at)
            mark++;
        bool inside = mark < a->marks && (size_t)a->mark[mark].start <= at;
        size_t next = inside            ? (size_t)(a->mark[mark].start + a->mark[mark].bytes)
                      : mark < a->marks ? (size_t)a->mark[mark].start
                                        : strlen(a->snippet);
        char part[sizeof a->snippet];
        snprintf(part, sizeof part, "%.*s", (int)(next - at), a->snippet + at);
        for (const char *p = part; *p;) {
            size_t n = fit_columns(p, COLUMNS - column, &used), cut = n;
            while (p[n] && cut > 0 && p[cut] != ' ' && (unsigned char)p[cut] < 0x80)
                cut--; /* to the end of a word; wide characters break anywhere */
            if (p[n] && cut > 0 && cut < n) {
                n = cut;
                char head[sizeof part];
                snprintf(head, sizeof head, "%.*s", (int)n, p);
                fit_columns(head, COLUMNS, &used);
            }
            if (n == 0 || (p[n] && column > 0 && used == 0)) {
                printf("\n    ");
                column = 0;
                continue;
            }
            printf("%s%.*s%s", inside && bold ? "\033[1m" : "", (int)n, p,
                   inside && bold ? "\033[0m" : "");
            column += used;
            p += n;
            if (*p) {
                printf("\n    ");
                column = 0;
                p += *p == ' ';
            }
        }
        at = next;
    }
    printf("\n");
}

static void print_answer(const struct ml_find_answer *a, int rank, bool near, bool bold)
{
    char head[64];
    if (near)
        snprintf(head, sizeof head, "overlap %.0f%%, cosine %.2f", 100 * a->overlap, a->cosine);
    else if (a->rank_words && a->rank_meaning)
        snprintf(head, sizeof head, "words %d, meaning %d", a->rank_words, a->rank_meaning);
    else
        snprintf(head, sizeof head, "%s %d", a->rank_words ? "words" : "meaning",
                 a->rank_words ? a->rank_words : a->rank_meaning);
    const char *title = *a->title ? a->title : a->kind;
    int used;
    size_t n = fit_columns(title, 46, &used);
    printf("%2d  %s%.*s%s%s  (%s)\n", rank, bold ? "\033[1m" : "", (int)n, title,
           title[n] ? "\xE2\x80\xA6" : "", bold ? "\033[0m" : "", head);
    print_snippet(a, bold);
    /* the end of a long source says more than its beginning */
    const char *source = a->source;
    while (strlen(source) > COLUMNS - 4) {
        source++;
        while (((unsigned char)*source & 0xC0) == 0x80)
            source++;
    }
    printf("    %s%s\n", source == a->source ? "" : "\xE2\x80\xA6", source);
}

/* The words of the command line, or for --near the text of a file. */
static char *question(struct cli *cli, struct ml_arena *arena, struct ml_error *err)
{
    const char *near = cli_text(cli, "near");
    char *text = ml_arena_strdup(arena, "");
    size_t n;
    if (near)
        return ml_file_read(arena, near, MAX_QUESTION, &text, &n, err) == 0 ? text : NULL;
    for (int i = 0; text && i < cli->argument_count; i++)
        text = ml_arena_printf(arena, "%s%s%s", text, i ? " " : "", cli->arguments[i]);
    return text;
}

static int run(struct cli *cli, struct ml_find_request *request, struct ml_arena *arena,
               struct ml_error *err)
{
    struct ml_engine *engine = NULL;
    struct ml_progress progress;
    int count = 0;
    struct ml_find_answer *answers = ml_arena_calloc(arena, ML_FIND_MOST, sizeof *answers);
    int status = answers ? open_engine(cli, &engine, err) : ML_ERR_MEMORY;
    ml_progress_init(&progress);
    request->progress = cli->quiet ? NULL : show;
    request->arg = &progress;
    if (status == 0)
        status = ml_engine_find(engine, request, answers, &count, err);
    if (!cli->quiet)
        ml_progress_end(&progress);
    ml_engine_close(engine);
    bool bold = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    if (status == 0 && cli->json)
        status = print_answers_json(answers, count, err);
    else if (status == 0 && count == 0)
        fprintf(stderr, "nothing found\n");
    for (int i = 0; status == 0 && !cli->json && i < count; i++)
        print_answer(&answers[i], i + 1, cli_text(cli, "near") != NULL, bold);
    return status;
}

int run_find(struct cli *cli, struct ml_error *err)
{
    struct ml_arena arena;
    int64_t count = 10;
    ml_arena_init(&arena, 0);
    char *text = question(cli, &arena, err);
    int status = text        ? cli_integer(cli, "count", 1, ML_FIND_MOST, &count, err)
                 : err->code ? err->code
                             : ML_ERR_MEMORY;
    struct ml_find_request request = {.workspace = cli->workspace,
                                      .text = text,
                                      .dataset = cli_text(cli, "dataset"),
                                      .kind = cli_text(cli, "kind"),
                                      .how = cli_text(cli, "near") ? "near" : cli_text(cli, "by"),
                                      .count = (int)count,
                                      .cancel = cli->cancel};
    if (status == 0)
        status = run(cli, &request, &arena, err);
    ml_arena_clear(&arena);
    return status;
}
