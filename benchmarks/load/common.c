/* Sockets, time and messages. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

void fail(const char *what)
{
    fprintf(stderr, "load: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static double serverCPU(void)
{
    double total = 0;
    for (long each = 0; each < options.pids; each++) {
        struct timespec time;
        clockid_t clock;
        if (clock_getcpuclockid(options.pid[each], &clock) || clock_gettime(clock, &time))
            fail("the server's process is gone");
        total += time.tv_sec + time.tv_nsec / 1e9;
    }
    return total;
}

void startStopwatch(struct stopwatch *watch)
{
    watch->phase = 0;
    watch->counted = 0;
    watch->ends = now() + options.warmup / 1e3;
}

/* Return whether to continue. Called after each completed unit. */
bool running(struct stopwatch *watch, long count)
{
    double time = now();
    /* Each connection completes a unit in each phase. */
    if (time < watch->ends || count - watch->counted < options.connections)
        return true;
    if (watch->phase)
        return false;
    watch->phase = 1;
    watch->counted = count;
    watch->began = time;
    watch->ends = time + options.duration / 1e3;
    watch->cpu = serverCPU();
    return true;
}

void report(struct stopwatch *watch, long count)
{
    double cpu = serverCPU() - watch->cpu;
    printf("{\"count\": %ld, \"cpu\": %.9f, \"elapsed\": %.6f}\n", count - watch->counted, cpu,
           now() - watch->began);
}

int connectTo(unsigned from)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + from % 200);
    if (bind(fd, (struct sockaddr *)&address, sizeof address))
        fail("bind");
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(options.port);
    if (connect(fd, (struct sockaddr *)&address, sizeof address))
        fail("connect");
    return fd;
}

static void control(int epoll, int what, int fd, uint32_t events, unsigned number)
{
    struct epoll_event event = {.events = events, .data.u32 = number};
    if (epoll_ctl(epoll, what, fd, &event))
        fail("epoll_ctl");
}

/* Make the socket non-blocking. */
void watch(int epoll, int fd, uint32_t events, unsigned number)
{
    fcntl(fd, F_SETFL, O_NONBLOCK);
    control(epoll, EPOLL_CTL_ADD, fd, events, number);
}

void rewatch(int epoll, int fd, uint32_t events, unsigned number)
{
    control(epoll, EPOLL_CTL_MOD, fd, events, number);
}

void writeAll(int fd, const void *data, size_t length)
{
    for (const char *place = data; length;) {
        ssize_t written = write(fd, place, length);
        if (written < 0)
            fail("write");
        place += written;
        length -= written;
    }
}

void readAll(int fd, const void *expected, size_t length)
{
    char data[length];
    ssize_t got = recv(fd, data, length, MSG_WAITALL);
    errno = got < 0 ? errno : 0;
    if (got != (ssize_t)length || memcmp(data, expected, length))
        fail("the server answered something else");
}

/* Send a message that is too short for a long frame. The mask is 0. */
static void writeMessage(int fd, const char *message)
{
    size_t length = strlen(message) + 1;
    char head[6] = {(char)0x82, (char)(0x80 | length)};
    if (options.websocket)
        writeAll(fd, head, sizeof head);
    writeAll(fd, message, length);
}

void joinRoom(int fd, unsigned number)
{
    char join[64];
    snprintf(join, sizeof join, "<join room=\"r\" name=\"n%u\"/>", number);
    if (options.join)
        writeMessage(fd, "r");
    if (options.say)
        writeMessage(fd, join);
}

/* The key and the accept value are those of the example in RFC 6455. */
void upgrade(int fd)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                                  "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    char head[4096] = "";
    size_t length = 0;
    if (!options.websocket)
        return;
    writeAll(fd, request, sizeof request - 1);
    while (!strstr(head, "\r\n\r\n")) {
        /* No data follows yet, since the server only replies. */
        ssize_t got = read(fd, head + length, sizeof head - 1 - length);
        if (got <= 0)
            fail("no answer to the request for a WebSocket");
        length += got;
        head[length] = 0;
    }
    if (!strstr(head, " 101 ") || !strstr(head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
        fail("no WebSocket");
}

/* The sequence number is encoded in characters of six bits that are valid in XML. */
void numberMessage(char *message, unsigned sequence)
{
    for (int place = 0; place < SEQUENCE_BYTES; place++)
        message[place] = '?' + (sequence >> 6 * place & 63);
}

void makeMessage(char *message, unsigned number, unsigned sequence)
{
    for (long place = 0; place < options.size; place++)
        message[place] = 'a' + (number + place) % 26;
    message[options.size - 1] = 0;
    numberMessage(message, sequence);
}
