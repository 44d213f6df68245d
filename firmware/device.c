#include "device.h"

#include "board.h"
#include "crc.h"

enum { PATTERN = 0x5a5a5a5a };

/* Writes a different word at every power of two, and reads them all again: an address line that is open or short shows
   itself. Returns the number of words that are wrong. */
static uint32_t check_memory(uint32_t words)
{
    uint32_t wrong = 0;
    board_write(0, PATTERN);
    for (uint32_t place = 1; place < words; place <<= 1) {
        board_write(place, ~place);
    }
    for (uint32_t place = 1; place < words; place <<= 1) {
        wrong += board_read(place) != ~place;
    }
    return wrong + (board_read(0) != PATTERN);
}

void device_begin(struct device *device)
{
    device->memory_bytes = board_load(REGISTER(MEMORY));
    device->broken = check_memory(device->memory_bytes / 4);
}

static void send(uint8_t byte)
{
    while (!(board_load(REGISTER(SERIAL)) & BITS(SERIAL, SEND_ROOM))) {
    }
    board_store(REGISTER(SEND), byte);
}

/* Answers with a status and some words. */
static void reply(struct frame *frame, enum status status, const uint32_t *words, size_t count)
{
    uint8_t line[FRAME_BYTES + 2];
    frame->payload[0] = (uint8_t)status;
    for (size_t place = 0; place < count; place++) {
        store_word(frame->payload + 1 + 4 * place, words[place]);
    }
    frame->count = 1 + 4 * count;
    size_t bytes = frame_write(frame, line);
    for (size_t place = 0; place < bytes; place++) {
        send(line[place]);
    }
}

/* Whether words from an address on are words of the memory. */
static int inside(const struct device *device, uint32_t address, uint32_t words)
{
    uint32_t size = device->memory_bytes;
    return address % 4 == 0 && address <= size && words <= (size - address) / 4;
}

static void hello(struct device *device)
{
    const uint32_t words[] = {
        PROTOCOL_VERSION,
        board_load(REGISTER(IDENT)),
        board_load(REGISTER(VERSION)),
        board_load(REGISTER(BUILD)),
        board_load(REGISTER(SHAPE)),
        device->memory_bytes,
        device->broken,
    };
    reply(&device->frame, DONE, words, sizeof words / sizeof *words);
}

static enum status write(struct device *device)
{
    const struct frame *frame = &device->frame;
    if (frame->count < 4 || frame->count % 4) {
        return WRONG_LENGTH;
    }
    uint32_t address = load_word(frame->payload), words = (uint32_t)(frame->count - 4) / 4;
    if (!inside(device, address, words)) {
        return WRONG_ADDRESS;
    }
    for (uint32_t place = 0; place < words; place++) {
        board_write(address / 4 + place, load_word(frame->payload + 4 + 4 * place));
    }
    return DONE;
}

/* Reads words into `found`; there must be room for those of a frame. */
static enum status read(struct device *device, uint32_t *found, size_t *count)
{
    const struct frame *frame = &device->frame;
    if (frame->count != 8) {
        return WRONG_LENGTH;
    }
    uint32_t address = load_word(frame->payload), words = load_word(frame->payload + 4);
    if (words > (FRAME_PAYLOAD - 1) / 4) {
        return WRONG_LENGTH;
    }
    if (!inside(device, address, words)) {
        return WRONG_ADDRESS;
    }
    for (uint32_t place = 0; place < words; place++) {
        found[place] = board_read(address / 4 + place);
    }
    *count = words;
    return DONE;
}

static enum status check(struct device *device, uint32_t *crc)
{
    const struct frame *frame = &device->frame;
    if (frame->count != 8) {
        return WRONG_LENGTH;
    }
    uint32_t address = load_word(frame->payload), words = load_word(frame->payload + 4);
    if (!inside(device, address, words)) {
        return WRONG_ADDRESS;
    }
    *crc = 0;
    for (uint32_t place = 0; place < words; place++) {
        uint8_t bytes[4];
        store_word(bytes, board_read(address / 4 + place));
        *crc = crc32(*crc, bytes, 4);
    }
    return DONE;
}

/* The words of a request to run. */
enum { PROGRAM, PROGRAM_WORDS, ITEMS, ITEM_COUNT, LOGITS, COUNTERS, CYCLES, RUN_WORDS };

/* Where a run stands. */
struct run {
    uint32_t item, items;       /* the next item, in halves of words, and how many are left */
    uint32_t logits, counters;  /* the words where the next ones go */
};

static enum status keep(const struct device *device, uint32_t *place, uint32_t word)
{
    if (!inside(device, 4 * *place, 1)) {
        return WRONG_ADDRESS;
    }
    board_write((*place)++, word);
    return DONE;
}

