/* WARC 1.0 and 1.1 (ISO 28500), packed record by record in gzip or not: the pages of a crawl as
 * members, named by their addresses. Members are what records `response` (of status 2xx, with
 * chunks and packing undone), `resource` and `conversion` hold; other kinds are about the crawl and
 * passed over. A page whose headers deny training is left out. Behind a damaged record reading goes
 * on with the next that can be found. */
#ifndef ML_DATA_WARC_H
#define ML_DATA_WARC_H

#include "data/reader.h"

extern const struct ml_reader ml_reader_warc; /* "warc 1" */

#endif
