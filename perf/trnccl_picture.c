#include "perf/trnccl_picture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "sched/text.h"

extern char **environ;

const char *picture_format(const char *path)
{
    static const char *const formats[] = {"svg", "png", "pdf"};
    const char *dot = path ? strrchr(path, '.') : NULL;
    for (size_t i = 0; dot && i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(dot + 1, formats[i]) == 0)
            return formats[i];
    return NULL;
}

/* Starts Graphviz with a pipe for its input. */
static trncclResult_t start_dot(const char *path, const char *format, FILE **input,
                                pid_t *pid)
{
    char type[16], program[] = "dot", output[] = "-o";
    char *argv[] = {program, type, output, (char *)(uintptr_t)path, NULL};
    int ends[2];
    snprintf(type, sizeof type, "-T%s", format);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set_errno(trncclSystemError, errno, "no pipe to Graphviz");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
    int failed = posix_spawnp(pid, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[0]);
    if (failed) {
        close(ends[1]);
        return error_set_errno(trncclSystemError, failed,
                               "cannot run Graphviz's dot (Debian: apt-get install "
                               "graphviz; without it, draw to a file ending in .dot)");
    }
    *input = fdopen(ends[1], "w");
    if (!*input)
        close(ends[1]);
    return trncclSuccess;
}

trncclResult_t picture_draw(const char *path, const char *format,
                            struct sched *const *ranks, int32_t nranks)
{
    FILE *input = NULL;
    pid_t pid = 0;
    TRY(start_dot(path, format, &input, &pid));
    signal(SIGPIPE, SIG_IGN); /* if dot ends early, its status says so */
    trncclResult_t result = input ? text_dot(input, ranks, nranks)
                                  : error_set(trncclSystemError, "no memory");
    if (input)
        fclose(input);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (result == trncclSuccess && status != 0)
        result = error_set(trncclSystemError, "Graphviz's dot failed to draw %s", path);
    return result;
}
