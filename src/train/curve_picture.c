#include "train/curve_picture.h"

#include "base/fail.h"
#include "maliang_config.h"

#ifndef MALIANG_HAVE_CAIRO

bool ml_curve_picture_available(void)
{
    return false;
}

int ml_curve_picture_write(const char *path, const struct ml_curve *curve, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_UNSUPPORTED,
                   "%s: drawing a curve needs cairo, which this build lacks; install the package "
                   "libcairo2-dev and build again",
                   path);
}

#else

#include <cairo.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/files.h"
#include "base/utf8.h"
#include "train/curve_scale.h"

#define WIDTH     960 /* pixels */
#define HEIGHT    540
#define LEFT      72
#define RIGHT     32
#define TOP       78
#define BOTTOM    56
#define MOST_DRAW 2000 /* groups of points that a line is drawn through */
#define LOG_FROM  6.0  /* highest to lowest value: from here on the axis is logarithmic */

struct colour {
    double r, g, b;
};
static const struct colour ink = {0.13, 0.15, 0.18}, grey = {0.43, 0.46, 0.50},
                           grid = {0.91, 0.92, 0.93}, frame = {0.75, 0.77, 0.79},
                           train_colour = {0.25, 0.45, 0.66}, valid_colour = {0.80, 0.42, 0.22};

/* The finite points of one curve, with x in steps. */
struct line {
    double *x, *y;
    int64_t count;
};

struct picture {
    cairo_t *cairo;
    struct ml_arena arena;
    struct line train, smooth, valid;
    struct ml_curve_axis x, y;
    const char *family;
};

static void use(cairo_t *c, struct colour colour, double alpha)
{
    cairo_set_source_rgba(c, colour.r, colour.g, colour.b, alpha);
}

static double place_x(const struct picture *p, double step)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * ml_curve_axis_place(&p->x, step);
}

static double place_y(const struct picture *p, double value)
{
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * ml_curve_axis_place(&p->y, value);
}

static int keep_finite(struct picture *p, struct line *out, const struct ml_curve_point *points,
                       int64_t count, struct ml_error *err)
{
    out->x = ml_arena_alloc(&p->arena, (size_t)(count + 1) * sizeof *out->x);
    out->y = ml_arena_alloc(&p->arena, (size_t)(count + 1) * sizeof *out->y);
    if (!out->x || !out->y)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for a curve of %lld points",
                       (long long)count);
    for (int64_t i = 0; i < count; i++)
        if (isfinite(points[i].step) && isfinite(points[i].value)) {
            out->x[out->count] = points[i].step;
            out->y[out->count++] = points[i].value;
        }
    return 0;
}

static int smooth_training(struct picture *p, struct ml_error *err)
{
    struct line *s = &p->smooth;
    size_t bytes = (size_t)(p->train.count + 1) * sizeof *s->y;
    double *scratch = ml_arena_alloc(&p->arena, bytes);
    *s = p->train;
    s->y = ml_arena_alloc(&p->arena, bytes);
    if (!s->y || !scratch)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for a curve of %lld points",
                       (long long)p->train.count);
    ml_curve_smooth(s->y, p->train.y, s->count, s->count / 80 + 1, scratch);
    return 0;
}

static void widen(double *low, double *high, const double *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        *low = fmin(*low, values[i]);
        *high = fmax(*high, values[i]);
    }
}

static void choose_axes(struct picture *p)
{
    double low = INFINITY, high = -INFINITY, first = INFINITY, last = -INFINITY;
    widen(&first, &last, p->train.x, p->train.count);
    widen(&first, &last, p->valid.x, p->valid.count);
    widen(&low, &high, p->train.y, p->train.count);
    widen(&low, &high, p->valid.y, p->valid.count);
    bool logarithmic = low > 0 && high / low > LOG_FROM;
    double room = (high - low) * 0.04;
    if (logarithmic)
        ml_curve_axis_init(&p->y, low * pow(high / low, -0.03), high * pow(high / low, 0.03), 7,
                           true);
    else
        ml_curve_axis_init(&p->y, low - room, high + room, 7, false);
    if (first < 0.1 * last) /* from the beginning, when it begins near there */
        first = fmin(first, 0);
    if (last - first < 4) { /* steps are whole: no ticks between them */
        first -= 2;
        last += 2;
    }
    ml_curve_axis_init(&p->x, first, last, (int)fmin(8, last - first), false);
}

