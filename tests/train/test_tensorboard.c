/* TensorBoard event files: framing, messages, and a file that goes on after kill -9. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/files.h"
#include "train/tensorboard.h"

static char folder[256], path[320];

static int setup(void **state)
{
    const char *root = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/maliang-board-XXXXXX", root ? root : "/tmp");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/%s", folder, ML_TENSORBOARD_FILE);
    return 0;
}

static int teardown(void **state)
{
    return ml_dir_remove(folder, NULL);
}

/* RFC 3720 appendix B.4, and the usual check value. */
static void crc_known_answers(void **state)
{
    uint8_t bytes[32];
    assert_int_equal(ml_crc32c("123456789", 9), 0xe3069283u);
    assert_int_equal(ml_crc32c("", 0), 0);
    memset(bytes, 0, 32);
    assert_int_equal(ml_crc32c(bytes, 32), 0x8a9136aau);
    memset(bytes, 0xff, 32);
    assert_int_equal(ml_crc32c(bytes, 32), 0x62a8ab43u);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(ml_crc32c(bytes, 32), 0x46dd794eu);
    /* Rotated by 15 and moved by the constant of the TFRecord format. */
    assert_int_equal(ml_crc32c_masked(bytes, 32),
                     ((0x46dd794eu >> 15) | (0x46dd794eu << 17)) + 0xa282ead8u);
}

/* What one event says, read back by a small protobuf reader of the test's own. */
struct event {
    double wall_time;
    int64_t step;
    char version[32], tag[300];
    float value;
    int has_value, session;
};

static uint64_t varint(const uint8_t **at)
{
    uint64_t out = 0;
    int shift = 0;
    for (;; shift += 7) {
        uint8_t byte = *(*at)++;
        out |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return out;
    }
}

static void read_value(struct event *e, const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        uint64_t key = varint(&at);
        if (key == (1 << 3 | 2)) {
            uint64_t n = varint(&at);
            assert_true(n < sizeof e->tag);
            memcpy(e->tag, at, n);
            e->tag[n] = '\0';
            at += n;
        } else {
            assert_int_equal(key, 2 << 3 | 5);
            memcpy(&e->value, at, 4);
            e->has_value = 1;
            at += 4;
        }
    }
    assert_ptr_equal(at, end);
}

static void read_event(struct event *e, const uint8_t *at, size_t size)
{
    const uint8_t *end = at + size;
    memset(e, 0, sizeof *e);
    while (at < end) {
        uint64_t key = varint(&at), n;
        if (key == (1 << 3 | 1)) {
            memcpy(&e->wall_time, at, 8);
            at += 8;
            continue;
        }
        n = varint(&at);
        if (key == (2 << 3 | 0)) {
            e->step = (int64_t)n;
            continue;
        }
        if (key == (3 << 3 | 2)) {
            memcpy(e->version, at, n);
        } else if (key == (7 << 3 | 2)) {
            assert_int_equal(n, 2);
            assert_int_equal(at[0], 1 << 3);
            e->session = at[1];
        } else {
            const uint8_t *inner = at;
            assert_int_equal(key, 5 << 3 | 2);
            assert_int_equal(varint(&inner), 1 << 3 | 2);
            n = varint(&inner);
            read_value(e, inner, inner + n);
            at = inner + n;
            continue;
        }
        at += n;
    }
    assert_ptr_equal(at, end);
}

static int read_back(struct event *events, int most)
{
    struct ml_file_map map;
    size_t at = 0;
    int count = 0;
    assert_int_equal(ml_file_map_open(&map, path, NULL), 0);
    assert_int_equal(ml_tensorboard_sound(map.data, map.size), map.size);
    while (at < map.size) {
        uint64_t n;
        memcpy(&n, map.data + at, 8);
        assert_true(count < most);
        read_event(&events[count++], map.data + at + 12, (size_t)n);
        at += (size_t)n + 16;
    }
    ml_file_map_close(&map);
    return count;
}

