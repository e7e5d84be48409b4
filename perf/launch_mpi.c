#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "config.h"
#include "perf/fail.h"
#include "perf/launch.h"
#include "perf/mpi_module.h"

int launch_mpi_size(const char **name)
{
    /* Open MPI; MPICH and Slurm's PMI-2; any PMIx launcher that says it. */
    static const char *const variables[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *text = getenv(variables[i]);
        if (text && *text) {
            *name = variables[i];
            return atoi(text);
        }
    }
    /* srun --mpi=pmix sets the rank but not the size. */
    const char *tasks = getenv("SLURM_NTASKS");
    if (getenv("PMIX_RANK") && tasks) {
        *name = "SLURM_NTASKS";
        return atoi(tasks);
    }
    return 0;
}

#ifdef HAVE_MPI

static void *open_beside_program(void)
{
    static const char *const places[] = {"", ".libs/", "../.libs/"};
    char program[PATH_MAX], path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0)
        return NULL;
    program[length] = '\0';
    char *slash = strrchr(program, '/');
    if (!slash)
        return NULL;
    slash[1] = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (snprintf(path, sizeof path, "%s%s%s", program, places[i], MPI_MODULE_FILE) <
                (int)sizeof path &&
            access(path, R_OK) == 0)
            return dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    }
    return NULL;
}

/* Installed, it lies in the package's library directory; in a build tree, beside the
 * program. */
static const struct mpi_module *open_module(void)
{
    dlerror();
    void *handle = open_beside_program();
    if (!handle)
        handle = dlopen(PERF_MODULE_DIR "/" MPI_MODULE_FILE, RTLD_NOW | RTLD_GLOBAL);
    if (!handle)
        fail_with("started by an MPI launcher, but the MPI module does not load: %s",
                  dlerror());
    const struct mpi_module *module = dlsym(handle, MPI_MODULE_SYMBOL);
    if (!module)
        fail_with("the MPI module has no " MPI_MODULE_SYMBOL ": %s", dlerror());
    return module;
}

static void gather(void *context, const void *mine, void *all, size_t nbytes)
{
    const struct mpi_module *module = context;
    if (module->allgather(mine, all, nbytes) != 0)
        fail_with("MPI_Allgather of %zu bytes failed", nbytes);
}

struct mpi_sink {
    const struct mpi_module *module;
    int rank;
};

/* The first to speak ends all, so that the reason appears once: a rank that only echoes
 * another's end waits for that one, and among equals the lowest rank speaks. */
static void say(void *context, const struct failure *f)
{
    const struct mpi_sink *sink = context;
    int place = sink->rank < 20 ? sink->rank : 20;
    usleep((useconds_t)((f->secondary ? 150 : 0) + 25 * place) * 1000);
    fprintf(stderr, PERF_NAME ": %s\n", f->sentence);
    fflush(stderr);
    sink->module->abort(f->status);
    _exit(f->status);
}

int launch_mpi(const struct options *o, launch_body body, int expected)
{
    const struct mpi_module *module = open_module();
    struct launch l = {.under_mpi = true};
    int rank = 0, size = 1;
    if (module->init(&rank, &size) != 0)
        fail_with("MPI_Init_thread failed or offers less than MPI_THREAD_SERIALIZED");
    if (size != expected)
        fail_with(
            "the launcher started %d processes but %s sees %d: is the launcher another "
            "MPI's?",
            expected, module->version(), size);
    l.link = (struct team_link){.nprocs = size,
                                .proc = rank,
                                .allgather = gather,
                                .context = (void *)(uintptr_t)module};
    struct mpi_sink sink = {module, rank};
    fail_sink_set(say, &sink);
    int status = body(o, &l);
    module->finalize();
    fail_sink_set(NULL, NULL);
    return status;
}

#else

int launch_mpi(const struct options *o, launch_body body, int expected)
{
    (void)o, (void)body;
    fprintf(stderr,
            PERF_NAME ": started by an MPI launcher with %d processes, but built without "
                      "MPI; use -P %d, or configure --with-mpi\n",
            expected, expected);
    return PERF_EXIT_USAGE;
}

#endif
