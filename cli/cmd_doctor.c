#include <jansson.h>
#include <stdio.h>

#include "base/json.h"
#include "base/progress.h"
#include "commands.h"

static int print_info_json(const struct ml_system_info *s, struct ml_error *err)
{
    ml_json_setup();
    json_t *parts = json_array();
    for (int i = 0; i < s->part_count; i++)
        json_array_append_new(parts,
                              json_pack("{s:s, s:s, s:s, s:b}", "name", s->parts[i].name, "adds",
                                        s->parts[i].adds, "package", s->parts[i].package, "present",
                                        s->parts[i].present));
    return print_json(
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:b, s:I, s:I, s:o}", "version", s->version,
                  "compiler", s->compiler, "processor", s->processor, "isa", s->isa, "features",
                  s->features, "processors", s->processors, "threads", s->threads, "bf16_hardware",
                  s->bf16_hardware, "memory_bytes", (json_int_t)s->memory_bytes,
                  "memory_free_bytes", (json_int_t)s->memory_free_bytes, "parts", parts),
        err);
}

int run_doctor(struct cli *cli, struct ml_error *err)
{
    struct ml_engine *engine = NULL;
    struct ml_system_info info = {0};
    int status = open_engine(cli, &engine, err);
    if (status == 0)
        status = ml_engine_info(engine, &info, err);
    ml_engine_close(engine);
    if (status != 0)
        return status;
    if (cli->json)
        return print_info_json(&info, err);
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
    return 0;
}
