#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api_impl.h"
#include "base/fail.h"
#include "base/words.h"
#include "cuda/cuda.h"
#include "data/child.h"
#include "maliang_config.h"

const char *ml_version(void)
{
    return MALIANG_VERSION;
}

void ml_string_free(char *text)
{
    ml_mem_free(text);
}

static int parse_isa(const char *name, enum ml_isa *out, struct ml_error *err)
{
    const char *names[ML_ISA_COUNT];
    char known[128] = "";
    int count = 0;
    *out = ML_ISA_COUNT - 1;
    if (!name)
        return 0;
    for (int isa = 0; isa < ML_ISA_COUNT; isa++) {
        if (!ml_isa_built((enum ml_isa)isa))
            continue;
        names[count] = ml_isa_name((enum ml_isa)isa);
        if (strcmp(name, names[count]) == 0) {
            *out = (enum ml_isa)isa;
            return 0;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", count ? ", " : "", names[count]);
        count++;
    }
    const char *nearest = ml_word_nearest(name, names, count);
    return ml_fail(err, ML_ERR_ARG,
                   "there is no instruction set \"%s\" on this kind of processor%s%s; known: %s",
                   name, nearest ? ", did you mean " : "", nearest ? nearest : "", known);
}

static int attach(struct ml_device *device, const char *name, struct ml_error *err)
{
    struct ml_error none = {0};
    if (!name || strcmp(name, "cpu") == 0)
        return 0;
    if (strcmp(name, "cuda") == 0)
        return ml_cuda_attach(device, err);
    if (strcmp(name, "auto") == 0) {
        ml_cuda_attach(device, &none); /* that there is none is an answer too */
        return 0;
    }
    return ml_fail(err, ML_ERR_ARG, "there is no device \"%s\"; known: cpu, cuda, auto", name);
}

const char *ml_engine_device(const struct ml_engine *engine)
{
    return ml_device_name(engine->device);
}

int ml_engine_open(struct ml_engine **out, const struct ml_engine_options *options,
                   struct ml_error *err)
{
    enum ml_isa limit;
    int status = parse_isa(options ? options->isa : NULL, &limit, err);
    if (status != 0)
        return status;
    struct ml_engine *engine = ml_mem_calloc(1, sizeof *engine);
    if (!engine)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for an engine");
    status = ml_device_new(&engine->device, options ? options->threads : 0, limit, err);
    if (status == 0)
        status = attach(engine->device, options ? options->device : NULL, err);
    if (status != 0) {
        ml_device_free(engine->device);
        ml_mem_free(engine);
        return status;
    }
    *out = engine;
    return 0;
}

void ml_engine_close(struct ml_engine *engine)
{
    if (!engine)
        return;
    ml_device_free(engine->device);
    ml_mem_free(engine);
}

int ml_engine_threads(const struct ml_engine *engine)
{
    return ml_pool_threads(engine->device->pool);
}

/* ---- what this machine and this build can do ---- */

static const struct ml_part parts[] = {
    {"cairo", "loss curves as pictures (loss.png in a run's folder)", "libcairo2-dev",
#ifdef MALIANG_HAVE_CAIRO
     1, 0
#else
     0, 0
#endif
    },
    {"libcurl", "collecting from the web", "libcurl4-openssl-dev",
#ifdef MALIANG_HAVE_CURL
     1, 0
#else
     0, 0
#endif
    },
    {"zlib", "sitemaps and web archives that are packed by gzip", "zlib1g-dev",
#ifdef MALIANG_HAVE_ZLIB
     1, 0
#else
     0, 0
#endif
    },
    {"libarchive", "archives, office documents and e-books as material", "libarchive-dev",
#ifdef MALIANG_HAVE_ARCHIVE
     1, 0
#else
     0, 0
#endif
    },
    {"zstd", "compressed exports of datasets (jsonl.zst, Parquet)", "libzstd-dev",
#ifdef MALIANG_HAVE_ZSTD
     1, 0
#else
     0, 0
#endif
    },
    {"libpq", "workspaces in, and material from, a PostgreSQL server", "libpq-dev",
#ifdef MALIANG_HAVE_POSTGRES
     1, 0
#else
     0, 0
#endif
    },
    {"libseccomp", "what reads PDF and media locked up call by call", "libseccomp-dev",
#ifdef MALIANG_HAVE_SECCOMP
     1, 0
#else
     0, 0
#endif
    },
};

static const struct ml_part programs[] = {
    {"pdftotext", "PDF as material", "poppler-utils", 0, 1},
    {"ffmpeg", "measures of pictures, sound and film (curate)", "ffmpeg", 0, 1},
};

_Static_assert(sizeof parts + sizeof programs <= ML_PARTS * sizeof parts[0], "room for all");

static int list_parts(struct ml_part *out)
{
    char path[1024];
    int count = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        out[count++] = parts[i];
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        out[count] = programs[i];
        out[count++].present = ml_child_find(programs[i].name, path, sizeof path);
    }
    return count;
}

/* The first value of a line "name : value" of a /proc file; "" when there is none. */
static void proc_value(const char *path, const char *name, char *out, size_t size)
{
    char line[512];
    out[0] = 0;
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (!colon || strncmp(line, name, strlen(name)) != 0)
            continue;
        colon += 1 + strspn(colon + 1, " \t");
        colon[strcspn(colon, "\n")] = 0;
        snprintf(out, size, "%s", colon);
        break;
    }
    if (file)
        fclose(file);
}

static void list_features(char *out, size_t size)
{
    size_t at = 0;
    out[0] = 0;
#if defined(__x86_64__)
#define FEATURE(name)                                                                              \
    if (__builtin_cpu_supports(name) && at < size)                                                 \
        at += (size_t)snprintf(out + at, size - at, "%s%s", at ? " " : "", name);
    __builtin_cpu_init();
    FEATURE("avx2")
    FEATURE("fma")
    FEATURE("avx512f")
    FEATURE("avx512bw")
    FEATURE("avx512vl")
    FEATURE("avx512vnni")
    FEATURE("avx512bf16")
#undef FEATURE
#endif
    if (at == 0)
        snprintf(out, size, "none that the kernels use");
}

static const char *compiler(void)
{
#if defined(__clang__)
    return "clang " __clang_version__;
#elif defined(__GNUC__)
    return "gcc " __VERSION__;
#else
    return "an unknown compiler";
#endif
}

int ml_engine_info(struct ml_engine *engine, struct ml_system_info *out, struct ml_error *err)
{
    struct ml_system_info info = {0};
    const struct ml_kernels *k = &engine->device->kernels;
    unsigned long long kilobytes = 0;
    char value[64];
    (void)err;
    proc_value("/proc/cpuinfo", "model name", info.processor, sizeof info.processor);
    if (!info.processor[0])
        snprintf(info.processor, sizeof info.processor, "unknown");
    snprintf(info.isa, sizeof info.isa, "%s", k->name);
    snprintf(info.compiler, sizeof info.compiler, "%s", compiler());
    snprintf(info.version, sizeof info.version, "%s", MALIANG_VERSION);
    list_features(info.features, sizeof info.features);
    info.processors = ml_cpu_count();
    info.threads = ml_engine_threads(engine);
    info.bf16_hardware = ml_kernels_have_bf16(k);
    info.memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    proc_value("/proc/meminfo", "MemAvailable", value, sizeof value);
    if (sscanf(value, "%llu", &kilobytes) == 1)
        info.memory_free_bytes = kilobytes * 1024;
    info.part_count = list_parts(info.parts);
    *out = info;
    return 0;
}
