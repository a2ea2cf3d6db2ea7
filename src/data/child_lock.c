#include "data/child_lock.h"

#include <stdint.h>

#include "base/arena.h"
#include "base/fail.h"
#include "maliang_config.h"

#ifndef MALIANG_HAVE_SECCOMP

int ml_child_lock(struct sock_filter **rules, struct sock_fprog *lock, bool threads,
                  struct ml_error *err)
{
    *rules = NULL;
    *lock = (struct sock_fprog){0};
    return 0;
}

#else

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* What a program needs to load its libraries, read files, take memory and end. */
static const int harmless[] = {
    SCMP_SYS(read),
    SCMP_SYS(pread64),
    SCMP_SYS(readv),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(close),
    SCMP_SYS(lseek),
    SCMP_SYS(fstat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getdents64),
    SCMP_SYS(getcwd),
    SCMP_SYS(fadvise64),
    SCMP_SYS(mmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(rseq),
    SCMP_SYS(arch_prctl),
    SCMP_SYS(getrandom),
    SCMP_SYS(getrlimit),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_yield),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(restart_syscall),
};

/* Everything else is answered "not permitted", so that a tool that tries can go on without. */
static bool add_rules(scmp_filter_ctx filter, bool threads)
{
    const uint32_t allow = SCMP_ACT_ALLOW;
    const scmp_datum_t writing = O_ACCMODE | O_CREAT | O_TRUNC;
    bool good = true;
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
        good = good && seccomp_rule_add(filter, allow, harmless[i], 0) == 0;
    /* Opening to read; its own file once (see child.c); asking whether a pipe is a terminal;
     * asking for limits; flags of descriptors. (The last 0 of an equality means nothing.) */
    good = good && seccomp_rule_add(filter, allow, SCMP_SYS(open), 1,
                                    SCMP_A1(SCMP_CMP_MASKED_EQ, writing, 0)) == 0;
    good = good && seccomp_rule_add(filter, allow, SCMP_SYS(openat), 1,
                                    SCMP_A2(SCMP_CMP_MASKED_EQ, writing, 0)) == 0;
    good = good && seccomp_rule_add(filter, allow, SCMP_SYS(execveat), 1,
                                    SCMP_A0(SCMP_CMP_EQ, ML_CHILD_TOOL_FD, 0)) == 0;
    good = good && seccomp_rule_add(filter, allow, SCMP_SYS(ioctl), 1,
                                    SCMP_A1(SCMP_CMP_EQ, TCGETS, 0)) == 0;
    good = good &&
           seccomp_rule_add(filter, allow, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0, 0)) == 0;
    static const int flags[] = {F_GETFD, F_SETFD, F_GETFL};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        good = good && seccomp_rule_add(filter, allow, SCMP_SYS(fcntl), 1,
                                        SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)flags[i], 0)) == 0;
    /* A filter sees the flags of clone, but not those of clone3, for which libraries then take
     * clone. */
    if (threads)
        good = good &&
               seccomp_rule_add(filter, allow, SCMP_SYS(clone), 1,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)) == 0 &&
               seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
    return good;
}

/* The filter's program out of libseccomp, which gives it to a file only. */
static int export_rules(scmp_filter_ctx filter, struct sock_filter **rules, struct sock_fprog *lock,
                        struct ml_error *err)
{
    int file = memfd_create("maliang-lock", MFD_CLOEXEC), status = 0;
    off_t size = file >= 0 && seccomp_export_bpf(filter, file) == 0 ? lseek(file, 0, SEEK_END) : 0;
    struct sock_filter *program = size > 0 ? ml_mem_alloc((size_t)size) : NULL;
    if (size > 0 && !program)
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory locking up a reader");
    else if (size <= 0 || (size_t)size / sizeof *program > UINT16_MAX ||
             pread(file, program, (size_t)size, 0) != (ssize_t)size)
        status = ml_fail(err, ML_ERR_IO, "the list of system calls for a reader cannot be written");
    if (file >= 0)
        close(file);
    if (status) {
        ml_mem_free(program);
        return status;
    }
    *rules = program;
    *lock = (struct sock_fprog){.len = (unsigned short)((size_t)size / sizeof *program),
                                .filter = program};
    return 0;
}

int ml_child_lock(struct sock_filter **rules, struct sock_fprog *lock, bool threads,
                  struct ml_error *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory locking up a reader");
    int status = add_rules(filter, threads)
                     ? export_rules(filter, rules, lock, err)
                     : ml_fail(err, ML_ERR_UNSUPPORTED,
                               "libseccomp does not know the system calls of this machine");
    seccomp_release(filter);
    return status;
}

#endif