static void scalars_read_back(void **state)
{
    struct ml_tensorboard board;
    struct ml_error err = {0};
    struct event e[8];
    char tag[300];
    assert_int_equal(ml_tensorboard_open(&board, folder, 0, &err), 0);
    assert_int_equal(ml_tensorboard_scalar(&board, "loss/train", 0, 2.5, &err), 0);
    assert_int_equal(ml_tensorboard_scalar(&board, "损失", 300, -1e-3, &err), 0);
    assert_int_equal(ml_tensorboard_scalar(&board, "big", (int64_t)1 << 40, 1, &err), 0);
    assert_int_equal(ml_tensorboard_flush(&board, &err), 0);
    assert_int_equal(read_back(e, 8), 4);
    assert_string_equal(e[0].version, "brain.Event:2");
    assert_true(e[0].wall_time > 1.6e9);
    assert_string_equal(e[1].tag, "loss/train");
    assert_true(e[1].value == 2.5f && e[1].step == 0 && e[1].has_value);
    assert_string_equal(e[2].tag, "损失");
    assert_true(e[2].value == -1e-3f && e[2].step == 300);
    assert_true(e[3].step == (int64_t)1 << 40);
    assert_int_equal(ml_tensorboard_scalar(&board, "", 0, 0, NULL), ML_ERR_ARG);
    assert_int_equal(ml_tensorboard_scalar(&board, "\xff", 0, 0, NULL), ML_ERR_ARG);
    memset(tag, 't', sizeof tag);
    tag[257] = '\0';
    assert_int_equal(ml_tensorboard_scalar(&board, tag, 0, 0, &err), ML_ERR_ARG);
    assert_non_null(strstr(err.message, "longer than 256"));
    tag[256] = '\0';
    assert_int_equal(ml_tensorboard_scalar(&board, tag, -1, 0, NULL), 0);
    assert_int_equal(ml_tensorboard_close(&board, NULL), 0);
    assert_int_equal(ml_tensorboard_close(&board, NULL), 0);
    assert_int_equal(ml_tensorboard_close(NULL, NULL), 0);
    assert_int_equal(read_back(e, 8), 5);
    assert_string_equal(e[4].tag, tag);
}

/* Cut at every byte, the file goes on: whole records stay, the torn one goes, a session mark says
 * from where. */
static void goes_on_after_a_crash(void **state)
{
    struct ml_file_map map;
    struct ml_tensorboard board;
    static uint8_t whole[4096];
    size_t size;
    remove(path);
    assert_int_equal(ml_tensorboard_open(&board, folder, 0, NULL), 0);
    for (int i = 0; i < 3; i++)
        ml_tensorboard_scalar(&board, "loss", i, i, NULL);
    assert_int_equal(ml_tensorboard_close(&board, NULL), 0);
    assert_int_equal(ml_file_map_open(&map, path, NULL), 0);
    size = map.size;
    memcpy(whole, map.data, size);
    ml_file_map_close(&map);
    for (size_t cut = 0; cut <= size; cut++) {
        struct event e[8];
        struct ml_error err = {0};
        size_t sound = ml_tensorboard_sound(whole, cut);
        assert_true(sound <= cut);
        assert_int_equal(ml_file_write(path, whole, cut, NULL), 0);
        if (ml_tensorboard_open(&board, folder, 2, &err) != 0)
            fail_msg("%zu: %s", cut, err.message);
        assert_int_equal(ml_tensorboard_scalar(&board, "loss", 2, 7, NULL), 0);
        assert_int_equal(ml_tensorboard_close(&board, NULL), 0);
        int count = read_back(e, 8);
        assert_string_equal(e[0].version, "brain.Event:2");
        assert_true(e[count - 1].value == 7);
        if (sound > 0) {
            assert_int_equal(e[count - 2].session, 1);
            assert_int_equal(e[count - 2].step, 2);
        }
    }
}

