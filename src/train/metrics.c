#include "train/metrics.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>
#include <sys/time.h>

#include "base/fail.h"
#include "base/files.h"
#include "base/json.h"
#include "base/progress.h"
#include "train/curve_picture.h"

#define MAX_BYTES (256 << 20)

/* The names of a row's numbers in the file and in TensorBoard. */
static const struct {
    const char *name, *tag;
    size_t offset;
} fields[] = {
    {"time", NULL, offsetof(struct ml_metrics_row, time)},
    {"loss", "loss/train", offsetof(struct ml_metrics_row, loss)},
    {"validation_loss", "loss/validation", offsetof(struct ml_metrics_row, validation_loss)},
    {"learning_rate", "train/learning_rate", offsetof(struct ml_metrics_row, learning_rate)},
    {"gradient_norm", "train/gradient_norm", offsetof(struct ml_metrics_row, gradient_norm)},
    {"tokens_per_second", "speed/tokens_per_second",
     offsetof(struct ml_metrics_row, tokens_per_second)},
    {"epoch", "train/epoch", offsetof(struct ml_metrics_row, epoch)},
};
#define FIELDS (int)(sizeof fields / sizeof *fields)

static double *number(const struct ml_metrics_row *row, int field)
{
    return (double *)(void *)((char *)row + fields[field].offset);
}

static int keep_row(struct ml_metrics *m, const struct ml_metrics_row *row, struct ml_error *err)
{
    if (m->count == m->capacity) {
        int64_t capacity = m->capacity ? m->capacity * 2 : 256;
        void *rows = ml_mem_realloc(m->rows, (size_t)capacity * sizeof *m->rows);
        if (!rows)
            return ml_fail(err, ML_ERR_MEMORY, "no memory for metrics");
        m->rows = rows;
        m->capacity = capacity;
    }
    m->rows[m->count++] = *row;
    return 0;
}

/* One line of the file; 0 when it is none of ours. */
static int parse_row(const char *line, size_t n, struct ml_metrics_row *row)
{
    json_t *object = NULL;
    struct ml_error ignored = {0};
    if (ml_json_parse(&object, line, n, "metrics", &ignored) < 0)
        return ignored.code == ML_ERR_MEMORY ? ML_ERR_MEMORY : 0;
    json_t *step = json_object_get(object, "step");
    bool good = json_is_integer(step);
    row->step = json_integer_value(step);
    for (int i = 0; i < FIELDS; i++) {
        json_t *value = json_object_get(object, fields[i].name);
        *number(row, i) = json_is_number(value) ? json_number_value(value) : NAN;
    }
    json_decref(object);
    return good;
}

static int read_rows(struct ml_metrics *m, int64_t step, struct ml_error *err)
{
    struct ml_file_map map;
    if (!ml_path_exists(m->path))
        return 0;
    int status = ml_file_map_open(&map, m->path, err);
    if (status < 0)
        return status;
    const char *at = (const char *)map.data, *end = at ? at + map.size : at;
    while (at && at < end && status == 0) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline)
            break; /* cut off by a crash */
        struct ml_metrics_row row;
        int got = parse_row(at, (size_t)(newline - at), &row);
        if (got < 0)
            status = ml_fail(err, ML_ERR_MEMORY, "no memory to read %s", m->path);
        else if (got && row.step <= step)
            status = keep_row(m, &row, err);
        at = newline + 1;
    }
    ml_file_map_close(&map);
    return status;
}

static int format_row(struct ml_buffer *out, const struct ml_metrics_row *row, struct ml_error *err)
{
    int status = ml_buffer_printf(out, err, "{\"step\": %lld", (long long)row->step);
    for (int i = 0; i < FIELDS && status == 0; i++)
        if (isfinite(*number(row, i)))
            status = ml_buffer_printf(out, err, ", \"%s\": %.*g", fields[i].name, i == 0 ? 13 : 9,
                                      *number(row, i));
    return status == 0 ? ml_buffer_put(out, "}\n", 2, err) : status;
}

