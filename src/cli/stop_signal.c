#include "cli/stop_signal.h"

#include "cli/say.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static sem_t came;
static volatile sig_atomic_t is_deferred, is_asked, is_reload_asked;

static void on_signal(int number)
{
    int code = errno;
    (void)number;
    if (!is_deferred) _exit(EXIT_DONE);
    if (is_asked) _exit(EXIT_FAILED);
    is_asked = 1;
    sem_post(&came);
    errno = code;
}

static void on_hangup(int number)
{
    int code = errno;
    (void)number;
    is_reload_asked = 1;
    sem_post(&came);
    errno = code;
}

void stop_signal_install(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sem_init(&came, 0, 0);
    /* One at a time, so that two threads cannot both be the first. */
    sigaddset(&action.sa_mask, SIGTERM);
    sigaddset(&action.sa_mask, SIGINT);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = on_hangup;
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a reader of our output that went away is no reason to end */
}

void stop_signal_defer(void)
{
    is_deferred = 1;
}

enum stop_signal stop_signal_wait(void)
{
    for (;;) {
        if (is_asked) return STOP_SIGNAL_STOP;
        if (is_reload_asked) {
            is_reload_asked = 0;
            return STOP_SIGNAL_RELOAD;
        }
        while (sem_wait(&came) != 0 && errno == EINTR)
            continue;
    }
}
