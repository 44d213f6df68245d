#include "frame.h"

#include "board.h"

/* The CRC of anything together with its own CRC. */
static const uint32_t RESIDUE = 0x2144df1cu;

static void sum_up(uint8_t byte, int first)
{
    board_store(REGISTER(CRC_BYTE), first ? byte | BITS(CRC_BYTE, FIRST) : byte);
}

static void keep(struct frame_reader *reader, uint8_t byte)
{
    if (reader->count < FRAME_BYTES) {
        reader->frame.content.bytes[SEQUENCE + reader->count] = byte;
        sum_up(byte, reader->count == 0);
    }
    reader->count++;
}

/* A zero has ended what may be a frame. */
static enum frame_event end(struct frame_reader *reader)
{
    if (!reader->started) {
        return FRAME_NONE; /* zeros between frames mean nothing */
    }
    if (reader->left || reader->count < FRAME_OVERHEAD || reader->count > FRAME_BYTES
        || board_load(REGISTER(CRC)) != RESIDUE) {
        return FRAME_WRONG;
    }
    reader->frame.count = reader->count - FRAME_OVERHEAD;
    return FRAME_GOOD;
}

enum frame_event frame_take(struct frame_reader *reader, uint8_t byte)
{
    if (byte == 0) {
        enum frame_event event = end(reader);
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
    struct writer writer = {line, 0, 1};
    for (size_t place = SEQUENCE; place < PAYLOAD + frame->count; place++) {
        uint8_t byte = frame->content.bytes[place];
        sum_up(byte, place == SEQUENCE);
        put(&writer, byte);
    }
    uint32_t crc = board_load(REGISTER(CRC));
    for (size_t place = 0; place < 4; place++) {
        put(&writer, (uint8_t)(crc >> 8 * place));
    }
    end_block(&writer);
    line[writer.length] = 0;
    return writer.next;
}