/* The rows that stay, written whole, then open for more. */
static int rewrite(struct ml_metrics *m, struct ml_error *err)
{
    struct ml_buffer text = {0};
    int status = 0;
    for (int64_t i = 0; i < m->count && status == 0; i++)
        status = format_row(&text, &m->rows[i], err);
    if (status == 0)
        status = ml_file_write(m->path, text.data ? text.data : "", text.size, err);
    ml_buffer_clear(&text);
    if (status < 0)
        return status;
    m->file = fopen(m->path, "ae");
    return m->file ? 0 : ml_fail(err, ML_ERR_IO, "cannot write %s: %s", m->path, strerror(errno));
}

int ml_metrics_open(struct ml_metrics *out, const char *folder, int64_t step, struct ml_error *err)
{
    struct ml_metrics m = {0};
    ml_json_setup();
    ml_arena_init(&m.arena, 0);
    m.path = ml_path_join(&m.arena, folder, "metrics.jsonl");
    m.folder = ml_arena_strdup(&m.arena, folder);
    int status = m.path && m.folder ? 0 : ml_fail(err, ML_ERR_MEMORY, "no memory for metrics");
    if (status == 0)
        status = read_rows(&m, step, err);
    if (status == 0)
        status = rewrite(&m, err);
    m.drawn = ml_time();
    if (status == 0)
        status = ml_tensorboard_open(&m.board, folder, step > 0 ? step + 1 : 0, err);
    if (status < 0) {
        ml_metrics_close(&m);
        return status;
    }
    *out = m;
    return 0;
}

int ml_metrics_add(struct ml_metrics *m, const struct ml_metrics_row *row, struct ml_error *err)
{
    struct ml_metrics_row timed = *row;
    struct ml_buffer text = {0};
    struct timeval now;
    gettimeofday(&now, NULL);
    timed.time = (double)now.tv_sec + (double)now.tv_usec * 1e-6;
    int status = keep_row(m, &timed, err);
    if (status == 0)
        status = format_row(&text, &timed, err);
    if (status == 0 &&
        (fwrite(text.data, 1, text.size, m->file) != text.size || fflush(m->file) != 0))
        status = ml_fail(err, ML_ERR_IO, "cannot write %s: %s", m->path, strerror(errno));
    ml_buffer_clear(&text);
    for (int i = 0; i < FIELDS && status == 0; i++)
        if (fields[i].tag && isfinite(*number(&timed, i)))
            status = ml_tensorboard_scalar(&m->board, fields[i].tag, timed.step, *number(&timed, i),
                                           err);
    return status == 0 ? ml_tensorboard_flush(&m->board, err) : status;
}

/* The points of one curve; returns how many. */
static int64_t curve_points(const struct ml_metrics *m, size_t offset, struct ml_curve_point *out)
{
    int64_t n = 0;
    for (int64_t i = 0; i < m->count; i++) {
        double value = *(const double *)(const void *)((const char *)&m->rows[i] + offset);
        if (isfinite(value))
            out[n++] = (struct ml_curve_point){(double)m->rows[i].step, value};
    }
    return n;
}

int ml_metrics_draw(struct ml_metrics *m, const char *title, double pause, struct ml_error *err)
{
    double now = ml_time();
    if (!ml_curve_picture_available() || m->count == 0 || now - m->drawn < pause)
        return 0;
    m->drawn = now;
    char *path = ml_path_join(&m->arena, m->folder, "loss.png");
    struct ml_curve_point *points = ml_mem_calloc((size_t)m->count, 2 * sizeof *points);
    int status = path && points ? 0 : ml_fail(err, ML_ERR_MEMORY, "no memory for the curve");
    if (status == 0) {
        struct ml_curve curve = {.title = title, .train = points, .validation = points + m->count};
        curve.train_count = curve_points(m, offsetof(struct ml_metrics_row, loss), points);
        curve.validation_count =
            curve_points(m, offsetof(struct ml_metrics_row, validation_loss), points + m->count);
        status = ml_curve_picture_write(path, &curve, err);
    }
    ml_mem_free(points);
    return status;
}

void ml_metrics_close(struct ml_metrics *m)
{
    ml_tensorboard_close(&m->board, NULL);
    if (m->file)
        fclose(m->file);
    ml_mem_free(m->rows);
    ml_arena_clear(&m->arena);
    memset(m, 0, sizeof *m);
}
