#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/utf8.h"

#define ENTER_SCREEN "\x1b[?1049h\x1b[?25l"
#define LEAVE_SCREEN "\x1b[0m\x1b[?25h\x1b[?1049l"
enum { ESCAPE_WAIT = 50 }; /* ms for the rest of a sequence */

/* A signal comes to the process, not to a struct: this is what its handlers may see. */
static struct {
    volatile sig_atomic_t taken; /* the terminal is */
    volatile sig_atomic_t ended, resized, stopped;
    struct termios before;
    sigset_t outside; /* signals that were let through before */
    struct sigaction old[16];
} shared;

/* Looked at between keys: they wait outside of ppoll, so none comes at a bad time. */
static const int calm[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP};
/* These end the program where it stands. */
static const int fatal[] = {SIGQUIT, SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL};
enum { CALM = sizeof calm / sizeof *calm, FATAL = sizeof fatal / sizeof *fatal };

static void write_all(const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t wrote = write(STDOUT_FILENO, bytes, n);
        if (wrote < 0 && errno != EINTR)
            return;
        if (wrote > 0) {
            bytes += wrote;
            n -= (size_t)wrote;
        }
    }
}

/* Only what a signal handler may call. */
static void give_back(void)
{
    if (!shared.taken)
        return;
    shared.taken = 0;
    write_all(LEAVE_SCREEN, sizeof LEAVE_SCREEN - 1);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &shared.before);
}

static void note(int number)
{
    if (number == SIGWINCH)
        shared.resized = 1;
    else if (number == SIGTSTP)
        shared.stopped = 1;
    else
        shared.ended = 1;
}

/* SA_RESETHAND: the signal that is raised again ends the program. */
static void die(int number)
{
    give_back();
    raise(number);
}

static void find_size(struct terminal *t)
{
    struct winsize size = {0};
    t->columns = 80;
    t->rows = 24;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        t->columns = size.ws_col;
        t->rows = size.ws_row;
    }
}

static int take(struct ml_error *err)
{
    struct termios raw;
    if (tcgetattr(STDIN_FILENO, &shared.before) != 0)
        return ml_fail(err, ML_ERR_IO, "cannot read the settings of the terminal");
    raw = shared.before;
    raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw.c_oflag &= ~(tcflag_t)OPOST;
    raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    raw.c_cflag = (raw.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) != 0)
        return ml_fail(err, ML_ERR_IO, "cannot change the settings of the terminal");
    shared.taken = 1;
    write_all(ENTER_SCREEN, sizeof ENTER_SCREEN - 1);
    return 0;
}

int terminal_open(struct terminal *t, struct ml_error *err)
{
    const char *name = getenv("TERM");
    *t = (struct terminal){0};
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || (name && strcmp(name, "dumb") == 0))
        return ml_fail(err, ML_ERR_ARG,
                       "labelling needs a terminal for keys and pages; elsewhere labels go in by "
                       "`maliang label import`");
    struct sigaction noting = {.sa_handler = note};
    struct sigaction dying = {.sa_handler = die, .sa_flags = (int)SA_RESETHAND};
    sigset_t waiting;
    sigemptyset(&waiting);
    for (int i = 0; i < CALM; i++)
        sigaddset(&waiting, calm[i]);
    sigprocmask(SIG_BLOCK, &waiting, &shared.outside);
    shared.ended = shared.resized = shared.stopped = 0;
    for (int i = 0; i < CALM; i++)
        sigaction(calm[i], &noting, &shared.old[i]);
    for (int i = 0; i < FATAL; i++)
        sigaction(fatal[i], &dying, &shared.old[CALM + i]);
    const char *plain = getenv("NO_COLOR");
    t->colour = !plain || !*plain;
    find_size(t);
    int status = take(err);
    if (status) {
        shared.taken = 1; /* so that the handlers go, too */
        terminal_close(t);
    }
    return status;
}

void terminal_close(struct terminal *t)
{
    (void)t;
    if (!shared.taken)
        return;
    give_back();
    for (int i = 0; i < CALM; i++)
        sigaction(calm[i], &shared.old[i], NULL);
    for (int i = 0; i < FATAL; i++)
        sigaction(fatal[i], &shared.old[CALM + i], NULL);
    sigprocmask(SIG_SETMASK, &shared.outside, NULL);
}

/* Ctrl-Z, or a signal from outside: the shell gets its terminal back, and we take it again when we
 * are continued. */
static int stop_for_a_while(struct terminal *t, struct ml_error *err)
{
    struct sigaction usual = {.sa_handler = SIG_DFL}, ours;
    sigset_t only;
    shared.stopped = 0;
    give_back();
    sigaction(SIGTSTP, &usual, &ours);
    raise(SIGTSTP);
    sigemptyset(&only);
    sigaddset(&only, SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &only, NULL); /* here it stops, and here it goes on */
    sigprocmask(SIG_BLOCK, &only, NULL);
    sigaction(SIGTSTP, &ours, NULL);
    int status = take(err);
    find_size(t);
    return status;
}

/* ---- keys ---- */

static int fail_ended(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_CANCELLED,
                   "stopped while labelling; what was labelled is kept, and the same command goes "
                   "on from there");
}