/* ---- text ---- */

enum side { AT_LEFT, AT_MIDDLE, AT_RIGHT };

static double text_width(cairo_t *c, const char *text)
{
    cairo_text_extents_t e;
    cairo_text_extents(c, text, &e);
    return e.x_advance;
}

static void put_text(cairo_t *c, double x, double y, enum side side, const char *text)
{
    double width = text_width(c, text);
    cairo_move_to(c, x - (side == AT_MIDDLE ? width / 2 : side == AT_RIGHT ? width : 0), y);
    cairo_show_text(c, text);
}

static void set_font(const struct picture *p, bool bold, double size)
{
    cairo_select_font_face(p->cairo, p->family, CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(p->cairo, size);
}

/* Characters of the text that the font has no picture of (glyph 0 in FreeType fonts). */
static int missing_glyphs(cairo_t *c, const char *text)
{
    cairo_glyph_t *glyphs = NULL;
    int count = 0, missing = 0;
    if (cairo_scaled_font_text_to_glyphs(cairo_get_scaled_font(c), 0, 0, text, -1, &glyphs, &count,
                                         NULL, NULL, NULL) != CAIRO_STATUS_SUCCESS)
        return 0;
    for (int i = 0; i < count; i++)
        missing += glyphs[i].index == 0;
    cairo_glyph_free(glyphs);
    return missing;
}

/* cairo's own text does not look for missing characters in other fonts, so the first family that
 * has them all is taken. */
static void choose_family(struct picture *p, const char *text)
{
    static const char *const families[] = {
        "sans-serif",        "Noto Sans CJK SC",    "Noto Sans SC",   "Source Han Sans SC",
        "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "AR PL UMing CN", "Droid Sans Fallback"};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        p->family = families[i];
        set_font(p, true, 17);
        if (missing_glyphs(p->cairo, text) == 0)
            return;
    }
    p->family = families[0];
}

/* The title, cut at a character so that it ends left of `right`. */
static void draw_title(const struct picture *p, const char *title, double right)
{
    char text[512];
    size_t n = strlen(title);
    if (n > sizeof text - 8)
        n = ml_utf8_ready(title, sizeof text - 8);
    snprintf(text, sizeof text, "%.*s%s", (int)n, title, title[n] ? "…" : "");
    set_font(p, true, 17);
    use(p->cairo, ink, 1);
    while (n > 0 && LEFT + text_width(p->cairo, text) > right) {
        do
            n--;
        while (n > 0 && ((unsigned char)title[n] & 0xc0) == 0x80);
        snprintf(text, sizeof text, "%.*s…", (int)n, title);
    }
    put_text(p->cairo, LEFT, 34, AT_LEFT, text);
}

/* ---- the parts of the picture ---- */

static void draw_grid(const struct picture *p, const struct ml_curve *curve)
{
    cairo_t *c = p->cairo;
    char label[64];
    const char *y_label = curve->y_label ? curve->y_label : "loss";
    set_font(p, false, 12);
    cairo_set_line_width(c, 1);
    for (int i = 0; i < p->y.tick_count; i++) {
        double y = floor(place_y(p, p->y.ticks[i])) + 0.5; /* on pixels, so that lines are sharp */
        use(c, grid, 1);
        cairo_move_to(c, LEFT, y);
        cairo_line_to(c, WIDTH - RIGHT, y);
        cairo_stroke(c);
        ml_curve_axis_label(&p->y, p->y.ticks[i], label);
        use(c, grey, 1);
        put_text(c, LEFT - 10, y + 4, AT_RIGHT, label);
    }
    double bottom = HEIGHT - BOTTOM + 0.5;
    use(c, frame, 1);
    cairo_move_to(c, LEFT, bottom);
    cairo_line_to(c, WIDTH - RIGHT, bottom);
    cairo_stroke(c);
    for (int i = 0; i < p->x.tick_count; i++) {
        double x = floor(place_x(p, p->x.ticks[i])) + 0.5;
        use(c, frame, 1);
        cairo_move_to(c, x, bottom);
        cairo_line_to(c, x, bottom + 5);
        cairo_stroke(c);
        ml_curve_axis_label(&p->x, p->x.ticks[i], label);
        use(c, grey, 1);
        put_text(c, x, bottom + 20, AT_MIDDLE, label);
    }
    snprintf(label, sizeof label, "%.40s%s", y_label, p->y.logarithmic ? ", log scale" : "");
    put_text(c, LEFT, TOP - 12, AT_LEFT, label);
    put_text(c, WIDTH - RIGHT, HEIGHT - 14, AT_RIGHT, curve->x_label ? curve->x_label : "step");
}

/* A path through at most MOST_DRAW groups of points: each group's lowest and highest value, or with
 * `last` its last one, so that a million points draw as fast as a thousand and no spike is lost. */
static void trace(const struct picture *p, const struct line *line, bool last)
{
    int64_t group = line->count / MOST_DRAW + 1;
    for (int64_t i = 0; i < line->count; i += group) {
        int64_t end = i + group < line->count ? i + group : line->count;
        double x = place_x(p, line->x[end - 1]), low = INFINITY, high = -INFINITY;
        widen(&low, &high, line->y + i, end - i);
        if (last || group == 1)
            low = high = line->y[end - 1];
        cairo_line_to(p->cairo, x, place_y(p, high));
        if (low < high)
            cairo_line_to(p->cairo, x, place_y(p, low));
    }
}

static void draw_train(const struct picture *p)
{
    cairo_t *c = p->cairo;
    cairo_set_line_join(c, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_cap(c, CAIRO_LINE_CAP_ROUND);
    use(c, train_colour, 0.28);
    cairo_set_line_width(c, 1);
    trace(p, &p->train, false);
    cairo_stroke(c);
    use(c, train_colour, 1);
    cairo_set_line_width(c, 2.2);
    trace(p, &p->smooth, true);
    cairo_stroke(c);
}

static void dot(cairo_t *c, double x, double y, double radius)
{
    cairo_new_sub_path(c);
    cairo_arc(c, x, y, radius, 0, 2 * M_PI);
}

static void draw_valid(const struct picture *p)
{
    cairo_t *c = p->cairo;
    use(c, valid_colour, 0.75);
    cairo_set_line_width(c, 1.6);
    trace(p, &p->valid, true);
    cairo_stroke(c);
    use(c, valid_colour, 1);
    for (int64_t i = 0; p->valid.count <= 120 && i < p->valid.count; i++) {
        dot(c, place_x(p, p->valid.x[i]), place_y(p, p->valid.y[i]), 3);
        cairo_fill(c);
    }
}

/* A ring at the lowest point, its value beside it on a white ground. */
static void draw_best(const struct picture *p)
{
    cairo_t *c = p->cairo;
    bool valid = p->valid.count > 0;
    const struct line *line = valid ? &p->valid : &p->smooth;
    int64_t best = 0;
    char step[32], label[96];
    for (int64_t i = 1; i < line->count; i++)
        if (line->y[i] < line->y[best])
            best = i;
    double x = place_x(p, line->x[best]), y = place_y(p, line->y[best]);
    ml_curve_count_label(llround(line->x[best]), step);
    snprintf(label, sizeof label, "best %.4g at %s", line->y[best], step);
    cairo_set_line_width(c, 2);
    use(c, valid ? valid_colour : train_colour, 1);
    dot(c, x, y, 6.5);
    cairo_stroke(c);
    set_font(p, true, 12);
    double width = text_width(c, label), left = x - width / 2, base = y - 16;
    left = fmax(LEFT + 6, fmin(left, WIDTH - RIGHT - width - 2));
    if (base < TOP + 14)
        base = y + 26;
    cairo_set_source_rgba(c, 1, 1, 1, 0.85);
    cairo_rectangle(c, left - 4, base - 13, width + 8, 18);
    cairo_fill(c);
    use(c, ink, 1);
    put_text(c, left, base, AT_LEFT, label);
}

/* From right to left on the title's line; returns where it begins. */
static double draw_legend(const struct picture *p)
{
    const struct {
        const char *text;
        struct colour colour;
        double alpha, width;
        bool shown, dotted;
    } rows[] = {
        {"validation", valid_colour, 0.75, 1.6, p->valid.count > 0, true},
        {"training, smoothed", train_colour, 1, 2.2, p->train.count > 0, false},
        {"training", train_colour, 0.45, 1.2, p->train.count > 0, false},
    };
    cairo_t *c = p->cairo;
    double right = WIDTH - RIGHT, y = 30;
    set_font(p, false, 12);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rows[i].shown)
            continue;
        use(c, grey, 1);
        put_text(c, right, y + 4, AT_RIGHT, rows[i].text);
        right -= text_width(c, rows[i].text) + 8;
        use(c, rows[i].colour, rows[i].alpha);
        cairo_set_line_width(c, rows[i].width);
        cairo_move_to(c, right - 24, y);
        cairo_line_to(c, right, y);
        cairo_stroke(c);
        if (rows[i].dotted) {
            use(c, rows[i].colour, 1);
            dot(c, right - 12, y, 3);
            cairo_fill(c);
        }
        right -= 24 + 22;
    }
    return right;
}

