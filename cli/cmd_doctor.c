#include <jansson.h>
#include <stdio.h>

#include "base/json.h"
#include "base/progress.h"
#include "commands.h"

static int print_info_json(const struct ml_system_info *s, json_t *workspace, struct ml_error *err)
{
    ml_json_setup();
    json_t *parts = json_array();
    for (int i = 0; i < s->part_count; i++)
        json_array_append_new(parts,
                              json_pack("{s:s, s:s, s:s, s:b}", "name", s->parts[i].name, "adds",
                                        s->parts[i].adds, "package", s->parts[i].package, "present",
                                        s->parts[i].present));
    return print_json(json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:b, s:I, s:I, s:o, s:o*}",
                                "version", s->version, "compiler", s->compiler, "processor",
                                s->processor, "isa", s->isa, "features", s->features, "processors",
                                s->processors, "threads", s->threads, "bf16_hardware",
                                s->bf16_hardware, "memory_bytes", (json_int_t)s->memory_bytes,
                                "memory_free_bytes", (json_int_t)s->memory_free_bytes, "parts",
                                parts, "workspace", workspace),
                      err);
}

static json_t *check_json(const struct ml_check_result *r)
{
    ml_json_setup();
    json_t *examples = json_array();
    for (int i = 0; i < 5 && r->examples[i][0]; i++)
        json_array_append_new(examples, json_path(r->examples[i]));
    return json_pack("{s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:o}",
                     "database_sound", r->database_sound, "database_problem", r->database_problem,
                     "records", (json_int_t)r->records, "datasets", (json_int_t)r->datasets,
                     "blobs", (json_int_t)r->blobs, "blob_bytes", (json_int_t)r->blob_bytes,
                     "stray_files", (json_int_t)r->stray_files, "stray_bytes",
                     (json_int_t)r->stray_bytes, "unused_blobs", (json_int_t)r->unused_blobs,
                     "unused_bytes", (json_int_t)r->unused_bytes, "unfinished",
                     (json_int_t)r->unfinished, "missing", (json_int_t)r->missing, "damaged",
                     (json_int_t)r->damaged, "repaired", r->repaired, "examples", examples);
}

static void print_check(const struct cli *cli, const struct ml_check_result *r)
{
    char bytes[32];
    bool litter = r->stray_files || r->unused_blobs || r->unfinished;
    printf("workspace    %s: %lld records, %lld datasets, %s\n", cli->workspace,
           (long long)r->records, (long long)r->datasets,
           ml_format_bytes(bytes, sizeof bytes, (double)r->blob_bytes));
    if (!r->database_sound)
        printf("             the database is damaged: %s\n", r->database_problem);
    if (litter)
        printf("             %s: %lld files and %lld blobs (%s), %lld records of broken-off "
               "curations\n",
               r->repaired ? "removed" : "left by broken-off work (--repair removes it)",
               (long long)r->stray_files, (long long)r->unused_blobs,
               ml_format_bytes(bytes, sizeof bytes, (double)(r->stray_bytes + r->unused_bytes)),
               (long long)r->unfinished);
    if (r->missing || r->damaged)
        printf("             %lld blobs are missing, %lld damaged; collect their sources again:\n",
               (long long)r->missing, (long long)r->damaged);
    for (int i = 0; i < 5 && r->examples[i][0]; i++)
        printf("             %s\n", r->examples[i]);
    if (r->database_sound && !litter && !r->missing && !r->damaged)
        printf("             sound%s\n",
               cli_flag(cli, "deep") ? ": every blob was read" : "; --deep reads every blob too");
}

/* The workspace is looked over where there is one. */
static int check(struct cli *cli, struct ml_engine *engine, struct ml_check_result *out,
                 bool *there, struct ml_error *err)
{
    const struct ml_check_request request = {.workspace = cli->workspace,
                                             .deep = cli_flag(cli, "deep"),
                                             .repair = cli_flag(cli, "repair"),
                                             .cancel = cli->cancel};
    struct ml_error why = {0};
    int status = ml_engine_check(engine, &request, out, &why);
    *there = status == 0;
    if (status == ML_ERR_NOT_FOUND && !request.deep && !request.repair)
        return 0;
    if (status)
        *err = why;
    return status;
}

int run_doctor(struct cli *cli, struct ml_error *err)
{
    struct ml_check_result checked = {0};
    bool there = false;
    struct ml_engine *engine = NULL;
    struct ml_system_info info = {0};
    int status = open_engine(cli, &engine, err);
    if (status == 0)
        status = ml_engine_info(engine, &info, err);
    if (status == 0)
        status = check(cli, engine, &checked, &there, err);
    ml_engine_close(engine);
    if (status != 0)
        return status;
    if (cli->json)
        return print_info_json(&info, there ? check_json(&checked) : NULL, err);
    char all[32], free_[32];
    printf("maliang      %s, built by %s\n", info.version, info.compiler);
    printf("processor    %s\n", info.processor);
    printf("kernels      %s%s\n", info.isa,
           info.bf16_hardware ? " (bf16 training runs on bf16 hardware)" : "");
    printf("features     %s\n", info.features);
    printf("threads      %d of %d processors\n", info.threads, info.processors);
    printf("memory       %s free of %s\n",
           ml_format_bytes(free_, sizeof free_, (double)info.memory_free_bytes),
           ml_format_bytes(all, sizeof all, (double)info.memory_bytes));
    for (int i = 0; i < info.part_count; i++) {
        const struct ml_part *p = &info.parts[i];
        if (p->present)
            printf("%-12s here: %s\n", p->name, p->adds);
        else
            printf("%-12s missing; it would add %s (apt install %s, then build again)\n", p->name,
                   p->adds, p->package);
    }
    if (there)
        print_check(cli, &checked);
    return 0;
}
