#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/progress.h"
#include "commands.h"

struct sink {
    json_t *rows; /* NULL: print */
    bool header;
};

static void take_row(void *arg, const struct ml_bench_row *row)
{
    struct sink *sink = arg;
    if (sink->rows) {
        json_array_append_new(
            sink->rows,
            json_pack("{s:s, s:f, s:s, s:o, s:f, s:f}", "name", row->name, "value", row->value,
                      "unit", row->unit, "peak_share",
                      isfinite(row->peak_share) ? json_real(row->peak_share) : json_null(), "flops",
                      row->flops, "bytes", row->bytes));
        return;
    }
    if (!sink->header)
        printf("%-44s %12s %-9s %8s\n", "what", "value", "unit", "of peak");
    sink->header = true;
    printf("%-44s %12.1f %-9s ", row->name, row->value, row->unit);
    if (isfinite(row->peak_share))
        printf("%7.1f%%\n", 100 * row->peak_share);
    else
        printf("%8s\n", "-");
    fflush(stdout);
}

static int read_shape(struct cli *cli, struct ml_bench_request *request, struct ml_error *err)
{
    const struct {
        const char *name;
        int *to;
    } sizes[] = {{"layers", &request->layers}, {"width", &request->width},
                 {"heads", &request->heads},   {"kv-heads", &request->kv_heads},
                 {"ffn", &request->ffn},       {"context", &request->context},
                 {"batch", &request->batch},   {"vocab", &request->vocab}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t value = 0;
        int status = cli_integer(cli, sizes[i].name, 1, 1 << 20, &value, err);
        if (status != 0)
            return status;
        *sizes[i].to = (int)value;
    }
    return 0;
}

int run_bench(struct cli *cli, struct ml_error *err)
{
    struct ml_engine *engine = NULL;
    struct sink sink = {0};
    struct ml_bench_request request = {
        .what = cli->argument_count ? cli->arguments[0] : "kernels",
        .precision = cli_text(cli, "precision"),
        .cancel = cli->cancel,
        .row = take_row,
        .arg = &sink,
    };
    if (cli->json) {
        ml_json_setup();
        sink.rows = json_array();
    }
    int status = cli_number(cli, "seconds", 0.1, 3600, &request.seconds, err);
    if (status == 0)
        status = read_shape(cli, &request, err);
    if (status == 0)
        status = open_engine(cli, &engine, err);
    if (status == 0)
        status = ml_engine_bench(engine, &request, err);
    ml_engine_close(engine);
    if (status == 0 && cli->json)
        return print_json(sink.rows, err);
    json_decref(sink.rows);
    return status;
}
