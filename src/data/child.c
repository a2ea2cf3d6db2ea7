#include "data/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/progress.h"
#include "base/utf8.h"
#include "data/child_lock.h"

#define DEFAULT_SECONDS 60.0
#define DEFAULT_MEMORY  ((uint64_t)2 << 30)
#define DEFAULT_OUT     ((uint64_t)256 << 20)
#define SAID_ROOM       1024

/* Where the child keeps the tool's file and the pipe that tells what went wrong before it began.
 * Both close by themselves when the tool starts, and as no file may be opened at such numbers from
 * then on, the one execveat that the lock lets through (of ML_CHILD_TOOL_FD) can happen only once.
 */
#define STATUS_FD (ML_CHILD_TOOL_FD - 1)
#define MOST_FDS  32

enum step { STEP_FILES = 1, STEP_LIMITS, STEP_LOCK, STEP_START };

struct running {
    const struct ml_child *child;
    double deadline;
    int input, tool, out[2], said[2], status[2];
    pid_t pid;
    struct sock_fprog lock; /* empty: built without libseccomp */
    struct sock_filter *rules;
    char said_bytes[SAID_ROOM];
    size_t said_size;
};

/* ---- in the child: between fork and exec only calls that are safe there ---- */

static void limit(int what, uint64_t value)
{
    /* As limits only ever shrink, one that is smaller already stays. */
    struct rlimit now;
    if (getrlimit((__rlimit_resource_t)what, &now) != 0 || now.rlim_max < value)
        return;
    const struct rlimit wanted = {value, value};
    if (setrlimit((__rlimit_resource_t)what, &wanted) != 0) {
        const unsigned char step = STEP_LIMITS;
        (void)!write(STATUS_FD, &step, 1);
        _exit(126);
    }
}

static void set_limits(const struct running *r)
{
    limit(RLIMIT_CPU, (uint64_t)(r->child->seconds > 0 ? r->child->seconds : DEFAULT_SECONDS) + 1);
    limit(RLIMIT_AS, r->child->memory_bytes ? r->child->memory_bytes : DEFAULT_MEMORY);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, MOST_FDS);
    if (!r->child->threads)
        limit(RLIMIT_NPROC, 0); /* does not bind root; the lock does */
}

/* Signals as a fresh program expects them: ours ignores some. */
static void reset_signals(void)
{
    const struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &plain, NULL); /* fails for SIGKILL, which nobody can ignore */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* 0, 1, 2, the tool and the pipe for failures; everything else is closed. The originals lie above
 * all these numbers (see high_fd), so that none is overwritten before it was copied. */
static bool arrange_files(const struct running *r)
{
    return dup2(r->input, 0) == 0 && dup2(r->out[1], 1) == 1 && dup2(r->said[1], 2) == 2 &&
           dup3(r->status[1], STATUS_FD, O_CLOEXEC) == STATUS_FD &&
           dup3(r->tool, ML_CHILD_TOOL_FD, O_CLOEXEC) == ML_CHILD_TOOL_FD &&
           close_range(3, STATUS_FD - 1, 0) == 0 && close_range(ML_CHILD_TOOL_FD + 1, ~0U, 0) == 0;
}

__attribute__((noreturn)) static void become_tool(const struct running *r)
{
    static const char *const environment[] = {"LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin", NULL};
    unsigned char step = STEP_FILES;
    int status = r->status[1];
    reset_signals();
    if (arrange_files(r)) {
        status = STATUS_FD;
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* it does not outlive us */
        set_limits(r);
        step = STEP_LOCK;
        bool locked = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
        if (r->lock.len > 0)
            locked = locked && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &r->lock) == 0;
        if (locked) {
            step = STEP_START;
            execveat(ML_CHILD_TOOL_FD, "", (char *const *)(uintptr_t)r->child->arguments,
                     (char *const *)(uintptr_t)environment, AT_EMPTY_PATH);
        }
    }
    (void)!write(status, &step, 1);
    _exit(126);
}

