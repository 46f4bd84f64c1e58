/* Connections that send one message, or join a room, and are then idle. The caller reads the memory of the server. */
#define _GNU_SOURCE
#include "load.h"

#include <stdio.h>
#include <string.h>

#define FIRST 100

static void openOne(unsigned number)
{
    int fd = connectTo(number);
    if (options.websocket) {
        /* A frame with one message of two bytes, and the mask 0. */
        static const char question[] = "\x82\x82\0\0\0\0x", answer[] = "\x82\x02x";
        upgrade(fd);
        writeAll(fd, question, sizeof question);
        readAll(fd, answer, sizeof answer);
    } else if (options.join) {
        joinRoom(fd, number);
    } else {
        writeAll(fd, "x", 2);
        readAll(fd, "x", 2);
    }
}

static void waitForWord(const char *word)
{
    puts(word);
    fflush(stdout);
    if (getchar() == EOF)
        fail("nobody wants to know");
}

void idle(void)
{
    /* The first connections of a process need additional memory. */
    for (unsigned number = 0; number < FIRST; number++)
        openOne(number);
    waitForWord("begun");
    for (unsigned number = 0; number < options.connections; number++)
        openOne(FIRST + number);
    waitForWord("open");
}
