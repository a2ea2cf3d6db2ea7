/* XML, one event after another, for feeds, sitemaps, OPML and the parts of office files. Namespaces
 * are resolved (XML Namespaces 1.0); tags must match and values be quoted. What authors commonly
 * get wrong is let through where it can mean one thing only: a bare '&', entities of HTML (both
 * stay as they are written), prefixes that nothing declares.
 *
 * A document type declaration is passed over: no entity but the five of XML is ever replaced, and
 * nothing outside of the bytes is read. Nothing here calls itself, however deep elements lie. */
#ifndef ML_DATA_XML_SCAN_H
#define ML_DATA_XML_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "data/text_decode.h"
#include "maliang/error.h"

/* Zero means default. */
struct ml_xml_limits {
    size_t max_bytes;   /* of the document as UTF-8; 0: 64 MiB */
    int max_depth;      /* 0: 256 */
    int max_attributes; /* of one element; 0: 256 */
};

enum ml_xml_event {
    ML_XML_END,   /* nothing follows */
    ML_XML_OPEN,  /* <name ...>; of <name/> as well, its close follows */
    ML_XML_CLOSE, /* </name> */
    ML_XML_TEXT,  /* between tags: everything up to the next tag, CDATA and characters resolved */
};

struct ml_xml_attribute {
    const char *space; /* URI of its namespace; "": none */
    const char *name;  /* without its prefix */
    const char *value;
};

struct ml_xml_binding;
struct ml_xml_open;

struct ml_xml {
    /* The event at hand, borrowed until the next one. */
    enum ml_xml_event event;
    const char *space; /* OPEN, CLOSE: URI of the namespace; "": none; the prefix itself when
                          nothing declares it */
    const char *name;  /* OPEN, CLOSE: without its prefix */
    const char *text;  /* TEXT */
    size_t size;
    const struct ml_xml_attribute *attributes; /* OPEN */
    size_t attribute_count;
    int depth;    /* of the element that opens, closes or holds the text; the root's is 1 */
    size_t start; /* offset of the event's first byte within `source` */

    const char *source; /* the document as UTF-8 */
    size_t length, at;

    /* Inside. */
    struct ml_xml_limits limits;
    struct ml_decoded decoded;
    struct ml_buffer converted;
    struct ml_buffer scratch;   /* names, values and text of the event */
    struct ml_buffer list;      /* struct ml_xml_attribute[] */
    struct ml_buffer elements;  /* stack: struct ml_xml_open[] */
    struct ml_buffer bindings;  /* stack: struct ml_xml_binding[] */
    struct ml_buffer addresses; /* stack: the URIs of the bindings */
    bool empty;                 /* the element at hand was <name/> */
    bool closed;                /* the event at hand closes an element that is still on the stack */
    bool rooted;                /* the root was opened */
};

/* The bytes are borrowed until it is closed: UTF-8, UTF-16 with its mark, GB18030, or what the XML
 * declaration names of other common encodings. limits may be NULL. ML_ERR_FORMAT: this is no text;
 * ML_ERR_LIMIT. Needs no close after a failure. */
int ml_xml_open(struct ml_xml *xml, const char *bytes, size_t n, const struct ml_xml_limits *limits,
                struct ml_error *err);
void ml_xml_close(struct ml_xml *xml); /* accepts NULL, and a zeroed one */

/* 1: an event; 0: the end; negative: not well-formed (with the line), over a limit, or out of
 * memory. */
int ml_xml_next(struct ml_xml *xml, struct ml_error *err);

/* The three below begin at an OPEN and go to its CLOSE, which is the event at hand afterwards. */
int ml_xml_skip(struct ml_xml *xml, struct ml_error *err);
/* Appends all text within, that of the elements inside too. */
int ml_xml_read_text(struct ml_xml *xml, struct ml_buffer *out, struct ml_error *err);
/* The markup between the two tags as it is written, borrowed until the reader is closed. */
int ml_xml_read_inner(struct ml_xml *xml, const char **markup, size_t *n, struct ml_error *err);

/* The value of an attribute of the OPEN at hand; NULL: absent. space "": of no namespace; NULL: of
 * any. */
const char *ml_xml_get(const struct ml_xml *xml, const char *space, const char *name);
/* Whether the element at hand has this name (space as above). */
bool ml_xml_is(const struct ml_xml *xml, const char *space, const char *name);
/* The root element's namespace and name (cut to fit; "" each when these bytes are no XML), for
 * those who must tell what a document is. */
void ml_xml_root(const char *bytes, size_t n, char space[128], char name[64]);
/* The line of the event at hand, from 1. */
size_t ml_xml_line(const struct ml_xml *xml);

#endif
