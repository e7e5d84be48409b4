/* leaks: runs one test program and fails it if it leaves something behind.
 *
 *     leaks [-t SECONDS] PROGRAM [ARGUMENT...]
 *
 * Automake's LOG_COMPILER. The exit status is the program's own (128 + signal if a signal
 * ended it), unless one of these is left when it has ended:
 *   - a process it started, however detached: this program is the reaper of all its
 *     descendants (PR_SET_CHILD_SUBREAPER). Processes get GRACE_MS to be gone;
 *   - a file in its temporary directory: it gets one of its own by TMPDIR;
 *   - an entry of /dev/shm or of /tmp itself. Other programs use these at the same time,
 *     so an entry must be shown to be the test's: as root the test runs under a group id
 *     that nothing else on the machine uses, and what it creates carries that id. Without
 *     root only an entry that is new and has the id of one of its processes in its name
 * is blamed. Whatever is found is named, removed, and makes the status 1. After SECONDS
 * (600, or TEST_TIMEOUT_S) the program is killed with all its descendants. Descriptors
 * and mappings inside a test program are the business of leakcheck.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GRACE_MS 1000
#define GID_FIRST 20000
#define GID_COUNT 40000
#define MAX_PIDS 4096

static char private_dir[PATH_MAX];
static gid_t private_gid; /* 0: none */
static struct timespec started;
static pid_t seen[MAX_PIDS]; /* children that were ours, for names in /dev/shm */
static int nseen;
static int main_status = -1;
static const char *program;

/* ---- descendants --------------------------------------------------------------------
 */

static void remember(pid_t pid)
{
    if (nseen < MAX_PIDS)
        seen[nseen++] = pid;
}

/* Calls visit for every live child of this process; returns their number. */
static int children_visit(void (*visit)(pid_t pid))
{
    DIR *proc = opendir("/proc");
    if (proc == NULL)
        return 0;
    int n = 0;
    for (struct dirent *e; (e = readdir(proc)) != NULL;) {
        pid_t pid = (pid_t)atoi(e->d_name);
        char path[64], text[512];
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        int fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (fd < 0)
            continue;
        ssize_t got = read(fd, text, sizeof text - 1);
        close(fd);
        text[got > 0 ? got : 0] = '\0';
        /* The name in parentheses may hold anything, also parentheses. */
        const char *after = strrchr(text, ')');
        int parent;
        char state;
        if (after != NULL && sscanf(after + 1, " %c %d", &state, &parent) == 2 &&
            parent == getpid() && state != 'Z') {
            visit(pid);
            n++;
        }
    }
    closedir(proc);
    return n;
}

static void process_print(pid_t pid)
{
    char path[64], text[256] = "?";
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    for (ssize_t i = 0; i + 1 < n; i++)
        if (text[i] == '\0')
            text[i] = ' ';
    text[n > 0 ? n : 1] = '\0';
    fprintf(stderr, "leaks: %s left process %d behind: %s\n", program, (int)pid, text);
}

static void process_kill(pid_t pid)
{
    kill(pid, SIGKILL);
}

/* Reaps what has ended. False once there is no child at all. */
static bool reap(pid_t test)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == 0)
            return true;
        if (pid < 0)
            return false;
        remember(pid);
        if (pid == test)
            main_status = status;
    }
}

/* Orphans of the killed become our children, so this ends only when all are gone. */
static void kill_all(pid_t test)
{
    while (reap(test)) {
        children_visit(process_kill);
        usleep(2000);
    }
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits for the test. Returns 0, or why it was ended early as an exit status. */
static int wait_for_test(pid_t test, const sigset_t *signals, int limit_s)
{
    int64_t end = now_ms() + (int64_t)limit_s * 1000;
    while (reap(test) && main_status < 0) {
        int64_t left = end - now_ms();
        if (left <= 0) {
            fprintf(stderr, "leaks: %s killed: not done after %d s\n", program, limit_s);
            kill_all(test);
            return 124;
        }
        struct timespec wait = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
        int sig = sigtimedwait(signals, NULL, &wait);
        if (sig > 0 && sig != SIGCHLD) {
            kill_all(test);
            return 128 + sig;
        }
    }
    return 0;
}

static int check_processes(pid_t test)
{
    int64_t end = now_ms() + GRACE_MS;
    while (reap(test)) {
        if (now_ms() >= end) {
            int n = children_visit(process_print);
            kill_all(test);
            return n;
        }
        usleep(2000);
    }
    return 0;
}

/* ---- files --------------------------------------------------------------------------
 */

static int tree_print(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    if (ftw->level > 0)
        fprintf(stderr, "leaks: %s left %s behind\n", program, path);
    return 0;
}

static int tree_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int check_private_dir(void)
{
    if (rmdir(private_dir) == 0)
        return 0;
    nftw(private_dir, tree_print, 8, FTW_PHYS);
    nftw(private_dir, tree_remove, 8, FTW_PHYS | FTW_DEPTH);
    return 1;
}

/* Whether name holds one of our processes' ids as a whole number. */
static bool name_has_our_pid(const char *name)
{
    for (const char *p = name; *p != '\0'; p++) {
        if (*p < '0' || *p > '9')
            continue;
        char *end;
        long number = strtol(p, &end, 10);
        for (int i = 0; i < nseen; i++)
            if (number == seen[i])
                return true;
        p = end - 1;
    }
    return false;
}

static bool is_ours(const char *name, const struct stat *st)
{
    if (private_gid != 0)
        return st->st_gid == private_gid;
    bool is_new =
        st->st_ctim.tv_sec > started.tv_sec ||
        (st->st_ctim.tv_sec == started.tv_sec && st->st_ctim.tv_nsec >= started.tv_nsec);
    return is_new && st->st_uid == getuid() && name_has_our_pid(name);
}

/* Looks for entries of ours in a directory that everybody uses. */
static int check_shared_dir(const char *directory, bool report)
{
    DIR *dir = opendir(directory);
    if (dir == NULL)
        return 0;
    int n = 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !is_ours(e->d_name, &st))
            continue;
        n++;
        if (!report)
            continue;
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
        fprintf(stderr, "leaks: %s left %s behind\n", program, path);
        nftw(path, tree_remove, 8, FTW_PHYS | FTW_DEPTH);
    }
    closedir(dir);
    return n;
}

