/* Host memory that has a copy on the accelerator: leaves of graphs, an optimiser's state. A mirror
 * is known by its host address and lives while somebody holds it.
 *
 * Which side is newer is known, and a copy is made only when the other side is asked for:
 *   - who writes to the host's side says ml_mirror_host_changed afterwards;
 *   - who reads the host's side says ml_mirror_fetch before;
 *   - who works on the device's side takes its address from ml_mirror_use, and says
 *     ml_mirror_remote_changed after writing there.
 * Plans do this for their leaves: a leaf that is no parameter and that no op writes to (tokens,
 * masks) is taken to be new in every run, the others when somebody said so.
 *
 * Without an accelerator all of these do nothing. Two mirrors must not overlap, except that one
 * address may be held with several sizes: the largest counts. */
#ifndef ML_TENSOR_MIRROR_H
#define ML_TENSOR_MIRROR_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/device.h"

/* Holds `bytes` at `host`, whose numbers count (nothing is on the device yet). Each hold is given
 * back by one drop; the last one frees the device's side, wherever newer numbers were. */
int ml_mirror_hold(struct ml_device *device, void *host, size_t bytes, struct ml_error *err);
void ml_mirror_drop(struct ml_device *device, void *host);

/* The device's side, current. The host address must be held. */
int ml_mirror_use(struct ml_device *device, void *host, void **memory, struct ml_error *err);
void ml_mirror_remote_changed(struct ml_device *device, void *host);
void ml_mirror_host_changed(struct ml_device *device, void *host);
/* Makes the host's side current. An address that is not held is current. */
int ml_mirror_fetch(struct ml_device *device, void *host, struct ml_error *err);

/* For device.c. */
int ml_mirrors_new(struct ml_mirrors **out, struct ml_error *err);
void ml_mirrors_free(struct ml_device *device);

#endif
