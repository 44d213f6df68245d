/* The device on the other end of the serial line (docs/protocol.md). */

#ifndef DEVICE_H
#define DEVICE_H

#include "frame.h"

enum { PROTOCOL_VERSION = 1 };

enum request {
    HELLO = 1, /* who are you */
    WRITE = 2, /* words into memory */
    READ = 3,  /* words out of memory */
    CHECK = 4, /* CRC-32 of memory */
    RUN = 5,   /* the program on an input */
};

enum {
    REPLY = 0x80,    /* a reply has the code of its request and this bit */
    GARBLED = 0xff,  /* the code of the reply to what was no frame */
};

enum status {
    DONE = 0,
    NOT_A_FRAME = 1,     /* too short, too long, or altered */
    UNKNOWN_REQUEST = 2,
    WRONG_LENGTH = 3,    /* of the payload */
    WRONG_ADDRESS = 4,   /* not of a word, or outside the memory */
    TOO_LONG = 5,        /* the run took more cycles than it was given */
    MEMORY_ERROR = 6,    /* the memory refused a word */
    RESULTS_LOST = 7,    /* there was no room for an item or a result */
    MEMORY_BROKEN = 8,   /* the check at the start found wrong words */
};

struct device {
    struct frame_reader reader;
    uint32_t memory_bytes;
    uint32_t broken;        /* wrong words that the check found */
};

/* Check the memory, and be ready. */
void device_begin(struct device *device);

/* Take what has arrived, and answer the requests that end with it. */
void device_step(struct device *device);

#endif