/* ---- start --------------------------------------------------------------------------
 */

/* A group id that no other leaks process has: an abstract socket named after it is the
 * lock, which vanishes with us. */
static void claim_gid(void)
{
    if (geteuid() != 0)
        return;
    for (int i = 0; i < 100 && private_gid == 0; i++) {
        gid_t gid = GID_FIRST + (gid_t)((getpid() + i * 7919) % GID_COUNT);
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int n = snprintf(address.sun_path + 1, sizeof address.sun_path - 1,
                         "trnccl-leaks-gid-%u", gid);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            return;
        socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
        private_gid = gid;
        if (bind(fd, (struct sockaddr *)&address, size) != 0 ||
            check_shared_dir("/dev/shm", false) + check_shared_dir("/tmp", false) != 0) {
            private_gid = 0;
            close(fd);
        }
    }
}

static void run_test(char **argv, const sigset_t *mask)
{
    sigprocmask(SIG_SETMASK, mask, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid();
    /* All three ids: a difference would make exec distrust the environment. Refused where
     * the id has no meaning (some containers): the parent asks for it first. */
    if (private_gid != 0 && setresgid(private_gid, private_gid, private_gid) != 0)
        _exit(99);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        close(null);
    }
    setenv("TMPDIR", private_dir, 1);
    execvp(argv[0], argv);
    fprintf(stderr, "leaks: cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* Whether processes here may take that group id, tried in a child. */
static bool gid_usable(gid_t gid)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(setresgid(gid, gid, gid) == 0 ? 0 : 1);
    int status = 1;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void make_private_dir(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(private_dir, sizeof private_dir, "%s/trn.XXXXXX",
             base != NULL && base[0] != '\0' ? base : "/tmp");
    if (mkdtemp(private_dir) == NULL) {
        fprintf(stderr, "leaks: cannot make %s: %s\n", private_dir, strerror(errno));
        exit(99);
    }
}

static int exit_status(int status)
{
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    fprintf(stderr, "leaks: %s was ended by signal %d (%s)\n", program, WTERMSIG(status),
            strsignal(WTERMSIG(status)));
    return 128 + WTERMSIG(status);
}

static int time_limit(const char *text)
{
    int seconds = text != NULL ? atoi(text) : 600;
    if (seconds <= 0) {
        fprintf(stderr, "leaks: '%s': expected a number of seconds > 0\n", text);
        exit(99);
    }
    return seconds;
}

int main(int argc, char **argv)
{
    int limit_s = time_limit(getenv("TEST_TIMEOUT_S"));
    int first = 1;
    if (argc > 2 && strcmp(argv[1], "-t") == 0) {
        limit_s = time_limit(argv[2]);
        first = 3;
    }
    if (first >= argc) {
        fprintf(stderr, "usage: leaks [-t SECONDS] PROGRAM [ARGUMENT...]\n");
        return 99;
    }
    program = argv[first];

    sigset_t signals, before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, &before);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    make_private_dir();
    claim_gid();
    if (private_gid != 0 && !gid_usable(private_gid))
        private_gid = 0;
    /* File times come from a coarser clock. */
    clock_gettime(CLOCK_REALTIME_COARSE, &started);

    pid_t test = fork();
    if (test < 0) {
        fprintf(stderr, "leaks: fork: %s\n", strerror(errno));
        return 99;
    }
    if (test == 0)
        run_test(argv + first, &before);

    int ended = wait_for_test(test, &signals, limit_s);
    int leaks = check_processes(test);
    leaks += check_private_dir();
    leaks += check_shared_dir("/dev/shm", true);
    leaks += check_shared_dir("/tmp", true);
    if (ended != 0)
        return ended;
    int status = exit_status(main_status);
    return leaks != 0 && (status == 0 || status == 77) ? 1 : status;
}
