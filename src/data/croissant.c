#include "data/croissant.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/fail.h"
#include "data/dataset_card.h"

#define RECORDS     "records.jsonl"
#define MEDIA       "media.tar"
#define MEDIA_FILES "media-files" /* what is in it; no two things may have one id */
enum { MAX_SOURCES = 20 };

/* Values are taken over also when it fails; `bad` remembers, for one look at the end. */
struct maker {
    bool bad;
};

static void set(struct maker *m, json_t *object, const char *name, json_t *value)
{
    m->bad = json_object_set_new(object, name, value) != 0 || m->bad;
}

static void set_text(struct maker *m, json_t *object, const char *name, const char *text)
{
    set(m, object, name, json_string(text));
}

static void append(struct maker *m, json_t *array, json_t *value)
{
    m->bad = json_array_append_new(array, value) != 0 || m->bad;
}

/* {"@id": id} */
static json_t *reference(struct maker *m, const char *id)
{
    json_t *object = json_object();
    set_text(m, object, "@id", id);
    return object;
}

/* {"@type": type, "@id": id, "name": name} */
static json_t *named(struct maker *m, const char *type, const char *id, const char *name)
{
    json_t *object = json_object();
    set_text(m, object, "@type", type);
    set_text(m, object, "@id", id);
    set_text(m, object, "name", name);
    return object;
}

static json_t *date_of(int64_t seconds)
{
    char day[16] = "1970-01-01";
    time_t when = (time_t)seconds;
    struct tm parts;
    if (gmtime_r(&when, &parts))
        strftime(day, sizeof day, "%Y-%m-%d", &parts);
    return json_string(day);
}

/* The terms of the specification's own context. */
static json_t *context(struct maker *m)
{
    static const char *const spaces[][2] = {{"@language", "en"},
                                            {"@vocab", "https://schema.org/"},
                                            {"sc", "https://schema.org/"},
                                            {"cr", "http://mlcommons.org/croissant/"},
                                            {"rai", "http://mlcommons.org/croissant/RAI/"},
                                            {"dct", "http://purl.org/dc/terms/"},
                                            {"conformsTo", "dct:conformsTo"}};
    static const char *const plain[] = {
        "arrayShape", "citeAs",   "column",      "containedIn",   "equivalentProperty",
        "extract",    "field",    "fileObject",  "fileProperty",  "fileSet",
        "format",     "includes", "isArray",     "isLiveDataset", "jsonPath",
        "key",        "md5",      "parentField", "path",          "recordSet",
        "references", "regex",    "repeated",    "replace",       "samplingRate",
        "separator",  "source",   "subField",    "transform"};
    static const char *const typed[][2] = {
        {"data", "@json"}, {"examples", "@json"}, {"dataType", "@vocab"}};
    static const char *const in_languages[] = {"name", "description"};
    json_t *all = json_object();
    for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++)
        set_text(m, all, spaces[i][0], spaces[i][1]);
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        set(m, all, plain[i], json_sprintf("cr:%s", plain[i]));
    for (size_t i = 0; i < sizeof typed / sizeof typed[0]; i++) {
        json_t *term = json_object();
        set(m, term, "@id", json_sprintf("cr:%s", typed[i][0]));
        set_text(m, term, "@type", typed[i][1]);
        set(m, all, typed[i][0], term);
    }
    for (size_t i = 0; i < sizeof in_languages / sizeof in_languages[0]; i++) {
        json_t *term = json_object();
        set_text(m, term, "@container", "@language");
        set(m, all, in_languages[i], term);
    }
    return all;
}

/* ---- files ---- */

static json_t *file_object(struct maker *m, const char *name, const char *format,
                           const struct ml_export_sum *sum)
{
    json_t *object = named(m, "cr:FileObject", name, name);
    set_text(m, object, "contentUrl", name);
    set_text(m, object, "encodingFormat", format);
    set(m, object, "contentSize", json_sprintf("%llu B", (unsigned long long)sum->bytes));
    set_text(m, object, "sha256", sum->hash);
    return object;
}

