/* The sub-commands of the tool `trnccl`: a table of names, as deep as needed. */
#ifndef TRNCCL_PERF_TRNCCL_COMMAND_H
#define TRNCCL_PERF_TRNCCL_COMMAND_H

#define TOOL_NAME "trnccl"

/* Exit statuses, documented in the manual page. */
enum tool_exit {
    TOOL_EXIT_OK = 0,
    TOOL_EXIT_REFUSED = 1, /* what was to be proved is not so */
    TOOL_EXIT_USAGE = 2,
    TOOL_EXIT_FAILED = 3, /* a file, memory, another program */
};

struct tool_command {
    const char *name;    /* "schedule" */
    const char *summary; /* half a line */
    /* argv[0] is the whole name so far, "trnccl schedule"; returns the exit status. */
    int (*run)(int argc, char **argv);
};

/* Runs the command that argv[1] names, of a table that ends without a name. An unknown or
 * missing name is answered with the valid ones and TOOL_EXIT_USAGE; --help with 0. */
int tool_dispatch(const struct tool_command *table, int argc, char **argv);

/* Tables of sub-commands. */
extern const struct tool_command tool_schedule_commands[];
extern const struct tool_command tool_topo_commands[];

#endif
