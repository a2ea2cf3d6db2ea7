/* Labelling as a person does it: a terminal (pty) on which keys are pressed; what is stored, what
 * is shown, and that the terminal is as it was, however the program ends. */
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <utmp.h>

#include "base/utf8.h"
#include "data/label_queue.h"
#include "store/labels.h"

enum { WAIT_MS = 60000 }; /* a limit for a program that hangs, not a measure of anything */
#define ENTER_SCREEN "\x1b[?1049h"
#define LEAVE_SCREEN "\x1b[?25h\x1b[?1049l"

static const char *program;
static char root[SCRATCH_PATH], folder[SCRATCH_PATH + 16];

/* ---- a workspace ---- */

static const char *const texts[] = {
    "The fox met Anna in Paris. 王维在长安写诗，明月松间照，清泉石上流。",
    "An escape \x1b]0;evil\x07 and \x1b[31mred\x1b[0m, a tab\tand a bell\x07.",
    "Short.",
};

static struct ml_workspace *open_workspace(void)
{
    struct ml_error err = {0};
    struct ml_workspace *ws = NULL;
    assert_ok(ml_workspace_open(&ws, folder, &(struct ml_workspace_options){.create = true}, &err),
              err);
    return ws;
}

static int set_up(void **state)
{
    struct ml_error err = {0};
    struct ml_dataset dataset;
    int64_t ids[3];
    scratch_make(root);
    snprintf(folder, sizeof folder, "%s/ws", root);
    struct ml_workspace *ws = open_workspace();
    for (int i = 0; i < 3; i++) {
        char source[16];
        snprintf(source, sizeof source, "/poems/%d", i);
        const struct ml_record record = {
            .kind = "text", .type = "text/plain", .source = source, .title = "题目"};
        assert_ok(ml_records_add(ws, &record, texts[i], strlen(texts[i]), &ids[i], NULL, &err),
                  err);
    }
    const struct ml_dataset_spec spec = {.name = "d", .ids = ids, .id_count = 3};
    assert_ok(ml_datasets_create(ws, &spec, &dataset, NULL, &err), err);
    ml_workspace_close(ws);
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(root);
    return 0;
}

static void make_queue(const char *task)
{
    struct ml_error err = {0};
    struct ml_workspace *ws = open_workspace();
    assert_ok(ml_label_queue_start(ws, "q", "d", task, "task", &err), err);
    ml_workspace_close(ws);
}

/* The record that comes first, and its text. */
static int first_record(void)
{
    struct ml_error err = {0};
    struct ml_workspace *ws = open_workspace();
    struct ml_label_session *session = NULL;
    struct ml_label_item item;
    int found = -1;
    assert_ok(ml_label_session_open(&session, ws, "q", "nobody", false, &err), err);
    assert_int_equal(ml_label_session_next(session, &item, &err), 1);
    for (int i = 0; i < 3; i++)
        if (strlen(texts[i]) == item.text_size && memcmp(texts[i], item.text, item.text_size) == 0)
            found = i;
    ml_label_session_close(session);
    ml_workspace_close(ws);
    return found;
}

/* What stands in the queue, in the order in which it was kept: "kind value, ...". */
static void stored(const char *expected)
{
    struct ml_error err = {0};
    struct ml_workspace *ws = open_workspace();
    struct ml_label_cursor *cursor;
    struct ml_label label;
    char all[4][2048] = {"", "", "", ""}, text[8192] = "";
    int64_t ids[4] = {0};
    int n = 0, got;
    const struct ml_label_filter filter = {.queue = "q", .with_skips = true};
    assert_ok(ml_labels_open(&cursor, ws, &filter, &err), err);
    while ((got = ml_labels_next(cursor, &label, &err)) == 1 && n < 4) {
        int at = n++;
        for (; at > 0 && ids[at - 1] > label.id; at--) {
            ids[at] = ids[at - 1];
            strcpy(all[at], all[at - 1]);
        }
        ids[at] = label.id;
        snprintf(all[at], sizeof all[at], "%s %s", label.kind, label.value);
        assert_string_equal(label.annotator, "anna");
    }
    assert_int_equal(got, 0);
    ml_labels_close(cursor);
    ml_workspace_close(ws);
    for (int i = 0; i < n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? ", " : "", all[i]);
    assert_string_equal(text, expected);
}

/* ---- a terminal ---- */

struct screen {
    int master, slave;
    pid_t pid;
    struct termios before;
    char *out; /* all that was shown */
    size_t n, seen;
};
static char shown[1 << 20];