static json_t *distribution(struct maker *m, const struct ml_croissant_files *files)
{
    json_t *list = json_array();
    append(m, list, file_object(m, RECORDS, "application/jsonlines", files->records));
    if (files->media) {
        append(m, list, file_object(m, MEDIA, "application/x-tar", files->media));
        json_t *members = named(m, "cr:FileSet", MEDIA_FILES, MEDIA_FILES);
        set(m, members, "containedIn", reference(m, MEDIA));
        set_text(m, members, "encodingFormat", "application/octet-stream");
        set_text(m, members, "includes", "*.*");
        append(m, list, members);
    }
    return list;
}

/* ---- records ---- */

struct field {
    const char *name, *type, *what;
};

/* A field of a record set, out of a column of the lines or out of a property of the files. */
static json_t *make_field(struct maker *m, const char *set_name, const struct field *f,
                          const char *property)
{
    char id[64];
    snprintf(id, sizeof id, "%s/%s", set_name, f->name);
    json_t *field = named(m, "cr:Field", id, f->name);
    json_t *source = json_object(), *extract = json_object();
    set_text(m, field, "description", f->what);
    set_text(m, field, "dataType", f->type);
    set_text(m, extract, property ? "fileProperty" : "column", property ? property : f->name);
    if (property)
        set(m, source, "fileSet", reference(m, MEDIA_FILES));
    else
        set(m, source, "fileObject", reference(m, RECORDS));
    set(m, source, "extract", extract);
    set(m, field, "source", source);
    return field;
}

static const struct field record_fields[] = {
    {"text", "sc:Text", "The record's text; of media its caption or transcript."},
    {"title", "sc:Text", "Its title, empty when it has none."},
    {"kind", "sc:Text", "text, image, audio, video or table."},
    {"type", "sc:Text", "Media type of its bytes."},
    {"source", "sc:Text", "Path or address that it was collected from."},
    {"licence", "sc:Text", "SPDX expression, empty when not known."},
    {"consent", "sc:Text", "What its source states about training, empty when nothing."},
    {"hash", "sc:Text", "SHA-256 of its bytes."},
    {"bytes", "sc:Integer", "How many they are."},
    {"labels", "sc:Text", "Labels of people and proposals of models, as JSON."},
    {"meta", "sc:Text", "Further fields of the record, as JSON."},
};

static json_t *record_set(struct maker *m, const struct ml_dataset_facts *f, bool media)
{
    static const struct field file = {"file", "sc:Text", "Its file in the record set media."};
    json_t *fields = json_array();
    for (size_t i = 0; i < sizeof record_fields / sizeof record_fields[0]; i++) {
        if (i == 0 && f->texts + f->captions == 0) /* a column that no line has */
            continue;
        append(m, fields, make_field(m, "records", &record_fields[i], NULL));
    }
    if (media)
        append(m, fields, make_field(m, "records", &file, NULL));
    json_t *records = named(m, "cr:RecordSet", "records", "records");
    set_text(m, records, "description", "One record of the dataset a row.");
    set(m, records, "field", fields);
    return records;
}

static json_t *media_set(struct maker *m)
{
    static const struct field name = {"file", "sc:Text", "Name of the file."},
                              content = {"content", "sc:Text", "Its bytes."};
    json_t *fields = json_array(), *files = named(m, "cr:RecordSet", "media", "media");
    append(m, fields, make_field(m, "media", &name, "filename"));
    append(m, fields, make_field(m, "media", &content, "content"));
    set_text(m, files, "description", "The bytes of pictures, sounds and films.");
    set(m, files, "field", fields);
    return files;
}

/* ---- what it says of itself ---- */

static json_t *licences(struct maker *m, const struct ml_dataset_facts *f)
{
    json_t *list = json_array();
    for (size_t i = 0; i < f->licences.count; i++) {
        const char *name = f->licences.rows[i].name;
        /* One plain name of SPDX has a page of its own; expressions have not. */
        bool plain = *name && !strpbrk(name, " ()") && strncmp(name, "LicenseRef-", 11) != 0;
        append(m, list,
               plain   ? json_sprintf("https://spdx.org/licenses/%s.html", name)
               : *name ? json_string(name)
                       : json_string("not stated"));
    }
    return list;
}

