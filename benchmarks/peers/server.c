/*
 * A plain server on epoll: echo, broadcast, WebSocket, policy or datagrams.
 *
 * It is not tuned. Its cost is little more than that of the kernel.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct buffer {
    char *data;
    size_t length, room;
};

struct connection {
    int fd;
    bool upgraded;
    struct buffer in, out;
    size_t outPlace;
    size_t index; /* in the list of all clients */
};

static int epoll;
static struct connection **all;
static size_t count, room;
static char input[1 << 18];
static void (*received)(struct connection *each, char *data, size_t length);

static void append(struct buffer *buffer, const char *data, size_t length)
{
    if (buffer->length + length > buffer->room) {
        buffer->room = 2 * (buffer->length + length);
        buffer->data = realloc(buffer->data, buffer->room);
    }
    memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
}

static void forget(struct buffer *buffer)
{
    free(buffer->data);
    memset(buffer, 0, sizeof *buffer);
}

static void follow(int what, struct connection *each, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = each};
    epoll_ctl(epoll, what, each->fd, &event);
}

static void lose(struct connection *each)
{
    close(each->fd);
    all[each->index] = all[--count];
    all[each->index]->index = each->index;
    forget(&each->in);
    forget(&each->out);
    free(each);
}

/* Send the pending data and new data. Keep the bytes that the kernel does not accept. */
static void sendTo(struct connection *each, const char *data, size_t length)
{
    ssize_t sent = 0;
    if (!each->out.length) {
        sent = send(each->fd, data, length, MSG_NOSIGNAL);
        if (sent == (ssize_t)length)
            return;
        if (sent < 0)
            sent = 0;
        follow(EPOLL_CTL_MOD, each, EPOLLIN | EPOLLOUT);
    }
    append(&each->out, data + sent, length - sent);
}

static void writable(struct connection *each)
{
    size_t length = each->out.length - each->outPlace;
    ssize_t sent = send(each->fd, each->out.data + each->outPlace, length, MSG_NOSIGNAL);
    each->outPlace += sent > 0 ? sent : 0;
    if (each->outPlace == each->out.length) {
        forget(&each->out);
        each->outPlace = 0;
        follow(EPOLL_CTL_MOD, each, EPOLLIN);
    }
}

/* Find the complete messages, and process them in one call. */
static void (*answer)(struct connection *each, const char *messages, size_t length);

static void splitMessages(struct connection *each, char *data, size_t length)
{
    char *end = memrchr(data, 0, length);
    size_t complete = end ? end + 1 - data : 0;
    if (complete && each->in.length) {
        append(&each->in, data, complete);
        answer(each, each->in.data, each->in.length);
        forget(&each->in);
    } else if (complete) {
        answer(each, data, complete);
    }
    if (length > complete)
        append(&each->in, data + complete, length - complete);
}

static struct buffer replies;

/* Process a message: echo it. */
static __attribute__((noinline)) void messageReceived(const char *message, size_t length)
{
    append(&replies, message, length);
}

static void echo(struct connection *each, const char *messages, size_t length)
{
    if (length > sizeof input) {
        sendTo(each, messages, length);
        return;
    }
    replies.length = 0;
    for (const char *end = messages + length; messages < end;) {
        size_t one = (char *)memchr(messages, 0, end - messages) + 1 - messages;
        messageReceived(messages, one);
        messages += one;
    }
    sendTo(each, replies.data, replies.length);
}

static void broadcast(struct connection *each, const char *messages, size_t length)
{
    (void)each;
    for (size_t index = 0; index < count; index++)
        sendTo(all[index], messages, length);
}

