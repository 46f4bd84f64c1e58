/*
 * The load generator: what its parts share.
 *
 * It runs on a core of its own, checks every byte that comes back, and reads the
 * CPU time of the server's process from the kernel.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* What the command line says, as NAME=NUMBER. */
struct options {
    long port;
    long pid;         /* the server's process */
    long connections;
    long window;      /* messages under way on each connection */
    long size;        /* bytes of a message, with its end */
    long piece;       /* bytes of a write of a large message */
    long pause;       /* microseconds between the pieces */
    long websocket;   /* whether the messages go in frames */
    long prefix;      /* bytes in front of the answer to a datagram */
    long silent;      /* whether who speaks does not hear itself */
    long join;        /* whether the first message names a room, as "r" */
    long settle;      /* milliseconds until everybody is known to the server */
    long warmup;      /* milliseconds that do not count */
    long duration;    /* milliseconds that count */
};

extern struct options options;

/* One program for each kind of load. */
void echo(void);
void broadcast(void);
void large(void);
void policy(void);
void datagrams(void);
void idle(void);

/* End with a word about it. */
void fail(const char *what) __attribute__((noreturn));

double now(void);

/* Connect from one of many addresses of loopback, so that ports do not run out. */
int connectTo(unsigned from);
void watch(int epoll, int fd, uint32_t events, unsigned number);
void rewatch(int epoll, int fd, uint32_t events, unsigned number);
void writeAll(int fd, const void *data, size_t length);
void readAll(int fd, const void *expected, size_t length);
void joinRoom(int fd);
void upgrade(int fd);

/* Time: warming up, then measuring, then over. */
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
