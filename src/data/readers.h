/* The table of readers: which of them takes a file, by its name's ending, by the media type that
 * its source states, or by its first bytes. */
#ifndef ML_DATA_READERS_H
#define ML_DATA_READERS_H

#include "data/reader.h"

/* The reader for these bytes, or NULL: text, or nothing that is known. A stated type goes before
 * the ending and the ending before the bytes: a .docx is a ZIP file too. */
const struct ml_reader *ml_reader_find(const struct ml_reader_input *input);

/* Where zero means default, the default. */
struct ml_reader_limits ml_reader_limits_or_default(const struct ml_reader_limits *limits);

/* The ending of the last part of a path or URL, without the dot and what follows ? or #; *n is 0
 * when it has none. Not NUL-terminated. */
const char *ml_reader_ending(const char *uri, size_t *n);

/* Whether the first bytes are of such a file. */
bool ml_looks_like_archive(const char *bytes, size_t n);
bool ml_looks_like_pdf(const char *bytes, size_t n);

extern const struct ml_reader ml_reader_archive;
extern const struct ml_reader ml_reader_csv;
extern const struct ml_reader ml_reader_json;
extern const struct ml_reader ml_reader_markdown;
extern const struct ml_reader ml_reader_media;
extern const struct ml_reader ml_reader_office;
extern const struct ml_reader ml_reader_pdf;
extern const struct ml_reader ml_reader_subtitle;
/* Not in the table: they read what a user names by a scheme. */
extern const struct ml_reader ml_reader_emoji;
extern const struct ml_reader ml_reader_postgres;
extern const struct ml_reader ml_reader_sqlite;

#endif
