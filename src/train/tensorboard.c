#include "train/tensorboard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/files.h"
#include "base/utf8.h"

#define FLUSH_AT   ((size_t)64 << 10)  /* bytes that are buffered at most */
#define MAX_RECORD ((uint64_t)1 << 24) /* longer ones are not ours: damage */
#define MAX_EVENT  (ML_TENSORBOARD_MAX_TAG + 128)

/* Reflected polynomial of CRC-32C (RFC 3720 appendix B.4). Records are some fifty bytes: no table
 * is worth its start. */
uint32_t ml_crc32c(const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return ~crc;
}

uint32_t ml_crc32c_masked(const void *bytes, size_t n)
{
    uint32_t crc = ml_crc32c(bytes, n);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* One protobuf message in the making. */
struct message {
    uint8_t bytes[MAX_EVENT];
    size_t size;
};

static void put_fixed(struct message *m, uint64_t value, int size)
{
    for (int i = 0; i < size; i++)
        m->bytes[m->size++] = (uint8_t)(value >> (8 * i));
}

static void put_varint(struct message *m, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        m->bytes[m->size++] = (uint8_t)(value | 0x80);
    m->bytes[m->size++] = (uint8_t)value;
}

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

static void put_field(struct message *m, int number, enum wire wire)
{
    put_varint(m, (uint64_t)number << 3 | (uint64_t)wire);
}

static void put_bytes(struct message *m, int number, const void *bytes, size_t n)
{
    put_field(m, number, WIRE_BYTES);
    put_varint(m, n);
    memcpy(m->bytes + m->size, bytes, n);
    m->size += n;
}

/* Event { double wall_time = 1; int64 step = 2; ... } */
static void begin_event(struct message *m, int64_t step)
{
    struct timespec now;
    double seconds;
    uint64_t bits;
    clock_gettime(CLOCK_REALTIME, &now);
    seconds = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    memcpy(&bits, &seconds, 8);
    m->size = 0;
    put_field(m, 1, WIRE_FIXED64);
    put_fixed(m, bits, 8);
    put_field(m, 2, WIRE_VARINT);
    put_varint(m, (uint64_t)step);
}

/* TFRecord: length, its masked CRC, the message, its masked CRC. */
static int put_record(struct ml_tensorboard *board, const struct message *m, struct ml_error *err)
{
    struct message head = {.size = 0}, tail = {.size = 0};
    put_fixed(&head, m->size, 8);
    put_fixed(&head, ml_crc32c_masked(head.bytes, 8), 4);
    put_fixed(&tail, ml_crc32c_masked(m->bytes, m->size), 4);
    int rc = ml_buffer_reserve(&board->pending, board->pending.size + m->size + 16, err);
    if (rc == 0)
        rc = ml_buffer_put(&board->pending, head.bytes, head.size, err);
    if (rc == 0)
        rc = ml_buffer_put(&board->pending, m->bytes, m->size, err);
    if (rc == 0)
        rc = ml_buffer_put(&board->pending, tail.bytes, tail.size, err);
    return rc;
}

static uint64_t little_endian(const uint8_t *bytes, int size)
{
    uint64_t out = 0;
    for (int i = size - 1; i >= 0; i--)
        out = out << 8 | bytes[i];
    return out;
}

size_t ml_tensorboard_sound(const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    while (size - at >= 16) {
        const uint8_t *record = bytes + at;
        uint64_t n = little_endian(record, 8);
        if (n > MAX_RECORD || n > size - at - 16 ||
            little_endian(record + 8, 4) != ml_crc32c_masked(record, 8) ||
            little_endian(record + 12 + n, 4) != ml_crc32c_masked(record + 12, (size_t)n))
            break;
        at += 16 + (size_t)n;
    }
    return at;
}

static int fail_errno(const struct ml_tensorboard *board, const char *tried, struct ml_error *err)
{
    char reason[128];
    return ml_fail(err, ML_ERR_IO, "%s: cannot %s: %s", board->path, tried,
                   strerror_r(errno, reason, sizeof reason));
}

/* Cuts off what a crash left half-written; *kept is what remains. */
static int drop_torn(struct ml_tensorboard *board, size_t *kept, struct ml_error *err)
{
    struct ml_file_map map = {0};
    int rc = ml_file_map_open(&map, board->path, err);
    if (rc != 0)
        return rc;
    size_t sound = ml_tensorboard_sound(map.data, map.size), size = map.size;
    ml_file_map_close(&map);
    if (sound == 0 && size >= 64) /* longer than our first record: not a crash at the start */
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s: not an event file, or damaged from its first record; move it away",
                       board->path);
    if (sound < size && ftruncate(board->file, (off_t)sound) != 0)
        return fail_errno(board, "cut off its torn end", err);
    *kept = sound;
    return 0;
}

