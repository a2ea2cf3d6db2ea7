#include "data/archive_members.h"

#include <string.h>

#include "base/fail.h"
#include "data/readers.h"
#include "maliang_config.h"

#ifndef MALIANG_HAVE_ARCHIVE

int ml_archive_members(const struct ml_reader_input *input, const struct ml_reader_limits *limits,
                       bool (*wanted)(void *arg, const char *name),
                       const struct ml_reader_sink *sink, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_UNSUPPORTED,
                   "%s: opening archives needs libarchive, which this build lacks; install the "
                   "package libarchive-dev and build again",
                   input->uri);
}

#else

#include <archive.h>
#include <archive_entry.h>
#include <iconv.h>
#include <locale.h>
#include <stdio.h>

#include "base/utf8.h"

#define MAX_NAME 4096

struct unpacking {
    const struct ml_reader_input *input;
    const struct ml_reader_limits *limits;
    const struct ml_reader_sink *sink;
    bool (*wanted)(void *arg, const char *name);
    struct archive *archive;
    locale_t locale; /* names are converted by the thread's locale; 0: there is no UTF-8 one */
    struct ml_buffer bytes, name;
    uint64_t total, members, given, locked;
    bool single; /* a compressed file that is no archive */
};

static int fail_limit(const struct unpacking *u, struct ml_error *err)
{
    if (u->total > u->limits->max_out_bytes)
        return ml_fail(err, ML_ERR_LIMIT,
                       "%s: unpacks to more than %llu bytes, like an archive bomb; unpack it "
                       "yourself if you trust it",
                       u->input->uri, (unsigned long long)u->limits->max_out_bytes);
    return ml_fail(err, ML_ERR_LIMIT,
                   "%s: unpacks to more than %d times its size, like an archive bomb; unpack it "
                   "yourself if you trust it",
                   u->input->uri, ML_ARCHIVE_MAX_RATIO);
}

static bool is_bomb(const struct unpacking *u)
{
    return u->total > u->limits->max_out_bytes ||
           (u->total > ML_ARCHIVE_RATIO_FREE && u->total / ML_ARCHIVE_MAX_RATIO > u->input->size);
}

static int fail_damaged(const struct unpacking *u, struct ml_error *err)
{
    const char *why = archive_error_string(u->archive);
    return ml_fail(err, ML_ERR_FORMAT, "%s: cannot be unpacked: %.200s", u->input->uri,
                   why ? why : "damaged");
}

static void leave_out(const struct unpacking *u, const char *why)
{
    u->sink->left_out(u->sink->arg, u->name.size ? u->name.data : "a member", why);
}

/* ---- names ---- */

/* Names that are no UTF-8 are mostly GB18030 (archives made on Chinese Windows). */
static bool name_from_gb18030(struct unpacking *u, const char *raw, int *status,
                              struct ml_error *err)
{
    char text[3 * MAX_NAME + 4], *to = text, *from = (char *)(uintptr_t)raw;
    size_t left = strlen(raw), room = sizeof text;
    iconv_t converter = iconv_open("UTF-8", "GB18030");
    if (converter == (iconv_t)-1)
        return false;
    bool converted = iconv(converter, &from, &left, &to, &room) != (size_t)-1 && left == 0;
    iconv_close(converter);
    if (converted)
        *status = ml_buffer_put(&u->name, text, (size_t)(to - text), err);
    return converted;
}

static int name_as_hex(struct unpacking *u, const char *raw, struct ml_error *err)
{
    int status = 0;
    for (const char *c = raw; *c && status == 0; c++)
        status = (unsigned char)*c < 0x80
                     ? ml_buffer_put(&u->name, c, 1, err)
                     : ml_buffer_printf(&u->name, err, "%%%02X", (unsigned)(unsigned char)*c);
    return status;
}

/* The name of a compressed single file: its own without the ending that tells the compression. */
static int name_of_single(struct unpacking *u, struct ml_error *err)
{
    size_t n;
    const char *uri = u->input->uri, *ending = ml_reader_ending(uri, &n);
    const char *end = n ? ending - 1 : ending, *name = end;
    while (name > uri && name[-1] != '/')
        name--;
    bool tar = n == 3 && strchr("tT", ending[0]) && strchr("gGxXbB", ending[1]);
    return name == end ? ml_buffer_put(&u->name, "data", 4, err)
                       : ml_buffer_printf(&u->name, err, "%.*s%s", (int)(end - name), name,
                                          tar ? ".tar" : "");
}

