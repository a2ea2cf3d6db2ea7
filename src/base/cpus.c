/* How many processors we may use: what the scheduler allows (affinity) and what a container pays
 * for (CPU quota of the control group, version 2 or 1), whichever is less. */
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/threads.h"

#define MAX_PROCESSORS 8192

static int affinity_count(void)
{
    /* A plain array of words instead of CPU_ALLOC, which is malloc in disguise. */
    unsigned long words[MAX_PROCESSORS / (8 * sizeof(unsigned long))] = {0};
    if (sched_getaffinity(0, sizeof words, (cpu_set_t *)(void *)words) == 0) {
        int count = 0;
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
            count += __builtin_popcountl(words[i]);
        if (count > 0)
            return count;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

/* The first line of a file, without its newline; false when there is none. */
static bool read_line(const char *path, char *line, int size)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool read = fgets(line, size, file) != NULL;
    fclose(file);
    if (read)
        line[strcspn(line, "\n")] = '\0';
    return read;
}

static int processors_of(double quota, double period, int least)
{
    if (quota <= 0 || period <= 0)
        return least;
    double count = quota / period;
    int whole = count < MAX_PROCESSORS ? (int)count : MAX_PROCESSORS;
    whole += count > whole; /* 1.5 processors keep two threads busy better than one */
    whole = whole < 1 ? 1 : whole;
    return whole < least ? whole : least;
}

/* The quota of one control group folder, at most `least`. */
static int quota_of(const char *folder, int least)
{
    char path[4096 + 64], line[128];
    double quota, period;
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (read_line(path, line, sizeof line))
        return sscanf(line, "%lf %lf", &quota, &period) == 2 ? processors_of(quota, period, least)
                                                             : least; /* "max 100000" */
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (!read_line(path, line, sizeof line))
        return least;
    quota = strtod(line, NULL);
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    if (!read_line(path, line, sizeof line))
        return least;
    return processors_of(quota, strtod(line, NULL), least);
}

/* A group's parents limit it too. `folder` is eaten from its end, down to the mount point. */
static int quota_of_parents(char *folder, size_t mount, int least)
{
    for (;;) {
        least = quota_of(folder, least);
        char *slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < mount)
            return least;
        *slash = '\0';
    }
}

/* One line of /proc/self/cgroup: "0::/path" (version 2) or "4:cpu,cpuacct:/path" (version 1). */
static int quota_of_line(char *line, int least)
{
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path)
        return least;
    *path++ = '\0';
    controllers++;
    const char *mount = NULL;
    if (*controllers == '\0')
        mount = "/sys/fs/cgroup";
    else if (strcmp(controllers, "cpu") == 0 || strncmp(controllers, "cpu,", 4) == 0 ||
             strstr(controllers, ",cpu,") || strcmp(controllers, "cpuacct,cpu") == 0)
        mount = "/sys/fs/cgroup/cpu";
    if (!mount)
        return least;
    char folder[4096];
    int length = snprintf(folder, sizeof folder, "%s%s", mount, strcmp(path, "/") ? path : "");
    if (length < 0 || (size_t)length >= sizeof folder)
        return least;
    return quota_of_parents(folder, strlen(mount), least);
}

int ml_cpu_count(void)
{
    int count = affinity_count();
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file)
        return count;
    char line[4096];
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        count = quota_of_line(line, count);
    }
    fclose(file);
    return count;
}
