/* A workspace with a dataset of four texts and a picture, some of them labelled, to be exported. */
#ifndef ML_TESTS_EXPORT_FIXTURE_H
#define ML_TESTS_EXPORT_FIXTURE_H

#include "scratch.h"

#include <math.h>

#include "base/json.h"
#include "data/export_rows.h"
#include "store/labels.h"

struct export_fixture {
    char root[SCRATCH_PATH], out[SCRATCH_PATH + 16];
    struct ml_workspace *ws;
    struct ml_dataset dataset;
    int64_t ids[5];
};

/* Not a picture that any program shows, but it has the bytes that break text: NUL, newlines. */
static const char export_picture[] = "\xff\xd8\xff\xe0\0JFIF\n\r\n\0\xff\xd9";
#define EXPORT_PICTURE_BYTES (sizeof export_picture - 1)

static inline int64_t export_add(struct export_fixture *f, const struct ml_record *record,
                                 const char *bytes, size_t n)
{
    struct ml_error err = {0};
    int64_t id = 0;
    assert_ok(ml_records_add(f->ws, record, bytes, n, &id, NULL, &err), err);
    return id;
}

static inline void export_label(struct export_fixture *f, int record, const char *who,
                                const char *kind, const char *value)
{
    struct ml_error err = {0};
    const struct ml_label label = {.record = f->ids[record],
                                   .queue = "mood",
                                   .annotator = who[0] == '@' ? "" : who,
                                   .model = who[0] == '@' ? who + 1 : "",
                                   .kind = kind,
                                   .value = value,
                                   .confidence = who[0] == '@' ? 0.1 : NAN,
                                   .seconds = NAN};
    assert_ok(ml_labels_add(f->ws, &label, NULL, &err), err);
}

static inline void export_fill(struct export_fixture *f)
{
    static const char line[] =
        "{\"text\": [\"秦川雄帝宅\", \"函谷壮皇居\"], \"title\": \"帝京篇\"}";
    const struct ml_record records[] = {
        {.kind = "text",
         .type = "application/json",
         .source = "/home/someone/诗/a|b.jsonl",
         .title = "帝京篇",
         .meta = "{\"author\":\"太宗\",\"year\":626,\"language\":\"zh\"}",
         .licence = "CC0-1.0",
         .consent = "allowed",
         .lineage =
             "[{\"op\":\"collect\",\"from\":\"gb18030\"},{\"op\":\"redact\",\"changed\":true}]"},
        {.kind = "text",
         .type = "text/plain",
         .source = "https://example.org/fox?a=1&b=2",
         .title = "The \"Fox\"\t<b>",
         .meta = "{\"weight\":0.1}",
         .licence = "CC-BY-4.0",
         .consent = "denied: robots|none <b>",
         .lineage = "[{\"op\":\"collect\",\"split\":\"train\"}]"},
        {.kind = "image",
         .type = "image/jpeg",
         .source = "/home/someone/pictures/fox.jpeg",
         .meta = "{\"caption\":\"a fox\",\"width\":640,\"height\":480}",
         .licence = "CC-BY-4.0",
         .lineage = "[{\"op\":\"collect\"}]"},
        {.kind = "text", .type = "text/plain", .source = "https://example.org/moon"},
        {.kind = "text", .type = "text/plain", .source = "/home/someone/诗/twice.txt"},
    };
    static const char fox[] = "The fox\ncrossed the river.\n";
    f->ids[0] = export_add(f, &records[0], line, sizeof line - 1);
    f->ids[1] = export_add(f, &records[1], fox, sizeof fox - 1);
    f->ids[2] = export_add(f, &records[2], export_picture, EXPORT_PICTURE_BYTES);
    f->ids[3] = export_add(f, &records[3], "The moon \xf0\x9f\x8c\x99", 13);
    f->ids[4] = export_add(f, &records[4], fox, sizeof fox - 1);
    export_label(f, 0, "anna", "choice", "\"calm\"");
    export_label(f, 0, "bo", "choice", "\"glad\"");
    export_label(f, 0, "anna", "choice", "\"glad\"");
    export_label(f, 1, "bo", "skip", "null");
    export_label(f, 1, "@m1", "choice", "\"calm\"");
}

static inline void export_open(struct export_fixture *f)
{
    struct ml_error err = {0};
    char folder[SCRATCH_PATH + 16];
    *f = (struct export_fixture){0};
    scratch_make(f->root);
    snprintf(folder, sizeof folder, "%s/ws", f->root);
    snprintf(f->out, sizeof f->out, "%s/out", f->root);
    const struct ml_workspace_options fresh = scratch_options();
    assert_ok(ml_workspace_open(&f->ws, folder, &fresh, &err), err);
    export_fill(f);
    const struct ml_dataset_spec spec = {.name = "诗与画", .ids = f->ids, .id_count = 5};
    assert_ok(ml_datasets_create(f->ws, &spec, &f->dataset, NULL, &err), err);
}

static inline void export_close(struct export_fixture *f)
{
    ml_workspace_close(f->ws);
    scratch_remove(f->root);
}

/* A file of the fixture's folder in memory, owned by the arena. */
static inline char *export_read(struct ml_arena *arena, const char *path, size_t *n)
{
    struct ml_error err = {0};
    char *text = NULL;
    assert_ok(ml_file_read(arena, path, 64 << 20, &text, n, &err), err);
    return text;
}

/* Nothing hidden or half written is left beside what was exported. */
static inline void export_leaves_nothing(const struct export_fixture *f, const char *but)
{
    char command[SCRATCH_PATH + 100];
    snprintf(command, sizeof command, "test \"$(ls -A '%s' | grep -vxF -e ws -e '%s')\" = ''",
             f->root, but);
    assert_int_equal(system(command), 0);
}

#endif
