/* worker/last_words.c - the signal that ends a worker, named on standard error,
 * where the daemon finds it. Only async-signal-safe calls; the default action,
 * restored by SA_RESETHAND, does the rest. */
#include "worker/worker.h"
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const struct {
    int number;
    const char *line;
} fatal[] = {
    {SIGSEGV, "berth-worker: died of SIGSEGV (a bad memory access)\n"},
    {SIGBUS, "berth-worker: died of SIGBUS (a file got shorter, or bad "
             "memory)\n"},
    {SIGFPE, "berth-worker: died of SIGFPE (bad arithmetic)\n"},
    {SIGILL, "berth-worker: died of SIGILL (an instruction that this processor "
             "does not have)\n"},
    {SIGABRT, "berth-worker: died of SIGABRT (gave up, or was told to)\n"},
    {SIGSYS, "berth-worker: died of SIGSYS (a forbidden system call)\n"},
};

static void say(int number)
{
    for (size_t i = 0; i < ARRAY_LEN(fatal); i++) {
        if (fatal[i].number != number)
            continue;
        ssize_t n = write(STDERR_FILENO, fatal[i].line, strlen(fatal[i].line));
        (void)n;
    }
    raise(number); /* sent from outside, it would not come again by itself */
}

/* The stack is for a main thread that ran out of its own. */
void last_words_arm(void *stack, size_t size)
{
    const stack_t own = {.ss_sp = stack, .ss_size = size};
    struct sigaction on = {.sa_handler = say,
                           .sa_flags = SA_RESETHAND | SA_NODEFER | SA_ONSTACK};
    sigemptyset(&on.sa_mask);
    sigaltstack(&own, NULL);
    for (size_t i = 0; i < ARRAY_LEN(fatal); i++)
        sigaction(fatal[i].number, &on, NULL);
}