static void start(struct screen *s, int rows, int columns)
{
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    *s = (struct screen){.out = shown};
    assert_int_equal(openpty(&s->master, &s->slave, NULL, NULL, &size), 0);
    assert_int_equal(tcgetattr(s->slave, &s->before), 0);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        close(s->master);
        login_tty(s->slave);
        setenv("TERM", "xterm", 1);
        setenv("LC_ALL", "C.UTF-8", 1);
        unsetenv("NO_COLOR");
        execl(program, program, "label", "queue", "q", "-w", folder, "-a", "anna", (char *)NULL);
        _exit(99);
    }
}

/* Reads what comes; false at the end of the program's output. */
static bool pump(struct screen *s)
{
    struct pollfd in = {.fd = s->master, .events = POLLIN};
    int ready = poll(&in, 1, WAIT_MS);
    if (ready < 0 && errno == EINTR)
        return true;
    if (ready == 0)
        fail_msg("nothing more is shown after: %s", s->out + (s->n > 400 ? s->n - 400 : 0));
    ssize_t n = read(s->master, s->out + s->n, sizeof shown - s->n - 1);
    if (n <= 0)
        return false;
    s->n += (size_t)n;
    s->out[s->n] = '\0';
    return true;
}

/* Until the text is shown, behind what was waited for before. */
static void wait_for(struct screen *s, const char *text)
{
    char *found;
    while (!(found = s->n > s->seen ? strstr(s->out + s->seen, text) : NULL))
        if (!pump(s))
            fail_msg("it ended before it showed \"%s\": %s", text, s->out + s->seen);
    s->seen = (size_t)(found - s->out) + strlen(text);
}

static void press(struct screen *s, const char *keys)
{
    assert_int_equal(write(s->master, keys, strlen(keys)), strlen(keys));
}

static void press_and_draw(struct screen *s, const char *keys)
{
    press(s, keys);
    wait_for(s, "\x1b[J");
}

/* A page ends when everything behind it was cleared. */
static void press_and_see(struct screen *s, const char *keys, const char *text)
{
    press(s, keys);
    wait_for(s, text);
    wait_for(s, "\x1b[J");
}

/* The program's end: its status as waitpid says, and the terminal as it was. */
static int finish(struct screen *s)
{
    struct termios after;
    int status = 0;
    while (waitpid(s->pid, &status, WNOHANG) == 0) {
        struct pollfd in = {.fd = s->master, .events = POLLIN};
        if (poll(&in, 1, 10) > 0)
            pump(s);
    }
    struct pollfd rest = {.fd = s->master, .events = POLLIN};
    while (poll(&rest, 1, 0) > 0 && (rest.revents & POLLIN) && pump(s))
        ;
    assert_int_equal(tcgetattr(s->slave, &after), 0);
    assert_int_equal(after.c_iflag, s->before.c_iflag);
    assert_int_equal(after.c_oflag, s->before.c_oflag);
    assert_int_equal(after.c_lflag, s->before.c_lflag);
    assert_int_equal(after.c_cflag, s->before.c_cflag);
    assert_memory_equal(after.c_cc, s->before.c_cc, sizeof after.c_cc);
    const char *left = NULL, *entered = NULL;
    for (const char *at = s->out; (at = strstr(at, LEAVE_SCREEN)); at++)
        left = at;
    for (const char *at = s->out; (at = strstr(at, ENTER_SCREEN)); at++)
        entered = at;
    assert_true(left && entered && left > entered);
    close(s->master);
    close(s->slave);
    return status;
}

static void ends_well(struct screen *s)
{
    int status = finish(s);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("status %x: %s", (unsigned)status, s->out);
}

/* ---- the kinds of tasks ---- */

static void choices(void **state)
{
    struct screen s;
    make_queue("kind: choice\nguideline: 喜还是悲？\nlabels: [{name: 喜 glad, key: g}, sad]\n");
    start(&s, 24, 80);
    wait_for(&s, "[g] \xe5\x96\x9c glad");
    press_and_see(&s, "g", "1 labelled");
    press_and_see(&s, "s", "1 skipped");
    press_and_see(&s, "x", "no meaning here");
    press_and_see(&s, "u", "taken back");
    press_and_see(&s, "u", "taken back");
    /* The own answer is the proposal again: Enter takes it. */
    press_and_see(&s, "\r", "1 labelled");
    press_and_see(&s, "1", "2 labelled");
    press_and_see(&s, "?", "Guideline");
    press_and_see(&s, "x", "[g]");
    press(&s, "q");
    ends_well(&s);
    assert_non_null(strstr(s.out, "2 labelled, 0 skipped this time; 2 of 3 done, 1 left"));
    stored("choice \"喜 glad\", choice \"sad\"");
    start(&s, 24, 80); /* goes on from there, and ends by itself */
    wait_for(&s, "2 labelled, 0 skipped, 1 left");
    press(&s, "s");
    ends_well(&s);
    assert_non_null(strstr(s.out, "--skipped"));
    stored("choice \"喜 glad\", choice \"sad\", skip null");
}