static json_t *languages(struct maker *m, const struct ml_dataset_facts *f)
{
    json_t *list = json_array();
    for (size_t i = 0; i < f->languages.count; i++)
        if (*f->languages.rows[i].name)
            append(m, list, json_string(f->languages.rows[i].name));
    return list;
}

static int describe(struct maker *m, json_t *root, const struct ml_dataset_facts *f,
                    struct ml_error *err)
{
    struct ml_buffer en = {0}, zh = {0};
    json_t *both = json_object();
    int status = ml_buffer_printf(&en, err, "%lld records:", (long long)f->dataset.records);
    if (status == 0)
        status = ml_buffer_printf(&zh, err, "%lld 条记录：", (long long)f->dataset.records);
    for (size_t i = 0; status == 0 && i < f->kinds.count; i++) {
        const struct ml_tally_row *kind = &f->kinds.rows[i];
        status = ml_buffer_printf(&en, err, "%s %lld %s", i ? "," : "", (long long)kind->count,
                                  kind->name);
        if (status == 0)
            status = ml_buffer_printf(&zh, err, "%s%s %lld 条", i ? "，" : "", kind->name,
                                      (long long)kind->count);
    }
    if (status == 0)
        status = ml_buffer_printf(&en, err, ". SHA-256 of their list: %s. See README.md.",
                                  f->dataset.hash);
    if (status == 0)
        status =
            ml_buffer_printf(&zh, err, "。清单的 SHA-256：%s。见 README.zh.md。", f->dataset.hash);
    if (status == 0) {
        set_text(m, both, "en", en.data);
        set_text(m, both, "zh", zh.data);
    }
    set(m, root, "description", both);
    ml_buffer_clear(&en);
    ml_buffer_clear(&zh);
    return status;
}

/* ---- the RAI vocabulary ---- */

static int say_collection(struct maker *m, json_t *root, const struct ml_dataset_facts *f,
                          struct ml_error *err)
{
    struct ml_buffer text = {0};
    bool web = false, files = false;
    int status = ml_buffer_printf(&text, err, "Collected from:");
    for (size_t i = 0; status == 0 && i < f->sources.count; i++) {
        bool address = strstr(f->sources.rows[i].name, "://") != NULL;
        web = web || address;
        files = files || !address;
        if (i < MAX_SOURCES)
            status = ml_buffer_printf(&text, err, "%s %s (%lld)", i ? "," : "",
                                      f->sources.rows[i].name, (long long)f->sources.rows[i].count);
    }
    if (status == 0 && f->sources.count > MAX_SOURCES)
        status = ml_buffer_printf(&text, err, " and %zu more", f->sources.count - MAX_SOURCES);
    if (status == 0)
        set_text(m, root, "rai:dataCollection", text.data);
    ml_buffer_clear(&text);
    json_t *types = json_array(), *times = json_array();
    if (web)
        append(m, types, json_string("Web Scraping"));
    if (files)
        append(m, types, json_string("Software Collection"));
    append(m, times, date_of(f->first_time));
    append(m, times, date_of(f->last_time));
    set(m, root, "rai:dataCollectionType", types);
    set(m, root, "rai:dataCollectionTimeFrame", times);
    return status;
}

static void say_preprocessing(struct maker *m, json_t *root, const struct ml_dataset_facts *f)
{
    json_t *list = json_array();
    for (size_t i = 0; i < f->operations.count; i++)
        append(m, list,
               json_sprintf("%s: %lld records, %lld of them changed", f->operations.rows[i].name,
                            (long long)f->operations.rows[i].count,
                            (long long)f->operations.rows[i].bytes));
    if (f->curation.id)
        append(m, list,
               json_sprintf("curated from %s by the recipe of SHA-256 %s: %lld records left out",
                            f->curated_from, f->curation.recipe_hash, (long long)f->dropped));
    set(m, root, "rai:dataPreprocessingProtocol", list);
    int64_t redacted = ml_tally_of(&f->operations, "redact");
    set(m, root, "rai:personalSensitiveInformation",
        redacted ? json_sprintf("%lld of %lld records went through redaction of personal data; "
                                "what its patterns do not know is still there.",
                                (long long)redacted, (long long)f->dataset.records)
                 : json_string("Not searched for personal data."));
}