/* Gives the accelerator an item if it has room for one, and takes a result if there is one. */
static enum status serve(const struct device *device, struct run *run, uint32_t state)
{
    enum status status = DONE;
    if (run->items && state & BITS(STATUS, ITEM_ROOM)) {
        uint32_t word = board_read(run->item / 2);
        board_store(REGISTER(INPUT), word >> 16 * (run->item % 2) & 0xffff);
        run->item++;
        run->items--;
    }
    if (state & BITS(STATUS, LOGIT_WAITS)) {
        status = keep(device, &run->logits, board_load(REGISTER(LOGIT)));
    }
    if (status == DONE && state & BITS(STATUS, COUNTER_WAITS)) {
        uint32_t name = board_load(REGISTER(COUNTER));
        status = keep(device, &run->counters, name);
        if (status == DONE) {
            status = keep(device, &run->counters, board_load(REGISTER(COUNTER_LOW)));
        }
    }
    return status;
}

/* Whether the run goes on: it works, or results wait. */
static int goes_on(uint32_t state)
{
    return (state & (BITS(STATUS, BUSY) | BITS(STATUS, LOGIT_WAITS) | BITS(STATUS, COUNTER_WAITS))) != 0;
}

static enum status finish(const struct device *device, struct run *run, uint32_t limit, uint32_t *spent)
{
    uint32_t begun = board_load(REGISTER(CYCLES)), state = board_load(REGISTER(STATUS));
    enum status status = DONE;
    while (status == DONE && goes_on(state)) {
        status = serve(device, run, state);
        *spent = board_load(REGISTER(CYCLES)) - begun;
        if (status == DONE && *spent > limit) {
            status = TOO_LONG;
        }
        state = board_load(REGISTER(STATUS));
    }
    if (state & BITS(STATUS, LOST)) {
        return RESULTS_LOST;
    }
    return state & BITS(STATUS, ERROR) ? MEMORY_ERROR : status;
}

/* Runs the program; `found` gets the cycles, and the numbers of logits and counters. */
static enum status run(struct device *device, uint32_t found[3])
{
    const struct frame *frame = &device->frame;
    uint32_t words[RUN_WORDS];
    if (frame->count != sizeof words) {
        return WRONG_LENGTH;
    }
    for (uint32_t place = 0; place < RUN_WORDS; place++) {
        words[place] = load_word(frame->payload + 4 * place);
    }
    uint32_t bus = (board_load(REGISTER(SHAPE)) >> SAFORMER_SOC__SHAPE__BUS_BYTES_bp) / 4; /* its words of 32 bits */
    if (words[PROGRAM] % (4 * bus) || words[PROGRAM_WORDS] > device->memory_bytes / (4 * bus)
        || !inside(device, words[PROGRAM], words[PROGRAM_WORDS] * bus)
        || !inside(device, words[ITEMS], words[ITEM_COUNT] / 2 + words[ITEM_COUNT] % 2)
        || !inside(device, words[LOGITS], 0) || !inside(device, words[COUNTERS], 0)) {
        return WRONG_ADDRESS;
    }
    struct run run = {words[ITEMS] / 2, words[ITEM_COUNT], words[LOGITS] / 4, words[COUNTERS] / 4};
    board_store(REGISTER(CONTROL), BITS(CONTROL, RESET));
    board_store(REGISTER(PROGRAM), words[PROGRAM]);
    board_store(REGISTER(PROGRAM_WORDS), words[PROGRAM_WORDS]);
    board_store(REGISTER(CONTROL), BITS(CONTROL, START));
    enum status status = finish(device, &run, words[CYCLES], found);
    board_store(REGISTER(CONTROL), BITS(CONTROL, RESET));
    found[1] = run.logits - words[LOGITS] / 4;
    found[2] = (run.counters - words[COUNTERS] / 4) / 2;
    return status;
}

/* Does what a frame asks for, and answers it. */
static void answer(struct device *device)
{
    uint32_t found[FRAME_PAYLOAD / 4] = {0};
    size_t count = 0;
    enum status status;
    uint8_t code = device->frame.code;
    device->frame.code = code | REPLY;
    switch (code) {
    case HELLO:
        if (device->frame.count == 0) {
            hello(device);
            return;
        }
        status = WRONG_LENGTH;
        break;
    case WRITE:
        status = write(device);
        break;
    case READ:
        status = read(device, found, &count);
        break;
    case CHECK:
        status = check(device, found);
        count = status == DONE;
        break;
    case RUN:
        status = device->broken ? MEMORY_BROKEN : run(device, found);
        count = status == DONE ? 3 : 0;
        break;
    default:
        status = UNKNOWN_REQUEST;
    }
    reply(&device->frame, status, found, count);
}

void device_step(struct device *device)
{
    if (!(board_load(REGISTER(SERIAL)) & BITS(SERIAL, RECEIVED))) {
        return;
    }
    uint8_t byte = (uint8_t)board_load(REGISTER(RECEIVED));
    switch (frame_take(&device->reader, byte, &device->frame)) {
    case FRAME_GOOD:
        answer(device);
        break;
    case FRAME_WRONG:
        device->frame.sequence = 0;
        device->frame.code = GARBLED;
        reply(&device->frame, NOT_A_FRAME, NULL, 0);
        break;
    case FRAME_NONE:
        break;
    }
}