/* A new file says its version first; a continued one says from which step on it starts again
 * (SessionLog { status = START }), which makes TensorBoard drop later steps that it has seen. */
static int put_start(struct ml_tensorboard *board, bool fresh, int64_t next_step,
                     struct ml_error *err)
{
    static const uint8_t session_start[] = {1 << 3 | WIRE_VARINT, 1};
    static const char version[] = "brain.Event:2";
    struct message m;
    begin_event(&m, fresh ? 0 : next_step);
    if (fresh)
        put_bytes(&m, 3, version, sizeof version - 1);
    else
        put_bytes(&m, 7, session_start, sizeof session_start);
    return put_record(board, &m, err);
}

int ml_tensorboard_open(struct ml_tensorboard *out, const char *folder, int64_t next_step,
                        struct ml_error *err)
{
    struct ml_tensorboard board = {.file = -1};
    struct ml_buffer path = {0};
    size_t kept = 0;
    int rc = ml_dir_make(folder, err);
    if (rc == 0)
        rc = ml_buffer_printf(&path, err, "%s/%s", folder, ML_TENSORBOARD_FILE);
    board.path = path.data;
    if (rc == 0) {
        board.file = open(board.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        if (board.file < 0)
            rc = fail_errno(&board, "open it", err);
    }
    if (rc == 0)
        rc = drop_torn(&board, &kept, err);
    if (rc == 0)
        rc = put_start(&board, kept == 0, next_step, err);
    if (rc == 0)
        rc = ml_tensorboard_flush(&board, err);
    if (rc == 0) {
        *out = board;
        return 0;
    }
    board.pending.size = 0;
    ml_tensorboard_close(&board, NULL);
    return rc;
}

int ml_tensorboard_scalar(struct ml_tensorboard *board, const char *tag, int64_t step, double value,
                          struct ml_error *err)
{
    struct message inner = {.size = 0}, summary = {.size = 0}, event;
    float single = (float)value;
    uint32_t bits;
    size_t n = strlen(tag);
    if (n == 0 || n > ML_TENSORBOARD_MAX_TAG || !ml_utf8_valid(tag, n))
        return ml_fail(err, ML_ERR_ARG,
                       "%s: the tag \"%s\" is empty, longer than %d bytes or not "
                       "UTF-8",
                       board->path, tag, ML_TENSORBOARD_MAX_TAG);
    memcpy(&bits, &single, 4);
    put_bytes(&inner, 1, tag, n); /* Summary.Value { tag = 1; simple_value = 2 } */
    put_field(&inner, 2, WIRE_FIXED32);
    put_fixed(&inner, bits, 4);
    put_bytes(&summary, 1, inner.bytes, inner.size); /* Summary { value = 1 } */
    begin_event(&event, step);
    put_bytes(&event, 5, summary.bytes, summary.size);
    int rc = put_record(board, &event, err);
    if (rc == 0 && board->pending.size >= FLUSH_AT)
        rc = ml_tensorboard_flush(board, err);
    return rc;
}

int ml_tensorboard_flush(struct ml_tensorboard *board, struct ml_error *err)
{
    size_t at = 0;
    int rc = 0;
    while (rc == 0 && at < board->pending.size) {
        ssize_t n = write(board->file, board->pending.data + at, board->pending.size - at);
        if (n >= 0)
            at += (size_t)n;
        else if (errno != EINTR)
            rc = fail_errno(board, "write to it (is the disk full?)", err);
    }
    /* What was written stays written: a later flush goes on in the middle of a record. */
    if (at > 0) {
        memmove(board->pending.data, board->pending.data + at, board->pending.size - at);
        board->pending.size -= at;
    }
    return rc;
}

int ml_tensorboard_close(struct ml_tensorboard *board, struct ml_error *err)
{
    int rc = 0;
    if (!board || !board->path)
        return 0;
    if (board->file >= 0) {
        rc = ml_tensorboard_flush(board, err);
        if (close(board->file) != 0 && rc == 0)
            rc = fail_errno(board, "close it", err);
    }
    ml_buffer_clear(&board->pending);
    ml_mem_free(board->path);
    *board = (struct ml_tensorboard){.file = -1};
    return rc;
}
