#include "data/augment_picture.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"

static const uint8_t black[3] = {0, 0, 0};

/* ---- RandAugment's operations ---- */

enum {
    IDENTITY,
    AUTOCONTRAST,
    EQUALIZE,
    ROTATE,
    SOLARIZE,
    COLOUR,
    POSTERIZE,
    CONTRAST,
    BRIGHTNESS,
    SHARPNESS,
    SHEAR_X,
    SHEAR_Y,
    SHIFT_X,
    SHIFT_Y,
};

const char *ml_picture_operation_name(int operation)
{
    static const char *const names[ML_PICTURE_OPERATIONS] = {
        "identity", "autocontrast", "equalize",  "rotate",  "solarize", "colour",  "posterize",
        "contrast", "brightness",   "sharpness", "shear x", "shear y",  "shift x", "shift y"};
    return operation >= 0 && operation < ML_PICTURE_OPERATIONS ? names[operation] : "?";
}

static struct ml_warp shape_of(const struct ml_pixels *p, int operation, double s)
{
    struct ml_warp w = {1, 0, 0, 0, 1, 0};
    if (operation == ROTATE)
        return ml_warp_rotate(p, 30 * s);
    w.b = operation == SHEAR_X ? 0.3 * s : 0;
    w.d = operation == SHEAR_Y ? 0.3 * s : 0;
    w.c = operation == SHIFT_X ? 0.45 * s * p->width : 0;
    w.f = operation == SHIFT_Y ? 0.45 * s * p->height : 0;
    return w;
}

int ml_picture_operate(const struct ml_pixels *p, int operation, double s, struct ml_error *err)
{
    const float factor = (float)(1 + 0.9 * s);
    struct ml_warp warp;
    switch (operation) {
    case AUTOCONTRAST:
        ml_picture_autocontrast(p);
        break;
    case EQUALIZE:
        ml_picture_equalize(p);
        break;
    case SOLARIZE:
        ml_picture_solarize(p, 256 - (int)lround(256 * fabs(s)));
        break;
    case COLOUR:
        ml_picture_colour(p, factor);
        break;
    case POSTERIZE:
        ml_picture_posterize(p, 8 - (int)lround(4 * fabs(s)));
        break;
    case CONTRAST:
        ml_picture_contrast(p, factor);
        break;
    case BRIGHTNESS:
        ml_picture_brightness(p, factor);
        break;
    case SHARPNESS:
        return ml_picture_sharpness(p, factor, err);
    case ROTATE:
    case SHEAR_X:
    case SHEAR_Y:
    case SHIFT_X:
    case SHIFT_Y:
        warp = shape_of(p, operation, s);
        return ml_picture_warp(p, &warp, black, err);
    default:
        break;
    }
    return 0;
}

static double sign(struct ml_rng *rng)
{
    return ml_rng_below(rng, 2) ? 1 : -1;
}

static int operate(const struct ml_pixels *p, const struct ml_picture_plan *plan,
                   struct ml_rng *rng, struct ml_error *err)
{
    int count = plan->trivial ? 1 : plan->operations, status = 0;
    double strength = (plan->magnitude ? plan->magnitude : 9) / 30.0;
    for (int i = 0; i < count && status == 0; i++) {
        int operation = (int)ml_rng_below(rng, ML_PICTURE_OPERATIONS);
        double s = plan->trivial ? ml_rng_double(rng) : strength;
        status = ml_picture_operate(p, operation, s * sign(rng), err);
    }
    return status;
}

/* ---- crop, colours, erasing ---- */

static double between(struct ml_rng *rng, double low, double high)
{
    return low + (high - low) * ml_rng_double(rng);
}

static int crop(const struct ml_pixels *p, double least, struct ml_rng *rng, struct ml_error *err)
{
    size_t size = (size_t)p->width * (size_t)p->height * 3;
    double area = between(rng, least, 1), shape = exp(between(rng, log(0.75), log(4 / 3.0)));
    double w = fmin(1, sqrt(area * shape)), h = fmin(1, sqrt(area / shape));
    uint8_t *old = ml_mem_alloc(size);
    if (!old)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory changing a picture");
    memcpy(old, p->rgb, size);
    const struct ml_pixels from = {old, p->width, p->height};
    const struct ml_box box = {.x = between(rng, 0, (1 - w) * p->width),
                               .y = between(rng, 0, (1 - h) * p->height),
                               .width = w * p->width,
                               .height = h * p->height};
    ml_picture_crop(p, &from, &box);
    ml_mem_free(old);
    return 0;
}

static void jitter(const struct ml_pixels *p, const struct ml_picture_plan *plan,
                   struct ml_rng *rng)
{
    if (plan->brightness > 0)
        ml_picture_brightness(p, (float)between(rng, 1 - plan->brightness, 1 + plan->brightness));
    if (plan->contrast > 0)
        ml_picture_contrast(p, (float)between(rng, 1 - plan->contrast, 1 + plan->contrast));
    if (plan->colour > 0)
        ml_picture_colour(p, (float)between(rng, 1 - plan->colour, 1 + plan->colour));
    if (plan->hue > 0)
        ml_picture_hue(p, (float)between(rng, -plan->hue, plan->hue));
}

/* Whole pixels of a box. */
struct cut {
    int x, y, width, height;
};

