/* Repeated policy requests, each on a new connection. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char request[] = "<policy-file-request/>";

struct question {
    int fd;
    size_t length;
    char answer[4096];
};

static void ask(struct question *each, int epoll, unsigned number, unsigned from)
{
    each->length = 0;
    each->fd = connectTo(from);
    writeAll(each->fd, request, sizeof request);
    watch(epoll, each->fd, EPOLLIN, number);
}

/* A policy file, its NUL byte, and no further data. */
static void check(const struct question *each)
{
    errno = 0;
    if (!each->length || memchr(each->answer, 0, each->length) != each->answer + each->length - 1
        || !strstr(each->answer, "<cross-domain-policy>")
        || !strstr(each->answer, "</cross-domain-policy>"))
        fail("the server sent no policy file");
}

void policy(void)
{
    struct question *questions = calloc(options.connections, sizeof *questions);
    struct epoll_event events[512];
    struct stopwatch stopwatch;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    unsigned from = 0;
    long count = 0;
    startStopwatch(&stopwatch);
    for (unsigned number = 0; number < options.connections; number++)
        ask(questions + number, epoll, number, from++);
    while (running(&stopwatch, count)) {
        int ready = epoll_wait(epoll, events, 512, 1000);
        for (int event = 0; event < ready; event++) {
            struct question *each = questions + events[event].data.u32;
            size_t room = sizeof each->answer - each->length;
            ssize_t got = recv(each->fd, each->answer + each->length, room, 0);
            if (got < 0 && errno == EAGAIN)
                continue;
            if (got < 0 || (size_t)got == room)
                fail("no answer, or too much of one");
            each->length += got;
            if (got)
                continue;
            check(each);
            close(each->fd);
            count++;
            ask(each, epoll, events[event].data.u32, from++);
        }
    }
    report(&stopwatch, count);
}