static void say_annotation(struct maker *m, json_t *root, const struct ml_dataset_facts *f)
{
    int64_t labels = 0, records = 0;
    if (f->queue_count == 0)
        return;
    json_t *list = json_array();
    for (size_t i = 0; i < f->queue_count; i++) {
        const struct ml_queue_facts *q = &f->queues[i];
        append(m, list,
               json_sprintf("%s (%s): %lld labels by %lld people on %lld records, %lld proposals "
                            "of models",
                            q->name, q->kind, (long long)q->labels, (long long)q->annotators,
                            (long long)q->records, (long long)q->proposals));
        labels += q->labels;
        records += q->records;
    }
    set(m, root, "rai:dataAnnotationProtocol", list);
    set_text(m, root, "rai:dataAnnotationPlatform", "maliang label");
    if (records)
        set(m, root, "rai:annotationsPerItem",
            json_sprintf("%.3g", (double)labels / (double)records));
}

/* ---- all of it ---- */

static json_t *make_root(struct maker *m, const struct ml_dataset_facts *f,
                         const struct ml_croissant_files *files,
                         const struct ml_export_options *options)
{
    const struct ml_dataset *d = &f->dataset;
    json_t *root = json_object(), *conforms = json_array(), *creator = json_object(),
           *sets = json_array();
    append(m, conforms, json_string("http://mlcommons.org/croissant/1.1"));
    append(m, conforms, json_string("http://mlcommons.org/croissant/RAI/1.0"));
    set_text(m, creator, "@type", "sc:Organization");
    set_text(m, creator, "name", options && options->creator ? options->creator : "not stated");
    append(m, sets, record_set(m, f, files->media != NULL));
    if (files->media)
        append(m, sets, media_set(m));
    set(m, root, "@context", context(m));
    set_text(m, root, "@type", "sc:Dataset");
    set(m, root, "conformsTo", conforms);
    set_text(m, root, "name", d->name);
    set(m, root, "version", json_sprintf("%d.0.0", d->version));
    set(m, root, "datePublished", date_of(d->time));
    set(m, root, "creator", creator);
    set(m, root, "url",
        options && options->url ? json_string(options->url)
                                : json_sprintf("urn:sha256:%s", d->hash));
    set(m, root, "citeAs",
        json_sprintf("%s, version %d, SHA-256 %s", d->name, d->version, d->hash));
    set(m, root, "license", licences(m, f));
    set(m, root, "inLanguage", languages(m, f));
    set(m, root, "isLiveDataset", json_false());
    set(m, root, "distribution", distribution(m, files));
    set(m, root, "recordSet", sets);
    return root;
}

static int say_limits(struct maker *m, json_t *root, const struct ml_dataset_facts *f,
                      struct ml_error *err)
{
    struct ml_buffer text = {0};
    int status = ml_dataset_limits(&text, f, false, err);
    if (status == 0)
        set_text(m, root, "rai:dataLimitations", text.data);
    ml_buffer_clear(&text);
    return status;
}

int ml_croissant(struct ml_buffer *out, const struct ml_dataset_facts *f,
                 const struct ml_croissant_files *files, const struct ml_export_options *options,
                 struct ml_error *err)
{
    struct maker m = {0};
    char *text = NULL;
    ml_json_setup();
    json_t *root = make_root(&m, f, files, options);
    int status = describe(&m, root, f, err);
    if (status == 0)
        status = say_collection(&m, root, f, err);
    if (status == 0)
        status = say_limits(&m, root, f, err);
    say_preprocessing(&m, root, f);
    say_annotation(&m, root, f);
    if (status == 0 && m.bad)
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory describing a dataset");
    if (status == 0)
        status = ml_json_text(&text, root, JSON_INDENT(2), err);
    if (status == 0)
        status = ml_buffer_printf(out, err, "%s\n", text);
    ml_mem_free(text);
    json_decref(root);
    return status;
}