static struct cut cut_at(const struct ml_pixels *p, double area, double shape, struct ml_rng *rng)
{
    struct cut c = {.width = (int)lround(sqrt(area * shape) * p->width),
                    .height = (int)lround(sqrt(area / shape) * p->height)};
    c.width = c.width > p->width ? p->width : c.width;
    c.height = c.height > p->height ? p->height : c.height;
    c.x = (int)ml_rng_below(rng, (uint64_t)(p->width - c.width) + 1);
    c.y = (int)ml_rng_below(rng, (uint64_t)(p->height - c.height) + 1);
    return c;
}

static uint8_t *pixel(const struct ml_pixels *p, int x, int y)
{
    return p->rgb + ((size_t)y * (size_t)p->width + (size_t)x) * 3;
}

static void erase(const struct ml_pixels *p, struct ml_rng *rng)
{
    double area = between(rng, 0.02, 0.33), shape = exp(between(rng, log(0.3), log(1 / 0.3)));
    struct cut c = cut_at(p, area, shape, rng);
    for (int y = c.y; y < c.y + c.height; y++)
        for (int i = 0; i < 3 * c.width; i++)
            pixel(p, c.x, y)[i] = (uint8_t)ml_rng_below(rng, 256);
}

static bool in_unit(double v)
{
    return v >= 0 && v <= 1;
}

static int check_plan(const struct ml_pixels *p, const struct ml_picture_plan *plan,
                      struct ml_error *err)
{
    if (p->width < 1 || p->height < 1)
        return ml_fail(err, ML_ERR_ARG, "a picture has at least one pixel");
    if (in_unit(plan->flip) && in_unit(plan->crop) && in_unit(plan->erase) &&
        in_unit(plan->brightness) && in_unit(plan->contrast) && in_unit(plan->colour) &&
        in_unit(2 * plan->hue) && plan->operations >= 0 && plan->operations <= 16 &&
        plan->magnitude >= 0 && plan->magnitude <= 30)
        return 0;
    return ml_fail(err, ML_ERR_ARG,
                   "a plan for pictures: chances and shares lie between 0 and 1, hue between 0 and "
                   "0.5, operations between 0 and 16, magnitude between 0 and 30");
}

int ml_augment_picture(const struct ml_pixels *p, const struct ml_picture_plan *plan,
                       enum ml_augment_split split, struct ml_rng *rng, struct ml_error *err)
{
    int status = ml_augment_check(split, err);
    if (status == 0)
        status = check_plan(p, plan, err);
    if (status)
        return status;
    if (plan->crop > 0)
        status = crop(p, plan->crop, rng, err);
    if (ml_rng_double(rng) < plan->flip)
        ml_picture_flip(p);
    if (status == 0)
        status = operate(p, plan, rng, err);
    if (status)
        return status;
    jitter(p, plan, rng);
    if (ml_rng_double(rng) < plan->erase)
        erase(p, rng);
    return 0;
}

/* ---- two pictures ---- */

/* Marsaglia & Tsang, "A simple method for generating gamma variables", 2000. */
static double draw_gamma(double shape, struct ml_rng *rng)
{
    double boost = 1;
    if (shape < 1) {
        boost = pow(ml_rng_double(rng), 1 / shape);
        shape += 1;
    }
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = ml_rng_normal(rng), v = 1 + c * x;
        v = v * v * v;
        if (v > 0 && log(ml_rng_double(rng) + 1e-300) < 0.5 * x * x + d - d * v + d * log(v))
            return boost * d * v;
    }
}

static double draw_beta(double alpha, struct ml_rng *rng)
{
    double a = draw_gamma(alpha, rng), b = draw_gamma(alpha, rng);
    return a + b > 0 ? a / (a + b) : 0.5;
}

static int check_pair(const struct ml_pixels *a, const struct ml_pixels *b, double alpha,
                      enum ml_augment_split split, struct ml_error *err)
{
    int status = ml_augment_check(split, err);
    if (status)
        return status;
    if (a->width == b->width && a->height == b->height && a->width > 0 && a->height > 0 &&
        alpha > 0)
        return 0;
    return ml_fail(err, ML_ERR_ARG,
                   "two pictures are mixed when both have the same size and alpha is above 0");
}

int ml_augment_mixup(const struct ml_pixels *a, const struct ml_pixels *b, double alpha,
                     enum ml_augment_split split, struct ml_rng *rng, double *share,
                     struct ml_error *err)
{
    int status = check_pair(a, b, alpha, split, err);
    if (status)
        return status;
    double of_a = draw_beta(alpha, rng);
    size_t n = (size_t)a->width * (size_t)a->height * 3;
    for (size_t i = 0; i < n; i++)
        a->rgb[i] = (uint8_t)(of_a * a->rgb[i] + (1 - of_a) * b->rgb[i] + 0.5);
    *share = of_a;
    return 0;
}

int ml_augment_cutmix(const struct ml_pixels *a, const struct ml_pixels *b, double alpha,
                      enum ml_augment_split split, struct ml_rng *rng, double *share,
                      struct ml_error *err)
{
    int status = check_pair(a, b, alpha, split, err);
    if (status)
        return status;
    struct cut c = cut_at(a, 1 - draw_beta(alpha, rng), 1, rng);
    for (int y = c.y; y < c.y + c.height; y++)
        memcpy(pixel(a, c.x, y), pixel(b, c.x, y), 3 * (size_t)c.width);
    *share = 1 - (double)c.width * c.height / ((double)a->width * a->height);
    return 0;
}
