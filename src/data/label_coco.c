/* COCO (label_exchange.h; cocodataset.org/#format-data): boxes, and captions. Whose an annotation
 * is, COCO does not say; our own files add "annotator", or "model" and "score", and to each image
 * its hash and who labelled it (so that a picture without any box is known to be one). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "data/export_file.h"
#include "data/label_exchange.h"

enum { MAX_CATEGORIES = 10000 };

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory exchanging labels");
}

/* ---- out ---- */

/* Values are taken over also when it fails; the first failure is remembered. */
struct maker {
    const struct ml_label_task *task;
    json_t *images, *annotations;
    int64_t number; /* of the last annotation */
    bool bad;
};

static void set(struct maker *m, json_t *object, const char *name, json_t *value)
{
    m->bad = json_object_set_new(object, name, value) != 0 || m->bad;
}

static void append(struct maker *m, json_t *array, json_t *value)
{
    m->bad = json_array_append_new(array, value) != 0 || m->bad;
}

static json_t *begin_annotation(struct maker *m, const struct ml_exchange_row *row,
                                const struct ml_label *label)
{
    json_t *annotation = json_object();
    set(m, annotation, "id", json_integer(++m->number));
    set(m, annotation, "image_id", json_integer(row->record->id));
    if (*label->annotator)
        set(m, annotation, "annotator", json_string(label->annotator));
    else
        set(m, annotation, "model", json_string(label->model));
    if (isfinite(label->confidence))
        set(m, annotation, "score", json_real(label->confidence));
    return annotation;
}

static void put_boxes(struct maker *m, const struct ml_exchange_row *row,
                      const struct ml_label *label, const json_t *answer)
{
    static const char *const names[] = {"x", "y", "width", "height"};
    const json_t *list = json_object_get(answer, "boxes");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *box = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(box, "label"));
        json_t *annotation = begin_annotation(m, row, label), *place = json_array();
        for (int k = 0; k < 4; k++)
            append(m, place, json_incref(json_object_get(box, names[k])));
        set(m, annotation, "category_id",
            json_integer(1 + ml_label_task_find(m->task, name ? name : "")));
        set(m, annotation, "bbox", place);
        set(m, annotation, "area",
            json_real(json_number_value(json_object_get(box, "width")) *
                      json_number_value(json_object_get(box, "height"))));
        set(m, annotation, "iscrowd", json_integer(0));
        set(m, annotation, "segmentation", json_array());
        append(m, m->annotations, annotation);
    }
}

/* How large the picture is: as its labels say, else as its own fields do. */
static void put_size(struct maker *m, json_t *image, const struct ml_exchange_row *row)
{
    struct ml_error ignored = {0};
    const char *text = row->record->meta;
    json_t *meta = NULL;
    const json_t *from = NULL;
    for (size_t i = 0; i < row->label_count && !from; i++)
        if (json_object_get(row->values[i], "width"))
            from = row->values[i];
    if (!from && ml_json_parse(&meta, text, strlen(text), "meta", &ignored) == 0)
        from = meta;
    json_int_t width = json_integer_value(json_object_get(from, "width"));
    json_int_t height = json_integer_value(json_object_get(from, "height"));
    json_decref(meta);
    m->bad = m->bad || ignored.code == ML_ERR_MEMORY;
    set(m, image, "width", json_integer(width));
    set(m, image, "height", json_integer(height));
}

static void put_image(struct maker *m, const struct ml_exchange_row *row)
{
    const char *source = row->record->source, *slash = strrchr(source, '/');
    json_t *image = json_object(), *people = json_array();
    set(m, image, "id", json_integer(row->record->id));
    set(m, image, "file_name", json_string(slash ? slash + 1 : source));
    put_size(m, image, row);
    set(m, image, "source", json_string(source));
    set(m, image, "hash", json_string(row->record->hash));
    for (size_t i = 0; i < row->label_count; i++) {
        const struct ml_label *label = &row->labels[i];
        if (strcmp(label->kind, ML_LABEL_SKIP) == 0)
            continue;
        if (*label->annotator)
            append(m, people, json_string(label->annotator));
        if (m->task->kind == ML_LABEL_BOX) {
            put_boxes(m, row, label, row->values[i]);
        } else {
            json_t *annotation = begin_annotation(m, row, label);
            set(m, annotation, "caption", json_incref(row->values[i]));
            append(m, m->annotations, annotation);
        }
    }
    set(m, image, "annotators", people);
    append(m, m->images, image);
}

static json_t *categories(struct maker *m)
{
    json_t *list = json_array();
    for (int i = 0; i < m->task->label_count; i++) {
        json_t *category = json_object();
        set(m, category, "id", json_integer(1 + i));
        set(m, category, "name", json_string(m->task->labels[i].name));
        set(m, category, "supercategory", json_string(""));
        append(m, list, category);
    }
    return list;
}