/* ---- in the parent ---- */

static int fail_system(const struct running *r, const char *what, struct ml_error *err)
{
    char reason[100];
    int number = errno;
    return ml_fail(err, number == ENOMEM ? ML_ERR_MEMORY : ML_ERR_IO, "%s: %s: %s",
                   r->child->arguments[0], what, strerror_r(number, reason, sizeof reason));
}

/* A copy of a descriptor above the numbers that the child uses; the original is closed. */
static int high_fd(int fd)
{
    if (fd < 0 || fd > ML_CHILD_TOOL_FD)
        return fd;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, ML_CHILD_TOOL_FD + 1), number = errno;
    close(fd);
    errno = number;
    return high;
}

static bool high_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) != 0) {
        ends[0] = ends[1] = -1;
        return false;
    }
    ends[0] = high_fd(ends[0]);
    ends[1] = high_fd(ends[1]);
    return ends[0] >= 0 && ends[1] >= 0;
}

/* The input as a file in memory: tools that read PDF go back and forth in it. */
static bool fill_input(struct running *r)
{
    const char *bytes = r->child->input;
    r->input = high_fd(memfd_create("maliang-input", MFD_CLOEXEC));
    for (size_t done = 0; r->input >= 0 && done < r->child->input_bytes;) {
        ssize_t n = write(r->input, bytes + done, r->child->input_bytes - done);
        if (n < 0 && errno != EINTR)
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return r->input >= 0 && lseek(r->input, 0, SEEK_SET) == 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int start(struct running *r, struct ml_error *err)
{
    static const char *const failures[] = {
        "", "its files cannot be arranged", "its limits cannot be set",
        "this system cannot lock it up (seccomp)", "it cannot be started"};
    unsigned char step = 0;
    r->tool = high_fd(open(r->child->arguments[0], O_PATH | O_CLOEXEC));
    if (r->tool < 0)
        return fail_system(r, "cannot be opened", err);
    if (!fill_input(r) || !high_pipe(r->out) || !high_pipe(r->said) || !high_pipe(r->status))
        return fail_system(r, "cannot be given its input", err);
    r->pid = fork();
    if (r->pid == 0)
        become_tool(r);
    if (r->pid < 0)
        return fail_system(r, "no process for it", err);
    close_fd(&r->status[1]);
    close_fd(&r->out[1]);
    close_fd(&r->said[1]);
    while (read(r->status[0], &step, 1) < 0 && errno == EINTR)
        continue;
    if (step > 0 && step <= STEP_START)
        return ml_fail(err, step == STEP_LOCK ? ML_ERR_UNSUPPORTED : ML_ERR_IO, "%s: %s",
                       r->child->arguments[0], failures[step]);
    return 0;
}

/* Reads what is there from one pipe; closes it at its end. */
static int drain(struct running *r, int *fd, struct ml_buffer *out, struct ml_error *err)
{
    char chunk[65536];
    ssize_t n = read(*fd, chunk, sizeof chunk);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (n <= 0) {
        close_fd(fd);
        return 0;
    }
    if (fd == &r->out[0])
        return ml_buffer_put(out, chunk, (size_t)n, err);
    size_t room = SAID_ROOM - r->said_size, kept = (size_t)n < room ? (size_t)n : room;
    memcpy(r->said_bytes + r->said_size, chunk, kept);
    r->said_size += kept;
    return 0;
}

/* Until it closed both pipes, or its time or room is over. */
static int listen_to(struct running *r, struct ml_buffer *out, struct ml_child_end *end,
                     struct ml_error *err)
{
    uint64_t most = r->child->max_out_bytes ? r->child->max_out_bytes : DEFAULT_OUT;
    size_t before = out->size;
    int status = 0;
    while (status == 0 && (r->out[0] >= 0 || r->said[0] >= 0)) {
        struct pollfd fds[] = {{.fd = r->out[0], .events = POLLIN},
                               {.fd = r->said[0], .events = POLLIN}};
        double left = r->deadline - ml_time();
        end->late = left <= 0;
        end->large = out->size - before > most;
        if (end->late || end->large)
            break;
        if (poll(fds, 2, left > 1 ? 1000 : (int)(left * 1000) + 1) < 0 && errno != EINTR)
            return fail_system(r, "cannot be waited for", err);
        if (fds[0].revents)
            status = drain(r, &r->out[0], out, err);
        if (status == 0 && fds[1].revents)
            status = drain(r, &r->said[0], out, err);
    }
    return status;
}

/* Waits for its end; what does not end in time, or need not go on, is ended. */
static void reap(struct running *r, bool kill_it, struct ml_child_end *end)
{
    int how = 0;
    pid_t got = 0;
    while (!kill_it && (got = waitpid(r->pid, &how, WNOHANG)) == 0) {
        end->late = kill_it = ml_time() > r->deadline;
        poll(NULL, 0, 2);
    }
    if (kill_it) {
        kill(r->pid, SIGKILL);
        while ((got = waitpid(r->pid, &how, 0)) < 0 && errno == EINTR)
            continue;
    }
    /* A program that ignores SIGCHLD gets no verdict: then the output must speak for itself. */
    end->exit_code = got < 0 ? 0 : WIFEXITED(how) ? WEXITSTATUS(how) : -1;
    end->signal = got > 0 && WIFSIGNALED(how) ? WTERMSIG(how) : 0;
}

/* What it said, as one line of UTF-8. */
static void tell_said(const struct running *r, char said[ML_CHILD_SAID])
{
    size_t at = 0;
    for (size_t i = 0; i < r->said_size && at + 5 < ML_CHILD_SAID;) {
        uint32_t c;
        size_t n = ml_utf8_decode(r->said_bytes + i, r->said_size - i, &c);
        bool blank = n == 0 || c < 0x20 || c == 0x7f;
        if (!blank)
            memcpy(said + at, r->said_bytes + i, n);
        else if (at > 0 && said[at - 1] != ' ')
            said[at++] = ' ';
        at += blank ? 0 : n;
        i += n ? n : 1;
    }
    while (at > 0 && said[at - 1] == ' ')
        at--;
    said[at] = '\0';
}

int ml_child_run(const struct ml_child *child, struct ml_buffer *out, struct ml_child_end *end,
                 struct ml_error *err)
{
    struct running r = {.child = child,
                        .deadline =
                            ml_time() + (child->seconds > 0 ? child->seconds : DEFAULT_SECONDS),
                        .input = -1,
                        .tool = -1,
                        .out = {-1, -1},
                        .said = {-1, -1},
                        .status = {-1, -1},
                        .pid = -1};
    struct ml_child_end ended = {.exit_code = -1};
    int status = ml_child_lock(&r.rules, &r.lock, child->threads, err);
    if (status == 0)
        status = start(&r, err);
    if (status == 0)
        status = listen_to(&r, out, &ended, err);
    if (r.pid > 0)
        reap(&r, status != 0 || ended.late || ended.large, &ended);
    int *const fds[] = {&r.input, &r.tool,    r.out,    r.out + 1,
                        r.said,   r.said + 1, r.status, r.status + 1};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        close_fd(fds[i]);
    ml_mem_free(r.rules);
    if (status)
        return status;
    tell_said(&r, ended.said);
    *end = ended;
    return 0;
}

bool ml_child_find(const char *tool, char *path, size_t room)
{
    const char *folders = getenv("PATH");
    if (!folders)
        folders = "/usr/local/bin:/usr/bin:/bin";
    for (const char *at = folders; *at;) {
        size_t n = strcspn(at, ":");
        /* A folder relative to wherever we are could hold anybody's tool. */
        int length = *at == '/' ? snprintf(path, room, "%.*s/%s", (int)n, at, tool) : 0;
        if (length > 0 && (size_t)length < room && access(path, X_OK) == 0)
            return true;
        at += n + (at[n] == ':');
    }
    return false;
}