static void several(void **state)
{
    struct screen s;
    make_queue("kind: multi\nlabels: [a, b, c]\n");
    start(&s, 24, 80);
    wait_for(&s, "[1] a");
    press_and_see(&s, "3", "[3] c");
    press_and_see(&s, "1", "[1] a");
    press_and_see(&s, "2", "[2] b");
    press_and_see(&s, "2", "[2] b");
    press_and_see(&s, "\r", "1 labelled");
    press_and_see(&s, "\r", "2 labelled");
    press(&s, "q");
    ends_well(&s);
    stored("multi [\"a\",\"c\"], multi []");
}

static void ratings(void **state)
{
    struct screen s;
    make_queue("kind: rating\nhigh: 10\n");
    start(&s, 24, 80);
    wait_for(&s, "[0] 10");
    press_and_see(&s, "4", "1 labelled");
    press_and_see(&s, "0", "2 labelled");
    press(&s, "q");
    ends_well(&s);
    stored("rating 4, rating 10");
}

static void typing(void **state)
{
    struct screen s;
    make_queue("kind: text\n");
    start(&s, 24, 80);
    wait_for(&s, "> ");
    press_and_see(&s, "\r", "nothing was typed");
    press_and_see(&s,
                  "x\x15"
                  "squ 狐狸x\x7f\x7f!",
                  "squ \xe7\x8b\x90!");
    press_and_see(&s, "\r", "1 labelled");
    press_and_see(&s, "\x1b", "Enter type");
    press_and_see(&s, "s", "1 skipped");
    press_and_see(&s, "\x1b", "Enter type");
    press_and_see(&s, "\r", "Enter keep");
    press_and_see(&s, "b", "> ");
    press_and_see(&s, "\x1b", "Enter type");
    press(&s, "q");
    ends_well(&s);
    stored("text \"squ 狐!\", skip null");
}

/* In the first text: Anna is word 4, 王维 two words. */
static void spans(void **state)
{
    struct screen s;
    struct ml_error err = {0};
    make_queue("kind: span\nlabels: [PER, LOC]\n");
    struct ml_workspace *ws = open_workspace();
    int64_t record = 0;
    struct ml_record_cursor *cursor;
    struct ml_record r;
    assert_ok(ml_records_open(&cursor, ws, NULL, &err), err);
    assert_int_equal(ml_records_next(cursor, &r, &err), 1);
    record = r.id;
    ml_records_close(cursor);
    /* With a proposal the record comes first. */
    const struct ml_label proposal = {.record = record,
                                      .queue = "q",
                                      .model = "m1",
                                      .kind = "span",
                                      .value = "[{\"start\":20,\"end\":25,\"label\":\"LOC\"},"
                                               "{\"start\":0,\"end\":3,\"label\":\"PER\"}]",
                                      .confidence = 0.5};
    assert_ok(ml_labels_add(ws, &proposal, NULL, &err), err);
    ml_workspace_close(ws);
    start(&s, 24, 80);
    wait_for(&s, "proposed by m1, 50% sure");
    wait_for(&s, "\x1b[J");
    press_and_draw(&s, "\x7f"); /* "The" is none */
    press_and_see(&s, "\x7f", "no span at the cursor");
    press_and_see(&s,
                  "\x1b[C\x1b[C\x1b[C"
                  "1",
                  "Anna");
    /* Over "in", "Paris", ".", to 王 and 维. */
    press_and_draw(&s, "\x1bOC\x1bOC\x1bOC\x1bOC");
    press_and_draw(&s, " \x1b[C");
    press_and_see(&s, "1", "\xe7\x8e\x8b\xe7\xbb\xb4");
    press_and_see(&s, "\r", "1 labelled");
    press(&s, "q");
    ends_well(&s);
    ws = open_workspace();
    struct ml_label_cursor *labels;
    struct ml_label label;
    const struct ml_label_filter mine = {.queue = "q", .people = true};
    assert_ok(ml_labels_open(&labels, ws, &mine, &err), err);
    assert_int_equal(ml_labels_next(labels, &label, &err), 1);
    assert_string_equal(label.value, "[{\"start\":12,\"end\":16,\"label\":\"PER\"},"
                                     "{\"start\":20,\"end\":25,\"label\":\"LOC\"},"
                                     "{\"start\":27,\"end\":29,\"label\":\"PER\"}]");
    assert_string_equal(label.model, "m1");
    ml_labels_close(labels);
    ml_workspace_close(ws);
}

/* ---- the page ---- */