static void strange_file_is_kept(void **state)
{
    struct ml_tensorboard board;
    struct ml_error err = {0};
    char text[200];
    memset(text, 'x', sizeof text);
    assert_int_equal(ml_file_write(path, text, sizeof text, NULL), 0);
    assert_int_equal(ml_tensorboard_open(&board, folder, 0, &err), ML_ERR_FORMAT);
    assert_non_null(strstr(err.message, "not an event file"));
    remove(path);
}

static void flipped_bits_are_noticed(void **state)
{
    struct ml_file_map map;
    struct ml_tensorboard board;
    static uint8_t bytes[4096];
    assert_int_equal(ml_tensorboard_open(&board, folder, 0, NULL), 0);
    ml_tensorboard_scalar(&board, "loss", 1, 1, NULL);
    assert_int_equal(ml_tensorboard_close(&board, NULL), 0);
    assert_int_equal(ml_file_map_open(&map, path, NULL), 0);
    size_t size = map.size;
    memcpy(bytes, map.data, size);
    ml_file_map_close(&map);
    for (size_t i = 0; i < size * 8; i++) {
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_true(ml_tensorboard_sound(bytes, size) < size);
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
    }
}

static void full_disk(void **state)
{
    struct ml_tensorboard board;
    struct ml_error err = {0};
    struct rlimit limit;
    struct event e[64];
    remove(path);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(ml_tensorboard_open(&board, folder, 0, NULL), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(ml_tensorboard_scalar(&board, "loss", i, i, NULL), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 500; /* in the middle of a record */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int rc = ml_tensorboard_flush(&board, &err);
    limit.rlim_cur = before;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(rc, ML_ERR_IO);
    assert_non_null(strstr(err.message, "disk full"));
    /* There is room again: nothing is lost. */
    assert_int_equal(ml_tensorboard_close(&board, NULL), 0);
    assert_int_equal(read_back(e, 64), 51);
    assert_true(e[50].value == 49);
}

static void allocations_fail(void **state)
{
    for (uint64_t n = 1; n < 100; n++) {
        struct ml_mem_stats before, after;
        struct ml_tensorboard board = {0};
        struct ml_error err = {0};
        ml_mem_get_stats(&before);
        ml_mem_fail_at(n);
        int rc = ml_tensorboard_open(&board, folder, 0, &err);
        if (rc == 0)
            rc = ml_tensorboard_scalar(&board, "loss", 1, 1, &err);
        ml_mem_get_stats(&after);
        uint64_t taken = after.allocations;
        ml_mem_fail_at(0);
        ml_tensorboard_close(&board, NULL);
        ml_mem_get_stats(&after);
        assert_int_equal(before.live_blocks, after.live_blocks);
        if (taken < n) {
            assert_int_equal(rc, 0);
            assert_true(n > 2);
            return;
        }
        assert_int_equal(rc, ML_ERR_MEMORY);
        assert_true(err.message[0] != '\0');
    }
    fail();
}

/* `test_tensorboard --write FOLDER` leaves a file for bench/read_tensorboard.py. */
static int write_sample(const char *where)
{
    struct ml_tensorboard board;
    struct ml_error err = {0};
    for (int session = 0; session < 2; session++) {
        int first = session * 80;
        if (ml_tensorboard_open(&board, where, first, &err) != 0)
            return fprintf(stderr, "%s\n", err.message), 1;
        for (int i = first; i < first + 100; i++)
            ml_tensorboard_scalar(&board, "loss/train", i, 1.0 / (i + 1) + session, &err);
        ml_tensorboard_close(&board, &err);
    }
    return err.code ? 1 : 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_known_answers),        cmocka_unit_test(scalars_read_back),
        cmocka_unit_test(goes_on_after_a_crash),    cmocka_unit_test(strange_file_is_kept),
        cmocka_unit_test(flipped_bits_are_noticed), cmocka_unit_test(full_disk),
        cmocka_unit_test(allocations_fail),
    };
    if (argc == 3 && strcmp(argv[1], "--write") == 0)
        return write_sample(argv[2]);
    return cmocka_run_group_tests_name("tensorboard", tests, setup, teardown);
}
