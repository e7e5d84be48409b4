#include "perf/trnccl_command.h"

#include <stdio.h>
#include <string.h>

static void list_commands(FILE *file, const struct tool_command *table, const char *name)
{
    fprintf(file, "Usage: %s COMMAND ...\n\n", name);
    for (const struct tool_command *c = table; c->name; c++)
        fprintf(file, "  %-10s %s\n", c->name, c->summary);
    fprintf(file, "\n`%s COMMAND --help` tells more.\n", name);
}

static const struct tool_command *find(const struct tool_command *table, const char *name)
{
    for (const struct tool_command *c = table; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

int tool_dispatch(const struct tool_command *table, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
        strcmp(name, "help") == 0) {
        list_commands(stdout, table, argv[0]);
        return TOOL_EXIT_OK;
    }
    const struct tool_command *command = find(table, name);
    if (!command) {
        fprintf(stderr, *name ? "%s: there is no command \"%s\"\n" : "%s: no command%s\n",
                argv[0], name);
        list_commands(stderr, table, argv[0]);
        return TOOL_EXIT_USAGE;
    }
    char whole[128];
    snprintf(whole, sizeof whole, "%s %s", argv[0], command->name);
    argv[1] = whole;
    return command->run(argc - 1, argv + 1);
}
