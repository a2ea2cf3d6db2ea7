#include <jansson.h>
#include <stdio.h>

#include "base/json.h"
#include "commands.h"

int run_init(struct cli *cli, struct ml_error *err)
{
    struct ml_engine *engine = NULL;
    struct ml_create_result made;
    const struct ml_create_request request = {
        .workspace = cli->argument_count > 0 ? cli->arguments[0] : cli->workspace,
        .database = cli_text(cli, "database"),
        .blobs = cli_text(cli, "blobs"),
    };
    int status = open_engine(cli, &engine, err);
    if (status == 0)
        status = ml_engine_create_workspace(engine, &request, &made, err);
    ml_engine_close(engine);
    if (status != 0)
        return status;
    ml_json_setup();
    if (cli->json)
        return print_json(json_pack("{s:o, s:o, s:o}", "folder", json_path(made.folder), "database",
                                    json_path(made.database), "blobs", json_path(made.blobs)),
                          err);
    printf("workspace    %s\n", made.folder);
    printf("records      %s\n", made.database);
    printf("files        %s\n", made.blobs);
    return 0;
}
