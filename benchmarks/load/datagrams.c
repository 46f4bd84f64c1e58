/* Echoed datagrams. Lost datagrams are sent again. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct source {
    int fd;
    unsigned sequence;
    char *message;
    double heard;
};

static void sendOne(struct source *each)
{
    numberMessage(each->message, each->sequence++);
    if (send(each->fd, each->message, options.size, 0) < 0 && errno != EAGAIN)
        fail("send");
}

static unsigned receive(struct source *each)
{
    unsigned count = 0;
    char answer[65536];
    ssize_t got;
    while ((got = recv(each->fd, answer, sizeof answer, 0)) >= 0) {
        errno = 0;
        /* Any outstanding number is valid. */
        const char *content = answer + options.prefix;
        if (got != options.prefix + options.size
            || memcmp(content + SEQUENCE_BYTES, each->message + SEQUENCE_BYTES,
                      options.size - SEQUENCE_BYTES))
            fail("the server sent something else");
        count++;
        sendOne(each);
    }
    if (errno != EAGAIN)
        fail("recv");
    return count;
}

void datagrams(void)
{
    struct source *sources = calloc(options.connections, sizeof *sources);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options.port)};
    struct epoll_event events[512];
    struct stopwatch stopwatch;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    long count = 0;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    startStopwatch(&stopwatch);
    for (unsigned number = 0; number < options.connections; number++) {
        struct source *each = sources + number;
        each->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (each->fd < 0 || connect(each->fd, (struct sockaddr *)&address, sizeof address))
            fail("socket");
        each->message = malloc(options.size);
        makeMessage(each->message, number, 0);
        watch(epoll, each->fd, EPOLLIN, number);
    }
    while (running(&stopwatch, count)) {
        int ready = epoll_wait(epoll, events, 512, 20);
        double time = now();
        for (int event = 0; event < ready; event++) {
            struct source *each = sources + events[event].data.u32;
            count += receive(each);
            each->heard = time;
        }
        for (long number = 0; number < options.connections; number++)
            if (time - sources[number].heard > 0.05) {
                sources[number].heard = time;
                for (long each = 0; each < options.window; each++)
                    sendOne(sources + number);
            }
    }
    report(&stopwatch, count);
}
