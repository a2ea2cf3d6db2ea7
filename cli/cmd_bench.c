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
    bool floors;
    char peers[40]; /* that were the fastest one somewhere, by name */
};

static json_t *share_json(double share)
{
    return isfinite(share) ? json_real(share) : json_null();
}

static json_t *row_json(const struct ml_bench_row *row)
{
    json_t *json =
        json_pack("{s:s, s:f, s:s, s:o, s:o, s:f, s:f}", "name", row->name, "value", row->value,
                  "unit", row->unit, "peak_share", share_json(row->peak_share), "floor_share",
                  share_json(row->floor_share), "flops", row->flops, "bytes", row->bytes);
    if (row->peer_value > 0) {
        json_object_set_new(json, "peer", json_string(row->peer));
        json_object_set_new(json, "peer_value", json_real(row->peer_value));
    }
    return json;
}

static void print_share(double share)
{
    if (isfinite(share) && share > 0)
        printf(" %5.1f%%", 100 * share);
    else
        printf(" %6s", "-");
}

static void take_row(void *arg, const struct ml_bench_row *row)
{
    struct sink *sink = arg;
    if (sink->rows) {
        json_array_append_new(sink->rows, row_json(row));
        return;
    }
    if (!sink->header)
        printf("%-36s %10s %-8s %6s %6s %8s\n", "what", "value", "unit", "peak", "floor", "peer");
    sink->header = true;
    printf("%-36s %10.1f %-8s", row->name, row->value, row->unit);
    print_share(row->peak_share);
    print_share(row->floor_share);
    sink->floors |= row->floor_share > 0;
    if (row->peer_value > 0 && !strstr(sink->peers, row->peer) &&
        strlen(sink->peers) + strlen(row->peer) + 6 < sizeof sink->peers) {
        strcat(sink->peers, sink->peers[0] ? " and " : "");
        strcat(sink->peers, row->peer);
    }
    if (row->peer_value > 0)
        printf(" %7.2fx", row->value / row->peer_value);
    putchar('\n');
    fflush(stdout);
}

/* What the columns are; only those that were used. */
static void print_legend(const struct sink *sink)
{
    printf("\npeak:  share of the multiply-adds that this machine reaches, measured now\n");
    if (sink->floors)
        printf("floor: share of the speed that these flops and bytes allow at best\n");
    if (sink->peers[0])
        printf("peer:  beside the fastest other library installed (%s)\n", sink->peers);
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
    if (status == 0 && sink.header)
        print_legend(&sink);
    json_decref(sink.rows);
    return status;
}
