#include <jansson.h>
#include <stdio.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/progress.h"
#include "commands.h"

/* ---- this machine and this build ---- */

static json_t *info_json(const struct ml_system_info *s)
{
    json_t *parts = json_array();
    for (int i = 0; i < s->part_count; i++)
        json_array_append_new(parts,
                              json_pack("{s:s, s:s, s:s, s:b}", "name", s->parts[i].name, "adds",
                                        s->parts[i].adds, "package", s->parts[i].package, "present",
                                        s->parts[i].present));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:b, s:I, s:I, s:o}", "version",
                     s->version, "compiler", s->compiler, "processor", s->processor, "isa", s->isa,
                     "features", s->features, "processors", s->processors, "threads", s->threads,
                     "bf16_hardware", s->bf16_hardware, "memory_bytes", (json_int_t)s->memory_bytes,
                     "memory_free_bytes", (json_int_t)s->memory_free_bytes, "parts", parts);
}

static void print_info(const struct ml_system_info *info)
{
    char all[32], free_[32];
    printf("maliang      %s, built by %s\n", info->version, info->compiler);
    printf("processor    %s\n", info->processor);
    printf("kernels      %s%s\n", info->isa,
           info->bf16_hardware ? " (bf16 training runs on bf16 hardware)" : "");
    printf("features     %s\n", info->features);
    printf("threads      %d of %d processors\n", info->threads, info->processors);
    printf("memory       %s free of %s\n",
           ml_format_bytes(free_, sizeof free_, (double)info->memory_free_bytes),
           ml_format_bytes(all, sizeof all, (double)info->memory_bytes));
    for (int i = 0; i < info->part_count; i++) {
        const struct ml_part *p = &info->parts[i];
        if (p->present)
            printf("%-12s here: %s\n", p->name, p->adds);
        else
            printf("%-12s missing; it would add %s (apt install %s%s)\n", p->name, p->adds,
                   p->package, p->is_program ? "" : ", then build again");
    }
}

/* ---- a workspace ---- */

static json_t *check_json(const char *workspace, const struct ml_check_result *r)
{
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"records", r->records},       {"blobs", r->blobs},
        {"bytes", r->bytes},           {"database_faults", r->database_faults},
        {"orphans", r->orphans},       {"orphan_bytes", r->orphan_bytes},
        {"leftovers", r->leftovers},   {"strangers", r->strangers},
        {"missing", r->missing},       {"damaged", r->damaged},
        {"restored", r->restored},     {"lost_records", r->lost_records},
        {"unnamed", r->unnamed},       {"unnamed_bytes", r->unnamed_bytes},
        {"unfinished", r->unfinished}, {"stale_runs", r->stale_runs},
        {"problems", r->problems},     {"remaining", r->remaining},
    };
    json_t *object =
        json_pack("{s:o, s:o}", "folder", json_path(workspace), "database", json_path(r->database));
    json_t *findings = json_array();
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        json_object_set_new(object, numbers[i].name, json_integer((json_int_t)numbers[i].value));
    for (int i = 0; i < r->finding_count; i++)
        json_array_append_new(findings, json_path(r->findings[i]));
    json_object_set_new(object, "findings", findings);
    return object;
}

static void print_row(uint64_t count, const char *what, const char *repaired, bool repair)
{
    char number[32];
    if (count > 0)
        printf("  %8s %s%s%s\n", ml_format_count(number, sizeof number, (double)count), what,
               repair && repaired ? ": " : "", repair && repaired ? repaired : "");
}

static void print_check(const char *workspace, const struct ml_check_result *r, bool repair,
                        bool deep)
{
    char bytes[32];
    printf("workspace    %s\n", workspace);
    printf("database     %s\n", r->database);
    printf("material     %llu records in %llu files, %s\n", (unsigned long long)r->records,
           (unsigned long long)r->blobs, ml_format_bytes(bytes, sizeof bytes, (double)r->bytes));
    print_row(r->database_faults, "faults in the database", "restore it from a copy", repair);
    print_row(r->missing, "files are missing", NULL, repair);
    print_row(r->damaged, "files are damaged", NULL, repair);
    print_row(r->restored, "of these were restored", NULL, repair);
    print_row(r->lost_records, "records are lost with them", "collect their sources again", repair);
    print_row(r->orphans, "files that no record names", "removed", repair);
    print_row(r->unnamed, "files that nothing needs any more", "removed", repair);
    print_row(r->unfinished, "records of curations that were killed", "removed", repair);
    print_row(r->leftovers, "half-written files", "removed", repair);
    print_row(r->stale_runs, "trainings that were killed", "marked as stopped", repair);
    print_row(r->strangers, "other files in blobs/, which are left alone", NULL, repair);
    for (int i = 0; i < r->finding_count; i++)
        printf("             %s\n", r->findings[i]);
    printf("health       %s%s\n",
           r->problems == 0    ? "sound"
           : r->remaining == 0 ? "repaired"
                               : "not sound",
           deep ? "" : " (sizes were compared; --deep reads every byte)");
}

static void show(void *arg, uint64_t done, uint64_t total)
{
    struct ml_progress *progress = arg;
    char so_far[32], all[32], detail[80];
    snprintf(detail, sizeof detail, "%s of %s",
             ml_format_bytes(so_far, sizeof so_far, (double)done),
             ml_format_bytes(all, sizeof all, (double)total));
    ml_progress_draw(progress, "doctor", (double)done, (double)total, detail);
}

static int check_workspace(struct cli *cli, struct ml_engine *engine, struct ml_check_result *out,
                           struct ml_error *err)
{
    struct ml_progress progress;
    const struct ml_check_request request = {.workspace = cli->workspace,
                                             .repair = cli_flag(cli, "repair"),
                                             .deep = cli_flag(cli, "deep"),
                                             .cancel = cli->cancel,
                                             .progress = cli->quiet ? NULL : show,
                                             .arg = &progress};
    ml_progress_init(&progress);
    int status = ml_engine_check_workspace(engine, &request, out, err);
    if (request.deep && !cli->quiet)
        ml_progress_end(&progress);
    return status;
}

int run_doctor(struct cli *cli, struct ml_error *err)
{
    struct ml_engine *engine = NULL;
    struct ml_system_info info = {0};
    struct ml_check_result check = {.database = ""};
    bool repair = cli_flag(cli, "repair"), deep = cli_flag(cli, "deep");
    bool checks = repair || deep || cli_text(cli, "workspace");
    int status = open_engine(cli, &engine, err);
    if (status == 0)
        status = ml_engine_info(engine, &info, err);
    if (status == 0 && checks)
        status = check_workspace(cli, engine, &check, err);
    ml_engine_close(engine);
    if (status != 0)
        return status;
    if (cli->json) {
        ml_json_setup();
        json_t *answer = info_json(&info);
        if (checks && answer)
            json_object_set_new(answer, "workspace", check_json(cli->workspace, &check));
        status = print_json(answer, err);
    } else {
        print_info(&info);
        if (checks)
            print_check(cli->workspace, &check, repair, deep);
    }
    if (status == 0 && check.remaining > 0)
        status = ml_fail(err, ML_ERR_FORMAT, "%s: %llu fault%s%s", cli->workspace,
                         (unsigned long long)check.remaining, check.remaining == 1 ? "" : "s",
                         repair ? " that cannot be mended here; see above"
                                : "; `maliang doctor --repair` mends what can be mended");
    return status;
}