int ml_coco_write(struct ml_exchange_source *source, const struct ml_label_queue *queue,
                  struct ml_export_file *file, struct ml_error *err)
{
    struct maker m = {.task = &queue->task, .images = json_array(), .annotations = json_array()};
    struct ml_exchange_row row;
    json_t *root = json_object(), *info = json_object();
    char *text = NULL;
    int got = 0, status = 0;
    while (!m.bad && (got = ml_exchange_next(source, &row, err)) > 0)
        if (strcmp(row.record->kind, "image") == 0)
            put_image(&m, &row);
    set(&m, info, "description",
        json_sprintf("%s: %s@%d", queue->name, queue->dataset.name, queue->dataset.version));
    set(&m, root, "info", info);
    set(&m, root, "licenses", json_array());
    set(&m, root, "images", m.images);
    set(&m, root, "annotations", m.annotations);
    set(&m, root, "categories", categories(&m));
    if (got < 0)
        status = got;
    else if (m.bad)
        status = fail_memory(err);
    else
        status = ml_json_text(&text, root, JSON_COMPACT | JSON_REAL_PRECISION(15), err);
    json_decref(root);
    if (status == 0)
        status = ml_export_file_put(file, text, strlen(text), err);
    if (status == 0)
        status = ml_export_file_put(file, "\n", 1, err);
    ml_mem_free(text);
    return status;
}

/* ---- in ---- */

struct image {
    json_int_t id;
    const json_t *json;
};
/* One annotation and whose it is: those of one image and person together are one label. */
struct part {
    const struct image *image;
    const char *annotator, *model;
    const json_t *json; /* NULL: only that this person looked at the image */
    size_t order;
};

struct reader {
    const struct ml_label_task *task;
    const struct ml_exchange_sink *sink;
    struct image *images; /* by id */
    size_t image_count;
    struct part *parts;
    size_t part_count, part_capacity;
    const json_t *categories;
};

static const char *text_at(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static int by_id(const void *a, const void *b)
{
    const struct image *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static int by_person(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    if (x->image != y->image)
        return x->image < y->image ? -1 : 1;
    int differs = strcmp(x->annotator, y->annotator);
    if (differs == 0)
        differs = strcmp(x->model, y->model);
    return differs ? differs : x->order < y->order ? -1 : 1;
}

static int put_part(struct reader *r, const struct part *part, struct ml_error *err)
{
    if (r->part_count == r->part_capacity) {
        size_t capacity = r->part_capacity ? r->part_capacity * 2 : 256;
        struct part *grown = ml_mem_realloc(r->parts, capacity * sizeof *grown);
        if (!grown)
            return fail_memory(err);
        r->parts = grown;
        r->part_capacity = capacity;
    }
    r->parts[r->part_count] = *part;
    r->parts[r->part_count].order = r->part_count;
    r->part_count++;
    return 0;
}

static int load_images(struct reader *r, const json_t *list, struct ml_error *err)
{
    size_t n = json_array_size(list);
    int status = 0;
    r->images = ml_mem_calloc(n + 1, sizeof *r->images);
    if (!r->images)
        return fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        const json_t *image = json_array_get(list, i);
        if (json_is_integer(json_object_get(image, "id")))
            r->images[r->image_count++] =
                (struct image){json_integer_value(json_object_get(image, "id")), image};
        else
            r->sink->left_out(r->sink->arg, "an image", "it has no number \"id\"");
    }
    if (r->image_count)
        qsort(r->images, r->image_count, sizeof *r->images, by_id);
    for (size_t i = 0; i < r->image_count; i++) {
        const json_t *people = json_object_get(r->images[i].json, "annotators");
        for (size_t k = 0; status == 0 && k < json_array_size(people); k++) {
            const char *name = json_string_value(json_array_get(people, k));
            const struct part part = {.image = &r->images[i], .annotator = name, .model = ""};
            if (name)
                status = put_part(r, &part, err);
        }
    }
    return status;
}

static int load_annotations(struct reader *r, const json_t *list, struct ml_error *err)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < json_array_size(list); i++) {
        const json_t *a = json_array_get(list, i);
        const struct image key = {json_integer_value(json_object_get(a, "image_id")), NULL};
        const struct image *image =
            r->image_count && json_is_integer(json_object_get(a, "image_id"))
                ? bsearch(&key, r->images, r->image_count, sizeof key, by_id)
                : NULL;
        const struct part part = {.image = image,
                                  .annotator = text_at(a, "annotator"),
                                  .model = text_at(a, "model"),
                                  .json = a};
        if (image)
            status = put_part(r, &part, err);
        else
            r->sink->left_out(r->sink->arg, "an annotation", "its image is not in the file");
    }
    if (r->part_count)
        qsort(r->parts, r->part_count, sizeof *r->parts, by_person);
    return status;
}

static const char *category_name(const struct reader *r, const json_t *id)
{
    for (size_t i = 0; i < json_array_size(r->categories); i++) {
        const json_t *category = json_array_get(r->categories, i);
        if (json_equal(json_object_get(category, "id"), id))
            return text_at(category, "name");
    }
    return "";
}

