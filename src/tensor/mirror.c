/* The table of mirrors: sorted by host address. */
#include "tensor/mirror.h"

#include <string.h>

#include "base/arena.h"
#include "base/fail.h"

struct mirror {
    char *host;
    void *memory;
    size_t bytes;
    int holds;
    bool host_newer, remote_newer;
};

struct ml_mirrors {
    struct mirror *items;
    int count, capacity;
};

int ml_mirrors_new(struct ml_mirrors **out, struct ml_error *err)
{
    *out = ml_mem_calloc(1, sizeof **out);
    return *out ? 0 : ml_fail(err, ML_ERR_MEMORY, "out of memory for a device");
}

void ml_mirrors_free(struct ml_device *device)
{
    struct ml_mirrors *m = device->mirrors;
    if (!m)
        return;
    for (int i = 0; i < m->count; i++)
        device->accelerator->release(device->state, m->items[i].memory);
    ml_mem_free(m->items);
    ml_mem_free(m);
    device->mirrors = NULL;
}

/* Where host is, or would be. */
static int place_of(const struct ml_mirrors *m, const char *host)
{
    int low = 0, high = m->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (m->items[middle].host < host)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct mirror *find(const struct ml_device *device, const void *host)
{
    const struct ml_mirrors *m = device->mirrors;
    if (!m || !host)
        return NULL;
    int at = place_of(m, host);
    return at < m->count && m->items[at].host == host ? &m->items[at] : NULL;
}

/* One more item at its place, still empty. */
static struct mirror *insert(struct ml_mirrors *m, char *host)
{
    if (m->count == m->capacity) {
        int capacity = m->capacity ? 2 * m->capacity : 64;
        struct mirror *items = ml_mem_realloc(m->items, (size_t)capacity * sizeof *items);
        if (!items)
            return NULL;
        m->items = items;
        m->capacity = capacity;
    }
    int at = place_of(m, host);
    memmove(m->items + at + 1, m->items + at, (size_t)(m->count - at) * sizeof *m->items);
    m->count++;
    m->items[at] = (struct mirror){.host = host, .host_newer = true};
    return &m->items[at];
}

static void remove_item(struct ml_mirrors *m, struct mirror *item)
{
    size_t after = (size_t)(m->items + m->count - (item + 1));
    memmove(item, item + 1, after * sizeof *item);
    if (--m->count > 0)
        return;
    ml_mem_free(m->items); /* nothing is kept when nobody holds anything */
    m->items = NULL;
    m->capacity = 0;
}

static int download(struct ml_device *device, struct mirror *item, struct ml_error *err)
{
    int status =
        device->accelerator->download(device->state, item->host, item->memory, item->bytes, err);
    if (status == 0)
        item->remote_newer = false;
    return status;
}

/* More bytes at the same address: the numbers go by way of the host. */
static int grow(struct ml_device *device, struct mirror *item, size_t bytes, struct ml_error *err)
{
    void *memory = NULL;
    int status = item->remote_newer ? download(device, item, err) : 0;
    if (status == 0)
        status = device->accelerator->alloc(device->state, &memory, bytes, err);
    if (status != 0)
        return status;
    device->accelerator->release(device->state, item->memory);
    item->memory = memory;
    item->bytes = bytes;
    item->host_newer = true;
    return 0;
}

int ml_mirror_hold(struct ml_device *device, void *host, size_t bytes, struct ml_error *err)
{
    if (!device->mirrors)
        return 0;
    struct mirror *item = find(device, host);
    bool made = !item;
    if (made)
        item = insert(device->mirrors, host);
    if (!item)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for a device's table");
    int status = made || bytes > item->bytes ? grow(device, item, bytes, err) : 0;
    if (status == 0)
        item->holds++;
    else if (made)
        remove_item(device->mirrors, item);
    return status;
}

void ml_mirror_drop(struct ml_device *device, void *host)
{
    struct mirror *item = find(device, host);
    if (!item || --item->holds > 0)
        return;
    device->accelerator->release(device->state, item->memory);
    remove_item(device->mirrors, item);
}

int ml_mirror_use(struct ml_device *device, void *host, void **memory, struct ml_error *err)
{
    struct mirror *item = find(device, host);
    if (!item)
        return ml_fail(err, ML_ERR_STATE, "memory without a mirror was to be used on a device");
    if (item->host_newer) {
        int status =
            device->accelerator->upload(device->state, item->memory, host, item->bytes, err);
        if (status != 0)
            return status;
        item->host_newer = false;
    }
    *memory = item->memory;
    return 0;
}

void ml_mirror_remote_changed(struct ml_device *device, void *host)
{
    struct mirror *item = find(device, host);
    if (item) {
        item->remote_newer = true;
        item->host_newer = false;
    }
}

void ml_mirror_host_changed(struct ml_device *device, void *host)
{
    struct mirror *item = find(device, host);
    if (item) {
        item->host_newer = true;
        item->remote_newer = false;
    }
}

int ml_mirror_fetch(struct ml_device *device, void *host, struct ml_error *err)
{
    struct mirror *item = find(device, host);
    return item && item->remote_newer ? download(device, item, err) : 0;
}