static void webSocket(struct connection *each, char *data, size_t length)
{
    /* The load generator's key is that of the example in RFC 6455. */
    static const char upgrade[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\n"
                                  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    if (!each->upgraded) {
        each->upgraded = memmem(data, length, "\r\n\r\n", 4) == data + length - 4;
        sendTo(each, upgrade, sizeof upgrade - 1);
        return;
    }
    bool kept = each->in.length;
    if (kept) {
        append(&each->in, data, length);
        data = each->in.data;
        length = each->in.length;
    }
    size_t place = 0;
    replies.length = 0;
    for (;;) {
        uint8_t *frame = (uint8_t *)data + place;
        size_t rest = length - place, head = 2, size;
        if (rest < 2)
            break;
        size = frame[1] & 127;
        head = size == 126 ? 4 : size == 127 ? 10 : 2;
        if (rest < head + 4)
            break;
        if (head > 2) {
            size = 0;
            for (size_t byte = 2; byte < head; byte++)
                size = size << 8 | frame[byte];
        }
        if (rest < head + 4 + size)
            break;
        uint8_t mask[4], *payload = frame + head + 4;
        memcpy(mask, frame + head, 4);
        for (size_t byte = 0; byte < size; byte++)
            payload[byte] ^= mask[byte & 3];
        frame[1] &= 127;
        append(&replies, (char *)frame, head);
        append(&replies, (char *)payload, size);
        place += head + 4 + size;
    }
    if (kept) {
        memmove(data, data + place, length - place);
        each->in.length -= place;
        if (!each->in.length)
            forget(&each->in);
    } else if (place < length) {
        append(&each->in, data + place, length - place);
    }
    if (replies.length)
        sendTo(each, replies.data, replies.length);
}

static void policy(struct connection *each, char *data, size_t length)
{
    static const char request[] = "<policy-file-request/>";
    static const char file[] = "<?xml version=\"1.0\"?><cross-domain-policy>"
                               "<allow-access-from domain=\"*\" to-ports=\"*\"/>"
                               "</cross-domain-policy>";
    append(&each->in, data, length);
    if (each->in.length == sizeof request && !memcmp(each->in.data, request, sizeof request))
        sendTo(each, file, sizeof file);
    if (each->in.length >= sizeof request)
        lose(each);
}

static void acceptAll(int listener)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *each = calloc(1, sizeof *each);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        each->fd = fd;
        if (count == room) {
            room = room ? 2 * room : 64;
            all = realloc(all, room * sizeof *all);
        }
        each->index = count;
        all[count++] = each;
        follow(EPOLL_CTL_ADD, each, EPOLLIN);
    }
}

static void datagrams(int fd)
{
    for (;;) {
        struct sockaddr_storage from;
        socklen_t size = sizeof from;
        ssize_t length = recvfrom(fd, input, 65536, 0, (struct sockaddr *)&from, &size);
        if (length >= 0)
            sendto(fd, input, length, 0, (struct sockaddr *)&from, size);
    }
}

static int open_(int kind)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, kind | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, sizeof address)) {
        perror("bind");
        exit(1);
    }
    if (kind == SOCK_STREAM)
        listen(fd, 1024);
    return fd;
}

int main(int arguments, char **words)
{
    const char *what = arguments > 1 ? words[1] : "";
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (!strcmp(what, "datagrams"))
        datagrams(open_(SOCK_DGRAM));
    answer = !strcmp(what, "broadcast") ? broadcast : echo;
    received = !strcmp(what, "websocket") ? webSocket : !strcmp(what, "policy") ? policy
                                                                                : splitMessages;
    int listener = open_(SOCK_STREAM);
    fcntl(listener, F_SETFL, O_NONBLOCK);
    struct epoll_event events[512], listening = {.events = EPOLLIN};
    epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &listening);
    for (;;) {
        int ready = epoll_wait(epoll, events, 512, -1);
        for (int event = 0; event < ready; event++) {
            struct connection *each = events[event].data.ptr;
            if (!each) {
                acceptAll(listener);
                continue;
            }
            if (events[event].events & EPOLLOUT)
                writable(each);
            if (!(events[event].events & ~EPOLLOUT))
                continue;
            ssize_t length = recv(each->fd, input, sizeof input, 0);
            if (length > 0)
                received(each, input, length);
            else if (length == 0 || errno != EAGAIN)
                lose(each);
        }
    }
}
