/* One large message at a time, sent in chunks and echoed as a whole. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static char input[1 << 20];

static void roundTrip(int fd, int epoll, const char *message)
{
    size_t size = options.size, sent = 0, received = 0;
    while (received < size) {
        struct epoll_event event;
        bool blocked = sent == size;
        if (!blocked) {
            size_t chunk = size - sent < (size_t)options.chunk ? size - sent : (size_t)options.chunk;
            ssize_t written = send(fd, message + sent, chunk, MSG_NOSIGNAL);
            if (written < 0 && errno != EAGAIN)
                fail("send");
            blocked = written < 0;
            sent += written > 0 ? written : 0;
        }
        if (epoll_wait(epoll, &event, 1, blocked ? 1 : 0) < 1)
            continue;
        ssize_t got = recv(fd, input, sizeof input, 0);
        if (got < 0 && errno == EAGAIN)
            continue;
        errno = 0;
        if (got <= 0)
            fail("the server has closed");
        if (received + got > size || memcmp(input, message + received, got))
            fail("the server sent something else");
        received += got;
    }
}

void large(void)
{
    struct stopwatch stopwatch;
    long count = 0;
    int fd = connectTo(0), epoll = epoll_create1(EPOLL_CLOEXEC);
    char *message = malloc(options.size);
    makeMessage(message, 0, 0);
    watch(epoll, fd, EPOLLIN, 0);
    startStopwatch(&stopwatch);
    while (running(&stopwatch, count)) {
        numberMessage(message, count);
        roundTrip(fd, epoll, message);
        count++;
    }
    report(&stopwatch, count);
}
