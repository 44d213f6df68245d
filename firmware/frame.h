/* Frames on the serial line (docs/protocol.md): sequence number, code, payload and CRC-32, with zeros taken out by COBS
   and one zero behind. */

#ifndef FRAME_H
#define FRAME_H

#include <stddef.h>
#include <stdint.h>

enum {
    FRAME_PAYLOAD = 240, /* most bytes of a payload; a frame is shorter than the longest block of COBS, 254 */
    FRAME_OVERHEAD = 6,  /* sequence number, code, CRC */
    FRAME_BYTES = FRAME_PAYLOAD + FRAME_OVERHEAD,
};

/* Places in `content.bytes`: the payload begins with a word. */
enum { SEQUENCE = 2, CODE = 3, PAYLOAD = 4, PAYLOAD_WORDS = PAYLOAD / 4 };

struct frame {
    size_t count; /* bytes of the payload */
    union {
        uint8_t bytes[SEQUENCE + FRAME_BYTES];
        uint32_t words[(SEQUENCE + FRAME_BYTES) / 4]; /* the lowest byte first, as on the line and in the core */
    } content;
};

enum frame_event {
    FRAME_NONE,  /* no end of a frame yet */
    FRAME_GOOD,  /* a frame is complete */
    FRAME_WRONG, /* what ended is none: too short, too long, or altered */
};

/* A frame that arrives. All zero before the first byte. */
struct frame_reader {
    struct frame frame;
    size_t count;    /* bytes so far; more than fit are counted, not kept */
    uint8_t left;    /* bytes of the current COBS block that are missing */
    uint8_t started; /* there has been a byte since the last zero */
};

/* Take a byte of the line. After FRAME_GOOD there is a frame in the reader, until the next byte.
   The CRC of the board belongs to the reader while a frame arrives. */
enum frame_event frame_take(struct frame_reader *reader, uint8_t byte);

/* Write a frame as it goes onto the line, and return its bytes: at most FRAME_BYTES + 2. */
size_t frame_write(const struct frame *frame, uint8_t *line);

#endif
