#include "frame.h"

#include "crc.h"

uint32_t load_word(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

void store_word(uint8_t *bytes, uint32_t word)
{
    for (int place = 0; place < 4; place++) {
        bytes[place] = (uint8_t)(word >> 8 * place);
    }
}

static void keep(struct frame_reader *reader, uint8_t byte)
{
    if (reader->count < FRAME_BYTES) {
        reader->bytes[reader->count] = byte;
    }
    reader->count++;
}

/* A zero has ended what may be a frame. */
static enum frame_event end(const struct frame_reader *reader, struct frame *frame)
{
    if (!reader->started) {
        return FRAME_NONE; /* zeros between frames mean nothing */
    }
    if (reader->left || reader->count < FRAME_OVERHEAD || reader->count > FRAME_BYTES) {
        return FRAME_WRONG;
    }
    size_t covered = reader->count - 4;
    if (crc32(0, reader->bytes, covered) != load_word(reader->bytes + covered)) {
        return FRAME_WRONG;
    }
    frame->sequence = reader->bytes[0];
    frame->code = reader->bytes[1];
    frame->count = covered - 2;
    for (size_t place = 0; place < frame->count; place++) {
        frame->payload[place] = reader->bytes[2 + place];
    }
    return FRAME_GOOD;
}

enum frame_event frame_take(struct frame_reader *reader, uint8_t byte, struct frame *frame)
{
    if (byte == 0) {
        enum frame_event event = end(reader, frame);
        reader->count = 0;
        reader->left = reader->started = 0;
        return event;
    }
    if (reader->left) {
        reader->left--;
        keep(reader, byte);
        return FRAME_NONE;
    }
    /* The length of a block; before every one but the first stands the zero that it replaces. */
    if (reader->started) {
        keep(reader, 0);
    }
    reader->left = (uint8_t)(byte - 1);
    reader->started = 1;
    return FRAME_NONE;
}

/* The place of the length of the block that is being written, and of the next byte. */
struct writer {
    uint8_t *line;
    size_t length, next;
};

/* The block ends: what comes next belongs to another one. */
static void end_block(struct writer *writer)
{
    writer->line[writer->length] = (uint8_t)(writer->next - writer->length);
    writer->length = writer->next++;
}

static void put(struct writer *writer, uint8_t byte)
{
    if (byte) {
        writer->line[writer->next++] = byte;
    } else {
        end_block(writer);
    }
}

size_t frame_write(const struct frame *frame, uint8_t *line)
{
    const uint8_t head[2] = {frame->sequence, frame->code};
    uint8_t crc[4];
    store_word(crc, crc32(crc32(0, head, 2), frame->payload, frame->count));
    struct writer writer = {line, 0, 1};
    put(&writer, head[0]);
    put(&writer, head[1]);
    for (size_t place = 0; place < frame->count; place++) {
        put(&writer, frame->payload[place]);
    }
    for (size_t place = 0; place < 4; place++) {
        put(&writer, crc[place]);
    }
    end_block(&writer);
    line[writer.length] = 0;
    return writer.next;
}