static void draw(struct picture *p, const struct ml_curve *curve)
{
    cairo_t *c = p->cairo;
    cairo_set_source_rgb(c, 1, 1, 1);
    cairo_paint(c);
    choose_family(p, curve->title ? curve->title : "");
    draw_grid(p, curve);
    double right = draw_legend(p);
    if (curve->title)
        draw_title(p, curve->title, right);
    cairo_save(c);
    cairo_rectangle(c, LEFT - 4, TOP - 4, WIDTH - LEFT - RIGHT + 8, HEIGHT - TOP - BOTTOM + 4);
    cairo_clip(c);
    if (p->train.count > 0)
        draw_train(p);
    if (p->valid.count > 0)
        draw_valid(p);
    cairo_restore(c);
    draw_best(p);
}

/* ---- the file ---- */

struct sink {
    struct ml_writer writer;
    struct ml_error *err;
    int rc;
};

static cairo_status_t put_png(void *arg, const unsigned char *bytes, unsigned int n)
{
    struct sink *sink = arg;
    sink->rc = ml_writer_put(&sink->writer, bytes, n, sink->err);
    return sink->rc ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

static int cairo_failed(const char *path, cairo_status_t status, struct ml_error *err)
{
    return ml_fail(err, status == CAIRO_STATUS_NO_MEMORY ? ML_ERR_MEMORY : ML_ERR_STATE,
                   "%s: the curve could not be drawn: %s", path, cairo_status_to_string(status));
}

static int paint(struct picture *p, const char *path, const struct ml_curve *curve,
                 struct ml_error *err)
{
    struct sink sink = {.err = err};
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, WIDTH, HEIGHT);
    int rc = 0;
    p->cairo = cairo_create(surface);
    draw(p, curve);
    cairo_status_t status = cairo_status(p->cairo);
    cairo_destroy(p->cairo);
    if (status != CAIRO_STATUS_SUCCESS)
        rc = cairo_failed(path, status, err);
    if (rc == 0)
        rc = ml_writer_open(&sink.writer, path, err);
    if (rc == 0) {
        status = cairo_surface_write_to_png_stream(surface, put_png, &sink);
        rc = sink.rc;
        if (rc == 0 && status != CAIRO_STATUS_SUCCESS)
            rc = cairo_failed(path, status, err);
    }
    if (rc == 0)
        rc = ml_writer_commit(&sink.writer, err);
    ml_writer_abort(&sink.writer);
    cairo_surface_destroy(surface);
    return rc;
}

static bool text_ok(const char *text)
{
    return !text || ml_utf8_valid(text, strlen(text));
}

bool ml_curve_picture_available(void)
{
    return true;
}

int ml_curve_picture_write(const char *path, const struct ml_curve *curve, struct ml_error *err)
{
    struct picture p = {0};
    int rc;
    if (!text_ok(curve->title) || !text_ok(curve->x_label) || !text_ok(curve->y_label))
        return ml_fail(err, ML_ERR_ARG, "%s: the curve's title or a label is not UTF-8", path);
    ml_arena_init(&p.arena, 0);
    rc = keep_finite(&p, &p.train, curve->train, curve->train_count, err);
    if (rc == 0)
        rc = keep_finite(&p, &p.valid, curve->validation, curve->validation_count, err);
    if (rc == 0 && p.train.count + p.valid.count == 0)
        rc = ml_fail(err, ML_ERR_ARG, "%s: a curve without a single finite point", path);
    if (rc == 0)
        rc = smooth_training(&p, err);
    if (rc == 0) {
        choose_axes(&p);
        rc = paint(&p, path, curve, err);
    }
    ml_arena_clear(&p.arena);
    return rc;
}

#endif