static int find_name(struct unpacking *u, struct archive_entry *entry, struct ml_error *err)
{
    const char *raw = archive_entry_pathname(entry);
    int status = 0;
    u->name.size = 0;
    if (u->single)
        return name_of_single(u, err);
    if (!raw)
        raw = archive_entry_pathname_utf8(entry);
    if (!raw || strlen(raw) > MAX_NAME)
        return 0;
    while (raw[0] == '.' && raw[1] == '/')
        raw += 2;
    if (ml_utf8_valid(raw, strlen(raw)))
        return ml_buffer_put(&u->name, raw, strlen(raw), err);
    return name_from_gb18030(u, raw, &status, err) ? status : name_as_hex(u, raw, err);
}

/* Whether a part of the path fits: "..", or hidden. */
static bool has_part(const char *name, bool (*fits)(const char *part, size_t n))
{
    for (const char *part = name; part;) {
        size_t n = strcspn(part, "/\\");
        if (fits(part, n))
            return true;
        part = part[n] ? part + n + 1 : NULL;
    }
    return false;
}

static bool is_parent(const char *part, size_t n)
{
    return n == 2 && memcmp(part, "..", 2) == 0;
}

static bool is_hidden(const char *part, size_t n)
{
    return (n > 1 && part[0] == '.' && part[1] != '.') ||
           (n == 8 && memcmp(part, "__MACOSX", 8) == 0);
}

static const char *fault_of(struct unpacking *u, struct archive_entry *entry)
{
    const char *name = u->name.size ? u->name.data : "";
    if (!*name)
        return "it has no name, or one that is too long";
    if (name[0] == '/' || name[0] == '\\' ||
        (name[0] && name[1] == ':' && (name[2] == '\\' || name[2] == '/')))
        return "its name is an absolute path";
    if (has_part(name, is_parent))
        return "its name climbs out of the archive";
    if (archive_entry_hardlink(entry) || archive_entry_filetype(entry) == AE_IFLNK)
        return "it is a link";
    if (archive_entry_filetype(entry) != AE_IFREG && !u->single)
        return "it is neither a file nor a folder";
    if (archive_entry_is_encrypted(entry))
        return "it is encrypted; unpack the archive with its password first";
    return NULL;
}

/* ---- bytes ---- */

/* Unpacks the member at hand; with keep false only counts what comes out. *fault: why it cannot be
 * used. */
static int read_bytes(struct unpacking *u, bool keep, const char **fault, struct ml_error *err)
{
    char chunk[65536];
    int status = 0;
    u->bytes.size = 0;
    for (;;) {
        la_ssize_t got = archive_read_data(u->archive, chunk, sizeof chunk);
        if (got == ARCHIVE_RETRY)
            continue;
        if (got == ARCHIVE_FATAL)
            return fail_damaged(u, err);
        if (got < 0) {
            *fault = "it is damaged";
            return 0;
        }
        if (got == 0)
            return 0;
        u->total += (uint64_t)got;
        if (is_bomb(u))
            return fail_limit(u, err);
        if (keep && u->bytes.size + (uint64_t)got > ML_ARCHIVE_MAX_MEMBER) {
            *fault = "it is larger than 256 MB";
            keep = false;
        }
        if (keep)
            status = ml_buffer_put(&u->bytes, chunk, (size_t)got, err);
        if (status)
            return status;
    }
}

/* Over a member that is not wanted. A ZIP file is jumped about in; elsewhere all bytes pass by, and
 * a bomb must not keep us busy. */
