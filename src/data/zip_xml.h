/* XML within office documents, one event after another. Only what those need: UTF-8, numbered
 * entities, those of XML and the few of HTML that e-books use, CDATA; no document types, no
 * namespaces (names lose their prefix). */
#ifndef ML_DATA_ZIP_XML_H
#define ML_DATA_ZIP_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "maliang/error.h"

#define ML_ZIP_XML_MAX_DEPTH      256
#define ML_ZIP_XML_MAX_ATTRIBUTES 64 /* of an element; more are passed over */

enum ml_zip_xml_event { ML_ZIP_XML_OPEN, ML_ZIP_XML_CLOSE, ML_ZIP_XML_TEXT };

struct ml_zip_xml {
    /* The event at hand, borrowed until the next. */
    enum ml_zip_xml_event event;
    const char *name; /* OPEN, CLOSE: without its prefix */
    const char *text; /* TEXT: entities resolved */
    size_t size;
    int depth; /* of the element that opens or closes; the root's is 1 */

    const char *source;
    size_t length, at;
    bool empty; /* <name/>: its close is next */
    struct ml_buffer scratch;
    struct {
        size_t name, value; /* in scratch */
    } attributes[ML_ZIP_XML_MAX_ATTRIBUTES];
    int attribute_count;
};
/* The bytes are borrowed, UTF-8. */
void ml_zip_xml_open(struct ml_zip_xml *xml, const char *bytes, size_t n);
void ml_zip_xml_close(struct ml_zip_xml *xml);
/* 1: an event; 0: the end; negative: out of memory, or ML_ERR_FORMAT: not well-formed, too deep. */
int ml_zip_xml_next(struct ml_zip_xml *xml, struct ml_error *err);
/* An attribute of the element that just opened, by its name without prefix, or with it when the
 * name has one ("r:id"); NULL: it has none. */
const char *ml_zip_xml_get(const struct ml_zip_xml *xml, const char *name);

#endif
