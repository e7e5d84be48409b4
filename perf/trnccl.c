/* trnccl: looks at what trn-collective-perf and the library run. See the manual page.
 * Each command is a line of a table and a file perf/trnccl_COMMAND.c. */
#include "perf/trnccl_command.h"

static int run_schedule(int argc, char **argv)
{
    return tool_dispatch(tool_schedule_commands, argc, argv);
}

static int run_topo(int argc, char **argv)
{
    return tool_dispatch(tool_topo_commands, argc, argv);
}

static const struct tool_command commands[] = {
    {"schedule", "show, prove, draw, import and export schedules", run_schedule},
    {"topo", "list, show, save and compare machines; bounds on them", run_topo},
    {0},
};

int main(int argc, char **argv)
{
    static char name[] = TOOL_NAME;
    argv[0] = name;
    return tool_dispatch(commands, argc, argv);
}