static int put_box(const struct reader *r, json_t *boxes, const json_t *annotation)
{
    static const char *const names[] = {"x", "y", "width", "height"};
    const json_t *place = json_object_get(annotation, "bbox");
    json_t *box = json_object();
    bool bad = false;
    for (int k = 0; k < 4; k++) {
        json_t *number = json_array_get(place, (size_t)k);
        if (number)
            bad = json_object_set(box, names[k], number) != 0 || bad;
    }
    bad = json_object_set_new(
              box, "label",
              json_string(category_name(r, json_object_get(annotation, "category_id")))) != 0 ||
          bad;
    return json_array_append_new(boxes, box) != 0 || bad;
}

static struct ml_exchange_label label_of(const struct part *part)
{
    const json_t *image = part->image->json, *score = json_object_get(part->json, "score");
    return (struct ml_exchange_label){.hash = text_at(image, "hash"),
                                      .source = text_at(image, "source"),
                                      .file = text_at(image, "file_name"),
                                      .annotator = part->annotator,
                                      .model = part->model,
                                      .proposal = !*part->annotator && *part->model,
                                      .confidence =
                                          json_is_number(score) ? json_number_value(score) : NAN,
                                      .seconds = NAN};
}

/* Parts from start to end are the boxes of one person on one image. */
static int give_boxes(struct reader *r, size_t start, size_t end, struct ml_error *err)
{
    const json_t *image = r->parts[start].image->json;
    struct ml_exchange_label label = label_of(&r->parts[start]);
    json_t *answer = json_object(), *boxes = json_array();
    json_t *width = json_object_get(image, "width"), *height = json_object_get(image, "height");
    bool bad = (width && json_object_set(answer, "width", width)) ||
               (height && json_object_set(answer, "height", height)),
         crowd = false;
    for (size_t i = start; i < end; i++) {
        if (!r->parts[i].json)
            continue;
        crowd = crowd || json_integer_value(json_object_get(r->parts[i].json, "iscrowd")) != 0;
        bad = put_box(r, boxes, r->parts[i].json) || bad;
        if (isnan(label.confidence)) /* that of the first that states one */
            label.confidence = label_of(&r->parts[i]).confidence;
    }
    bad = json_object_set_new(answer, "boxes", boxes) != 0 || bad;
    label.value = answer;
    int status = 0;
    if (bad)
        status = fail_memory(err);
    else if (crowd)
        r->sink->left_out(r->sink->arg, *label.file ? label.file : "an image",
                          "a box of it is a crowd, which has no place here");
    else
        status = r->sink->label(r->sink->arg, &label, err);
    json_decref(answer);
    return status;
}

/* Captions: files that do not say whose they are have several an image. */
static int give_captions(struct reader *r, size_t start, size_t end, struct ml_error *err)
{
    int status = 0, nameless = 0;
    for (size_t i = start; status == 0 && i < end; i++) {
        struct ml_exchange_label label = label_of(&r->parts[i]);
        char name[32];
        if (!r->parts[i].json)
            continue;
        label.value = json_object_get(r->parts[i].json, "caption");
        if (!*label.annotator && !*label.model && ++nameless > 1) {
            snprintf(name, sizeof name, "imported %d", nameless);
            label.annotator = name;
        }
        if (label.value)
            status = r->sink->label(r->sink->arg, &label, err);
        else
            r->sink->left_out(r->sink->arg, *label.file ? label.file : "an annotation",
                              "it has no caption");
    }
    return status;
}

int ml_coco_read(const char *text, size_t n, const struct ml_label_task *task,
                 const struct ml_exchange_sink *sink, struct ml_error *err)
{
    struct reader r = {.task = task, .sink = sink};
    json_t *root = NULL;
    bool boxes = task->kind == ML_LABEL_BOX;
    int status = ml_json_parse(&root, text, n, "annotations of COCO", err);
    if (status)
        return status;
    const json_t *images = json_object_get(root, "images"),
                 *annotations = json_object_get(root, "annotations");
    r.categories = json_object_get(root, "categories");
    if (!json_is_array(images) || !json_is_array(annotations))
        status = ml_fail(err, ML_ERR_FORMAT,
                         "not COCO: that is an object with the lists \"images\" and "
                         "\"annotations\"");
    else if (!boxes && task->kind != ML_LABEL_TEXT)
        status = ml_fail(err, ML_ERR_UNSUPPORTED,
                         "COCO has boxes and captions; the task of this queue is of kind %s",
                         ml_label_kind_name(task->kind));
    if (status == 0 && json_array_size(r.categories) > MAX_CATEGORIES)
        status = ml_fail(err, ML_ERR_LIMIT, "COCO with more than %d categories", MAX_CATEGORIES);
    if (status == 0)
        status = load_images(&r, images, err);
    if (status == 0)
        status = load_annotations(&r, annotations, err);
    for (size_t start = 0, end; status == 0 && start < r.part_count; start = end) {
        end = start;
        while (end < r.part_count && r.parts[end].image == r.parts[start].image &&
               strcmp(r.parts[end].annotator, r.parts[start].annotator) == 0 &&
               strcmp(r.parts[end].model, r.parts[start].model) == 0)
            end++;
        status = boxes ? give_boxes(&r, start, end, err) : give_captions(&r, start, end, err);
    }
    ml_mem_free(r.images);
    ml_mem_free(r.parts);
    json_decref(root);
    return status;
}