/* Every line of every page fits, and nothing of a text reaches the terminal as a command. */
static void check_pages(const char *out, int columns)
{
    char line[4096];
    size_t n = 0;
    assert_null(strstr(out, "\x1b[31m"));
    assert_null(strstr(out, "\x1b]"));
    assert_null(strchr(out, '\x07'));
    for (const char *at = out; *at; at++) {
        if (*at == '\x1b') {
            at++;
            assert_int_equal(*at, '[');
            while (at[1] && !(at[1] >= 0x40 && at[1] <= 0x7e))
                at++;
            at++;
            if (*at == 'H' || *at == 'J')
                n = 0;
        } else if (*at == '\r' || *at == '\n') {
            n = 0;
        } else {
            assert_true(n < sizeof line);
            line[n++] = *at;
            if (ml_utf8_ready(line, n) == n && (int)ml_utf8_columns(line, n) > columns)
                fail_msg("a line is wider than %d: %.*s", columns, (int)n, line);
        }
    }
}

static void pages_fit(void **state)
{
    static const int widths[] = {80, 40, 21};
    struct screen s;
    make_queue(
        "kind: choice\nguideline: 这首诗的情绪是喜还是悲？请从下面选择一个，拿不准时选择平静。\n"
        "labels: [a long label of several words, 很长的中文标签名字, c, d, e, f, g]\n");
    for (int i = 0; i < 3; i++) {
        start(&s, 16, widths[i]);
        for (int record = 0; record < 3; record++) {
            wait_for(&s, "\x1b[J");
            press_and_see(&s, "?", "Guideline");
            press(&s, "xs");
        }
        ends_well(&s);
        s.out[strstr(s.out, LEAVE_SCREEN) - s.out] = '\0';
        check_pages(s.out, widths[i]);
        for (int undo = 0; undo < 3; undo++) {
            struct ml_error err = {0};
            struct ml_workspace *ws = open_workspace();
            int64_t record;
            assert_ok(ml_labels_undo(ws, "q", "anna", &record, &err), err);
            ml_workspace_close(ws);
        }
    }
    assert_true(first_record() >= 0);
}

static void new_size(void **state)
{
    struct screen s;
    struct winsize size = {.ws_row = 10, .ws_col = 30};
    make_queue("kind: rating\n");
    start(&s, 24, 80);
    wait_for(&s, "\x1b[J");
    size_t before = s.n;
    assert_int_equal(ioctl(s.master, TIOCSWINSZ, &size), 0);
    wait_for(&s, "\x1b[J");
    press_and_draw(&s, "4");
    size_t after = s.n;
    press(&s, "q");
    ends_well(&s);
    s.out[after] = '\0';
    check_pages(s.out + before, 30);
}

/* ---- the end ---- */

static void by_signals(void **state)
{
    static const int calm[] = {SIGTERM, SIGINT, SIGHUP}, fatal[] = {SIGQUIT, SIGSEGV, SIGABRT};
    struct screen s;
    make_queue("kind: rating\n");
    for (int i = 0; i < 3; i++) {
        start(&s, 24, 80);
        wait_for(&s, "\x1b[J");
        kill(s.pid, calm[i]);
        int status = finish(&s);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 130);
        assert_non_null(strstr(s.out, "what was labelled is kept"));
        start(&s, 24, 80);
        wait_for(&s, "\x1b[J");
        kill(s.pid, fatal[i]);
        status = finish(&s);
        /* The address sanitizer turns a crash into an exit of its own. */
        assert_true((WIFSIGNALED(status) && WTERMSIG(status) == fatal[i]) ||
                    (WIFEXITED(status) && WEXITSTATUS(status) != 0));
    }
    start(&s, 24, 80);
    wait_for(&s, "\x1b[J");
    press_and_see(&s, "3", "1 labelled");
    press(&s, "\x03");
    int status = finish(&s);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 130);
    stored("rating 3");
}

/* Nobody is there to continue a stopped program here, so it goes on at once; but the terminal was
 * given back and taken again in between. */
static void stopped_and_continued(void **state)
{
    struct screen s;
    make_queue("kind: rating\n");
    start(&s, 24, 80);
    wait_for(&s, "\x1b[J");
    press(&s, "\x1a");
    wait_for(&s, LEAVE_SCREEN);
    kill(s.pid, SIGCONT);
    wait_for(&s, ENTER_SCREEN);
    wait_for(&s, "\x1b[J");
    press_and_see(&s, "3", "1 labelled");
    press(&s, "q");
    ends_well(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(choices, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ratings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(typing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(spans, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pages_fit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(new_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(by_signals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopped_and_continued, set_up, tear_down),
    };
    if (argc < 2) {
        fprintf(stderr, "usage: test_label_keys PROGRAM\n");
        return 2;
    }
    program = argv[1];
    return cmocka_run_group_tests_name("label_keys", tests, NULL, NULL);
}
