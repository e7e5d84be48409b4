#include "perf/host.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "perf/names.h"

/* The text after "<key>" and blanks or colons in a file of such lines; false if absent.
 */
static int find_line(const char *path, const char *key, char *value, size_t value_nbytes)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    char line[512];
    int found = 0;
    while (!found && fgets(line, sizeof line, file)) {
        size_t length = strlen(key);
        if (strncmp(line, key, length) != 0)
            continue;
        const char *p = line + length;
        p += strspn(p, " \t:");
        snprintf(value, value_nbytes, "%.*s", (int)strcspn(p, "\n"), p);
        found = 1;
    }
    fclose(file);
    return found;
}

static size_t kilobytes(const char *path, const char *key)
{
    char value[128];
    return find_line(path, key, value, sizeof value)
               ? (size_t)strtoull(value, NULL, 10) * 1024
               : 0;
}

static size_t whole_file(const char *path)
{
    char value[128];
    if (!find_line(path, "", value, sizeof value) || value[0] < '0' || value[0] > '9')
        return SIZE_MAX; /* absent, or "max" */
    return (size_t)strtoull(value, NULL, 10);
}

size_t host_memory_available(void)
{
    size_t available = kilobytes("/proc/meminfo", "MemAvailable");
    size_t limit = whole_file("/sys/fs/cgroup/memory.max");
    size_t used = whole_file("/sys/fs/cgroup/memory.current");
    if (available == 0)
        available = SIZE_MAX;
    if (limit != SIZE_MAX && used != SIZE_MAX && used < limit && limit - used < available)
        available = limit - used;
    return available;
}

size_t host_cache_nbytes(void)
{
    size_t largest = 0;
    for (int index = 0; index < 8; index++) {
        char path[96], value[64];
        size_t nbytes;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size",
                 index);
        if (find_line(path, "", value, sizeof value) &&
            names_size_parse(value, &nbytes) == NAMES_SIZE_GOOD && nbytes > largest)
            largest = nbytes;
    }
    return largest ? largest : (size_t)32 << 20;
}

size_t host_resident_nbytes(void)
{
    return kilobytes("/proc/self/status", "VmRSS");
}

size_t host_resident_peak_nbytes(void)
{
    return kilobytes("/proc/self/status", "VmHWM");
}

void host_cpu_model(char *text, size_t text_nbytes)
{
    if (!find_line("/proc/cpuinfo", "model name", text, text_nbytes))
        snprintf(text, text_nbytes, "cpu");
}