/* Waits for bytes, wait_ms at most (negative: for ever): 1 when there are some, 0 when not. */
static int fill(struct terminal *t, int wait_ms, struct ml_error *err)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    struct timespec wait = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000L};
    int ready = ppoll(&in, 1, wait_ms < 0 ? NULL : &wait, &shared.outside);
    if (ready < 0 && errno != EINTR)
        return ml_fail(err, ML_ERR_IO, "cannot wait for keys");
    if (ready <= 0)
        return 0;
    ssize_t n =
        read(STDIN_FILENO, t->bytes + t->byte_count, sizeof t->bytes - (size_t)t->byte_count);
    if (n < 0 && errno == EINTR)
        return 0;
    if (n <= 0)
        return fail_ended(err);
    t->byte_count += (int)n;
    return 1;
}

static void use(struct terminal *t, int n)
{
    t->byte_count -= n;
    memmove(t->bytes, t->bytes + n, (size_t)t->byte_count);
}

/* "ESC [ ... letter" or "ESC O letter"; the length, or 0 when it is not all there. */
static int sequence_key(const unsigned char *b, int n, int *key)
{
    static const struct {
        const char *text;
        int key;
    } known[] = {{"[A", KEY_UP},       {"[B", KEY_DOWN},       {"[C", KEY_RIGHT},  {"[D", KEY_LEFT},
                 {"OA", KEY_UP},       {"OB", KEY_DOWN},       {"OC", KEY_RIGHT},  {"OD", KEY_LEFT},
                 {"[H", KEY_HOME},     {"[F", KEY_END},        {"OH", KEY_HOME},   {"OF", KEY_END},
                 {"[1~", KEY_HOME},    {"[4~", KEY_END},       {"[7~", KEY_HOME},  {"[8~", KEY_END},
                 {"[5~", KEY_PAGE_UP}, {"[6~", KEY_PAGE_DOWN}, {"[3~", KEY_DELETE}};
    int end = 2;
    if (n < 3)
        return 0;
    while (b[1] == '[' && end < n && (b[end] < 0x40 || b[end] > 0x7e))
        end++;
    if (end == n)
        return n > 16 ? n : 0; /* no key is that long */
    *key = KEY_OTHER;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if ((int)strlen(known[i].text) == end && memcmp(b + 1, known[i].text, (size_t)end) == 0)
            *key = known[i].key;
    return end + 1;
}

/* The first key of what was read; its length, 0: more bytes are needed. */
static int decode(const unsigned char *b, int n, int *key)
{
    uint32_t c;
    if (b[0] == KEY_ESCAPE)
        return n > 1 && (b[1] == '[' || b[1] == 'O') ? sequence_key(b, n, key) : 0;
    size_t used = ml_utf8_decode((const char *)b, (size_t)n, &c);
    if (used) {
        *key = c == 8 ? KEY_BACKSPACE : c == '\n' ? KEY_ENTER : (int)c;
        return (int)used;
    }
    if (ml_utf8_ready((const char *)b, (size_t)n) < (size_t)n && n < 4)
        return 0;
    *key = KEY_OTHER;
    return 1;
}

/* A whole key that was read already: its length, 0: there is none yet. A lone escape is one when
 * nothing follows it soon. */
static int take_key(struct terminal *t, int *key, struct ml_error *err)
{
    while (t->byte_count > 0) {
        int used = decode(t->bytes, t->byte_count, key);
        if (used) {
            use(t, used);
            return 1;
        }
        int got = fill(t, ESCAPE_WAIT, err);
        if (got < 0)
            return got;
        if (got == 0 && !shared.ended) {
            *key = t->bytes[0] == KEY_ESCAPE ? KEY_ESCAPE : KEY_OTHER;
            use(t, 1);
            return 1;
        }
        if (got == 0)
            return 0;
    }
    return 0;
}

int terminal_key(struct terminal *t, int *key, struct ml_error *err)
{
    enum { CONTROL_C = 3, CONTROL_Z = 26 };
    for (;;) {
        int got = take_key(t, key, err);
        if (got < 0)
            return got;
        if (shared.ended || (got && *key == CONTROL_C))
            return fail_ended(err);
        if (shared.stopped || (got && *key == CONTROL_Z)) {
            got = stop_for_a_while(t, err);
            return got;
        }
        if (got)
            return 1;
        if (shared.resized) {
            shared.resized = 0;
            find_size(t);
            return 0;
        }
        got = fill(t, -1, err);
        if (got < 0)
            return got;
    }
}

int terminal_draw(struct terminal *t, const struct ml_buffer *page, struct ml_error *err)
{
    struct ml_buffer out = {0};
    int status = ml_buffer_printf(&out, err, "\x1b[H"), row = 0;
    const char *at = page->data ? page->data : "", *end = at + page->size;
    for (; status == 0 && at < end && row < t->rows; row++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((stop ? stop : end) - at);
        status = ml_buffer_put(&out, row ? "\r\n" : "", row ? 2 : 0, err);
        if (status == 0)
            status = ml_buffer_put(&out, at, n, err);
        if (status == 0)
            status = ml_buffer_printf(&out, err, "\x1b[0m\x1b[K");
        at += n + 1;
    }
    if (status == 0)
        status = ml_buffer_printf(&out, err, "\x1b[J");
    if (status == 0)
        write_all(out.data, out.size);
    ml_buffer_clear(&out);
    return status;
}
