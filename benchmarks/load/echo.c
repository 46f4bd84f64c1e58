/*
 * Echoed messages, and messages sent to all clients: several outstanding messages per
 * connection, with or without WebSocket frames.
 */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    int fd;
    unsigned sent, received; /* messages */
    char *expected;          /* the next message */
    size_t size;             /* bytes of it */
    size_t place;            /* bytes of it received */
    size_t rest;             /* bytes of the frame not yet received */
    unsigned char head[10];
    unsigned headLength;
    char *out; /* bytes not yet written */
    size_t outPlace, outLength;
};

static struct connection *connections;
static int epoll;
static char input[1 << 20];
static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};

/* The parts of a message before and after its content. Both end with a NUL byte. */
static const char *sentOpening = "", *receivedOpening = "", *closing = "";

static void openAll(void)
{
    if (options.say) {
        sentOpening = "<say>";
        receivedOpening = "<say from=\"n0\">";
        closing = "</say>";
    }
    size_t longest = options.size + strlen(receivedOpening) + strlen(closing);
    size_t most = options.window * (longest + 14);
    connections = calloc(options.connections, sizeof *connections);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned number = 0; number < options.connections; number++) {
        struct connection *each = connections + number;
        each->fd = connectTo(number);
        upgrade(each->fd);
        joinRoom(each->fd, number);
        each->expected = malloc(longest);
        each->out = malloc(most);
        watch(epoll, each->fd, EPOLLIN, number);
    }
}

/* Return the length of the message, including its NUL byte. */
static size_t composeMessage(char *place, const char *opening, unsigned number, unsigned sequence)
{
    size_t before = strlen(opening), after = strlen(closing);
    memcpy(place, opening, before);
    makeMessage(place + before, number, sequence);
    memcpy(place + before + options.size - 1, closing, after + 1);
    return before + options.size + after;
}

static size_t appendFrame(char *place, unsigned number, unsigned sequence)
{
    size_t head = 2, length = strlen(sentOpening) + options.size + strlen(closing);
    if (options.websocket) {
        place[0] = (char)0x82;
        place[1] = (char)(0x80 | (length < 126 ? length : length < 65536 ? 126 : 127));
        int bytes = length < 126 ? 0 : length < 65536 ? 2 : 8;
        for (int each = 0; each < bytes; each++)
            place[2 + each] = (char)(length >> 8 * (bytes - 1 - each));
        head += bytes + 4;
        memcpy(place + head - 4, mask, 4);
    } else {
        head = 0;
    }
    composeMessage(place + head, sentOpening, number, sequence);
    for (size_t each = 0; options.websocket && each < length; each++)
        place[head + each] ^= mask[each & 3];
    return head + length;
}

static void flush(struct connection *each)
{
    size_t length = each->outLength - each->outPlace;
    ssize_t written = send(each->fd, each->out + each->outPlace, length, MSG_NOSIGNAL);
    bool waited = each->outPlace > 0;
    if (written < 0 && errno != EAGAIN)
        fail("send");
    if (written == (ssize_t)length) {
        each->outLength = each->outPlace = 0;
        if (waited)
            rewatch(epoll, each->fd, EPOLLIN, each - connections);
        return;
    }
    each->outPlace += written > 0 ? written : 0;
    rewatch(epoll, each->fd, EPOLLIN | EPOLLOUT, each - connections);
}

/* Send further messages in one write. */
static void sendMessages(struct connection *each, unsigned count)
{
    bool waiting = each->outLength > 0;
    if (each->outPlace) {
        memmove(each->out, each->out + each->outPlace, each->outLength - each->outPlace);
        each->outLength -= each->outPlace;
        each->outPlace = 0;
    }
    while (count--)
        each->outLength += appendFrame(each->out + each->outLength, each - connections,
                                       each->sent++);
    if (!waiting)
        flush(each);
}

