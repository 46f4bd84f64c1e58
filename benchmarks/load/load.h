/*
 * The load generator: shared declarations.
 *
 * It runs on a separate core, checks every received byte, and reads the
 * CPU time of the server's processes from the kernel.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Maximum number of processes of a server. */
#define MAX_PIDS 64

/* Options of the command line, as NAME=NUMBER. */
struct options {
    long port;
    long pid[MAX_PIDS]; /* the server's processes; the option can be repeated */
    long pids;        /* number of processes */
    long connections;
    long window;      /* outstanding messages per connection */
    long size;        /* bytes of a message, including its NUL byte */
    long chunk;       /* bytes of a write of a large message */
    long websocket;   /* whether to use WebSocket frames */
    long prefix;      /* bytes before the reply to a datagram */
    long silent;      /* whether the sender gets no copy */
    long join;        /* whether the first message names a room, as "r" */
    long say;         /* whether to use the XML messages of a room */
    long settle;      /* milliseconds for protocol detection */
    long warmup;      /* milliseconds before the measurement */
    long duration;    /* milliseconds of the measurement */
};

extern struct options options;

/* The loads. */
void echo(void);
void broadcast(void);
void large(void);
void policy(void);
void datagrams(void);
void idle(void);

/* Print an error and exit. */
void fail(const char *what) __attribute__((noreturn));

double now(void);

/* Connect from one of many loopback addresses, to avoid running out of ports. */
int connectTo(unsigned from);
void watch(int epoll, int fd, uint32_t events, unsigned number);
void rewatch(int epoll, int fd, uint32_t events, unsigned number);
void writeAll(int fd, const void *data, size_t length);
void readAll(int fd, const void *expected, size_t length);
void joinRoom(int fd, unsigned number);
void upgrade(int fd);

/* Phases: warm-up, measurement, end. */
struct stopwatch {
    double began, cpu, ends;
    long counted;
    int phase;
};
void startStopwatch(struct stopwatch *watch);
bool running(struct stopwatch *watch, long count);
void report(struct stopwatch *watch, long count);

/* Message number SEQUENCE of connection NUMBER, of options.size bytes. */
void makeMessage(char *message, unsigned number, unsigned sequence);
#define SEQUENCE_BYTES 4
void numberMessage(char *message, unsigned sequence);

#endif