static int pass_over(struct unpacking *u, struct ml_error *err)
{
    const char *fault = NULL;
    if ((archive_format(u->archive) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_ZIP) {
        if (archive_read_data_skip(u->archive) == ARCHIVE_FATAL)
            return fail_damaged(u, err);
        return 0;
    }
    return read_bytes(u, false, &fault, err);
}

static int take(struct unpacking *u, struct archive_entry *entry, struct ml_error *err)
{
    int status = find_name(u, entry, err);
    if (status || (!u->single && archive_entry_filetype(entry) == AE_IFDIR))
        return status;
    const char *fault = fault_of(u, entry);
    bool hidden = u->name.size && has_part(u->name.data, is_hidden);
    u->locked += archive_entry_is_encrypted(entry) != 0;
    if (fault && !hidden)
        leave_out(u, fault);
    if (fault || hidden || (u->wanted && !u->wanted(u->sink->arg, u->name.data)))
        return pass_over(u, err);
    status = read_bytes(u, true, &fault, err);
    if (status == 0 && fault)
        leave_out(u, fault);
    if (status || fault)
        return status;
    const struct ml_member member = {
        .name = u->name.data, .bytes = u->bytes.data, .size = u->bytes.size};
    u->given++;
    return u->sink->member(u->sink->arg, &member, err);
}

/* ---- the archive ---- */

/* The next header, read in a locale that knows UTF-8 whatever the program's own is. */
static int next_header(struct unpacking *u, struct archive_entry **entry)
{
    locale_t before = u->locale ? uselocale(u->locale) : (locale_t)0;
    int got;
    do
        got = archive_read_next_header(u->archive, entry);
    while (got == ARCHIVE_RETRY);
    if (u->locale)
        uselocale(before);
    return got;
}

static int open_archive(struct unpacking *u)
{
    struct archive *a = u->archive;
    /* By name, not "all": some filters start other programs. */
    archive_read_support_filter_gzip(a);
    archive_read_support_filter_bzip2(a);
    archive_read_support_filter_xz(a);
    archive_read_support_filter_lzma(a);
    archive_read_support_filter_zstd(a);
    archive_read_support_format_zip(a);
    archive_read_support_format_tar(a);
    archive_read_support_format_7zip(a);
    archive_read_support_format_raw(a);
    return archive_read_open_memory(a, u->input->bytes, u->input->size);
}

static int each_member(struct unpacking *u, struct ml_error *err)
{
    struct archive_entry *entry;
    int status = 0, got;
    while (status == 0 && (got = next_header(u, &entry)) != ARCHIVE_EOF) {
        if (got == ARCHIVE_FATAL || got == ARCHIVE_FAILED)
            return fail_damaged(u, err);
        u->single = archive_format(u->archive) == ARCHIVE_FORMAT_RAW;
        if (u->single && archive_filter_code(u->archive, 0) == ARCHIVE_FILTER_NONE)
            return ml_fail(err, ML_ERR_FORMAT, "%s: not an archive, or a damaged one",
                           u->input->uri);
        if (++u->members > u->limits->max_members)
            return ml_fail(err, ML_ERR_LIMIT, "%s: more than %llu members in the archive",
                           u->input->uri, (unsigned long long)u->limits->max_members);
        status = take(u, entry, err);
    }
    if (status == 0 && u->given == 0 && u->locked > 0)
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s: the archive is encrypted; unpack it with its password first",
                       u->input->uri);
    return status;
}

int ml_archive_members(const struct ml_reader_input *input, const struct ml_reader_limits *limits,
                       bool (*wanted)(void *arg, const char *name),
                       const struct ml_reader_sink *sink, struct ml_error *err)
{
    struct unpacking u = {.input = input,
                          .limits = limits,
                          .sink = sink,
                          .wanted = wanted,
                          .locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0),
                          .archive = archive_read_new()};
    int status = 0;
    if (!u.archive)
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory opening %s", input->uri);
    else if (open_archive(&u) != ARCHIVE_OK)
        status = fail_damaged(&u, err);
    if (status == 0)
        status = each_member(&u, err);
    if (u.archive)
        archive_read_free(u.archive);
    if (u.locale)
        freelocale(u.locale);
    ml_buffer_clear(&u.bytes);
    ml_buffer_clear(&u.name);
    return status;
}

#endif

static int read_archive(const struct ml_reader_input *input, const struct ml_reader_limits *limits,
                        const struct ml_reader_sink *sink, struct ml_error *err)
{
    return ml_archive_members(input, limits, NULL, sink, err);
}

bool ml_looks_like_archive(const char *bytes, size_t n)
{
    static const struct {
        const char *magic;
        size_t at, n;
    } marks[] = {
        {"PK\3\4", 0, 4},
        {"\x1f\x8b\x08", 0, 3},
        {"BZh", 0, 3},
        {"\xFD"
         "7zXZ\0",
         0, 6},
        {"\x28\xB5\x2F\xFD", 0, 4},
        {"7z\xBC\xAF\x27\x1C", 0, 6},
        {"ustar", 257, 5},
    };
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (n >= marks[i].at + marks[i].n &&
            memcmp(bytes + marks[i].at, marks[i].magic, marks[i].n) == 0)
            return true;
    return false;
}

const struct ml_reader ml_reader_archive = {
    .name = "archive 1",
    .endings = (const char *const[]){"zip", "tar", "tgz", "txz", "tbz", "tbz2", "tzst", "gz", "bz2",
                                     "xz", "zst", "lzma", "7z", NULL},
    .types = (const char *const[]){"application/zip", "application/x-tar", "application/gzip",
                                   "application/x-gzip", "application/x-bzip2", "application/x-xz",
                                   "application/zstd", "application/x-7z-compressed", NULL},
    .read = read_archive,
};