/* Compare the received data with the expected messages. */
static unsigned check(struct connection *each, unsigned speaker, const char *data, size_t length)
{
    unsigned complete = 0;
    while (length) {
        if (each->place == 0 && each->received == 0)
            each->size = composeMessage(each->expected, receivedOpening, speaker, 0);
        size_t part = each->size - each->place;
        if (part > length)
            part = length;
        errno = 0;
        if (memcmp(data, each->expected + each->place, part))
            fail("the server sent something else");
        data += part;
        length -= part;
        each->place += part;
        if (each->place == each->size) {
            each->place = 0;
            complete++;
            numberMessage(each->expected + strlen(receivedOpening), ++each->received);
        }
    }
    return complete;
}

/* Remove the frame headers. A message may span several frames. */
static unsigned unframe(struct connection *each, unsigned speaker, const char *data, size_t length)
{
    unsigned complete = 0;
    while (length) {
        if (each->rest) {
            size_t part = each->rest < length ? each->rest : length;
            complete += check(each, speaker, data, part);
            each->rest -= part;
            data += part;
            length -= part;
            continue;
        }
        each->head[each->headLength++] = *data++;
        length--;
        unsigned kind = each->headLength > 1 ? each->head[1] : 0;
        unsigned bytes = kind == 126 ? 2 : kind == 127 ? 8 : 0;
        if (each->headLength < 2 + bytes)
            continue;
        errno = 0;
        if ((each->head[0] & 0x7f) > 2 || kind > 127)
            fail("the server sent no frame of data");
        each->rest = bytes ? 0 : kind;
        for (unsigned byte = 0; byte < bytes; byte++)
            each->rest = each->rest << 8 | each->head[2 + byte];
        each->headLength = 0;
    }
    return complete;
}

static unsigned messagesReceived(struct connection *each, unsigned speaker, size_t length)
{
    return options.websocket ? unframe(each, speaker, input, length)
                             : check(each, speaker, input, length);
}

static size_t receive(struct connection *each)
{
    ssize_t got = recv(each->fd, input, sizeof input, 0);
    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got <= 0)
        fail("the server has closed");
    return got;
}

void echo(void)
{
    struct epoll_event events[512];
    struct stopwatch watch;
    long count = 0;
    openAll();
    startStopwatch(&watch);
    for (long number = 0; number < options.connections; number++)
        sendMessages(connections + number, options.window);
    while (running(&watch, count)) {
        int ready = epoll_wait(epoll, events, 512, 1000);
        for (int event = 0; event < ready; event++) {
            struct connection *each = connections + events[event].data.u32;
            if (events[event].events & EPOLLOUT)
                flush(each);
            if (!(events[event].events & ~EPOLLOUT))
                continue;
            size_t got = receive(each);
            unsigned complete = messagesReceived(each, each - connections, got);
            if (complete) {
                count += complete;
                sendMessages(each, complete);
            }
        }
    }
    report(&watch, count);
}

/* The first connection sends. When all have received all messages, it sends again. */
void broadcast(void)
{
    struct epoll_event events[512];
    struct stopwatch watch;
    long count = 0, due = 0, hearers = options.connections - options.silent;
    openAll();
    struct timespec pause = {options.settle / 1000, options.settle % 1000 * 1000000};
    nanosleep(&pause, NULL);
    /* The answers to requests to join a room. */
    for (long number = 0; options.say && number < options.connections; number++)
        receive(connections + number);
    startStopwatch(&watch);
    for (;;) {
        if (count == due) {
            if (!running(&watch, count))
                break;
            sendMessages(connections, options.window);
            due += options.window * hearers;
        }
        int ready = epoll_wait(epoll, events, 512, 60000);
        errno = 0;
        if (!ready)
            fail("a client has received nothing for 60 seconds");
        for (int event = 0; event < ready; event++) {
            struct connection *each = connections + events[event].data.u32;
            if (events[event].events & EPOLLOUT)
                flush(each);
            if (events[event].events & ~EPOLLOUT)
                count += messagesReceived(each, 0, receive(each));
        }
    }
    report(&watch, count);
}
