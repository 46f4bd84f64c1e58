/* The command line. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct options options = {.connections = 1, .window = 1, .size = 64, .chunk = 65536,
                          .settle = 100};

static const struct {
    const char *name;
    void (*run)(void);
} loads[] = {
    {"echo", echo}, {"broadcast", broadcast}, {"large", large},
    {"policy", policy}, {"datagrams", datagrams}, {"idle", idle},
};

static const struct {
    const char *name;
    long *value;
} names[] = {
    {"port", &options.port}, {"connections", &options.connections},
    {"window", &options.window}, {"size", &options.size}, {"chunk", &options.chunk},
    {"websocket", &options.websocket}, {"prefix", &options.prefix}, {"silent", &options.silent},
    {"join", &options.join}, {"say", &options.say}, {"settle", &options.settle},
    {"warmup", &options.warmup}, {"duration", &options.duration},
};

#define LENGTH(table) (sizeof(table) / sizeof *(table))

static void parse(const char *argument)
{
    const char *equals = strchr(argument, '=');
    if (!strncmp(argument, "pid=", 4) && options.pids < MAX_PIDS) {
        options.pid[options.pids++] = atol(argument + 4);
        return;
    }
    for (size_t each = 0; equals && each < LENGTH(names); each++)
        if (strlen(names[each].name) == (size_t)(equals - argument)
            && !strncmp(names[each].name, argument, equals - argument)) {
            *names[each].value = atol(equals + 1);
            return;
        }
    fail(argument);
}

int main(int count, char **arguments)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    errno = 0;
    for (int each = 2; each < count; each++)
        parse(arguments[each]);
    for (size_t each = 0; count > 1 && each < LENGTH(loads); each++)
        if (!strcmp(loads[each].name, arguments[1])) {
            loads[each].run();
            return 0;
        }
    fail("say what to do: echo, broadcast, large, policy, datagrams or idle");
}
