/* TensorBoard event files: scalars by tag and step, written by hand (TFRecord framing, and the few
 * protobuf messages that scalars need; tensorflow/core/util/event.proto, framework/summary.proto).
 *
 * One folder has one file, which a resumed run continues: a record that was cut off by a crash is
 * removed, and a session mark tells TensorBoard to forget what the lost part had shown. */
#ifndef ML_TRAIN_TENSORBOARD_H
#define ML_TRAIN_TENSORBOARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "maliang/error.h"

#define ML_TENSORBOARD_FILE    "events.out.tfevents.0000000000.maliang"
#define ML_TENSORBOARD_MAX_TAG 256 /* bytes */

struct ml_tensorboard {
    char *path;
    int file; /* descriptor, -1 when closed; a zeroed struct counts as closed as well */
    struct ml_buffer pending;
};

/* Makes the folder and the file, or continues the file that is there. next_step is the first step
 * that this session will write (0 in a fresh run): what the file shows from that step on no longer
 * counts. */
int ml_tensorboard_open(struct ml_tensorboard *out, const char *folder, int64_t next_step,
                        struct ml_error *err);
/* Buffered; tags are UTF-8 such as "loss/train". NaN and infinities are written as they are. */
int ml_tensorboard_scalar(struct ml_tensorboard *board, const char *tag, int64_t step, double value,
                          struct ml_error *err);
/* Hands what is buffered to the system, so that TensorBoard sees it. */
int ml_tensorboard_flush(struct ml_tensorboard *board, struct ml_error *err);
/* Flushes and closes; closed in either case. Accepts NULL and a zeroed struct. */
int ml_tensorboard_close(struct ml_tensorboard *board, struct ml_error *err);

/* CRC-32C (Castagnoli), and as TFRecord masks it. */
uint32_t ml_crc32c(const void *bytes, size_t n);
uint32_t ml_crc32c_masked(const void *bytes, size_t n);

/* How many leading bytes are whole, sound records. */
size_t ml_tensorboard_sound(const uint8_t *bytes, size_t size);

#endif
