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

struct frame {
    uint8_t sequence, code;
    uint8_t payload[FRAME_PAYLOAD];
    size_t count; /* bytes of the payload */
};

enum frame_event {
    FRAME_NONE,  /* no end of a frame yet */
    FRAME_GOOD,  /* a frame is complete */
    FRAME_WRONG, /* what ended is none: too short, too long, or altered */
};

/* A frame that arrives. All zero before the first byte. */
struct frame_reader {
    uint8_t bytes[FRAME_BYTES];
    size_t count;    /* bytes so far; more than fit are counted, not kept */
    uint8_t left;    /* bytes of the current COBS block that are missing */
    uint8_t started; /* there has been a byte since the last zero */
};

/* Take a byte of the line. `frame` is written with FRAME_GOOD only. */
enum frame_event frame_take(struct frame_reader *reader, uint8_t byte, struct frame *frame);

/* Write a frame as it goes onto the line, and return its bytes: at most FRAME_BYTES + 2. */
size_t frame_write(const struct frame *frame, uint8_t *line);

/* Numbers in payloads, lowest byte first. */
uint32_t load_word(const uint8_t *bytes);
void store_word(uint8_t *bytes, uint32_t word);

#endif
