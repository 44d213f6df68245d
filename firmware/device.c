#include "device.h"

#include "board.h"

enum { PATTERN = 0x5a5a5a5a };

/* Writes a different word at every power of two, and reads them all again: an address line that is open or short shows
   itself. What was there before is there again afterwards. Returns the number of words that are wrong. */
static uint32_t check_memory(uint32_t words)
{
    static uint32_t kept[32];
    uint32_t wrong = 0, first = board_read(0), line = 0;
    for (uint32_t place = 1; place < words; place <<= 1) {
        kept[line++] = board_read(place);
    }
    board_write(0, PATTERN);
    for (uint32_t place = 1; place < words; place <<= 1) {
        board_write(place, ~place);
    }
    for (uint32_t place = 1; place < words; place <<= 1) {
        wrong += board_read(place) != ~place;
    }
    wrong += board_read(0) != PATTERN;
    board_write(0, first);
    line = 0;
    for (uint32_t place = 1; place < words; place <<= 1) {
        board_write(place, kept[line++]);
    }
    return wrong;
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

/* Answers a request, of whose frame `request` is, with a status and some words. */
static void reply(const struct frame *request, enum status status, const uint32_t *words, size_t count)
{
    struct frame frame; /* all of it that leaves is written below */
    frame.count = 1 + 4 * count;
    uint8_t *bytes = frame.content.bytes, line[FRAME_BYTES + 2];
    bytes[SEQUENCE] = request->content.bytes[SEQUENCE];
    bytes[CODE] = request->content.bytes[CODE] | REPLY;
    bytes[PAYLOAD] = (uint8_t)status;
    for (size_t place = 0; place < 4 * count; place++) {
        bytes[PAYLOAD + 1 + place] = (uint8_t)(words[place / 4] >> 8 * (place % 4));
    }
    size_t length = frame_write(&frame, line);
    for (size_t place = 0; place < length; place++) {
        send(line[place]);
    }
}

/* Whether words from an address on are words of the memory. */
static int inside(const struct device *device, uint32_t address, uint32_t words)
{
    uint32_t size = device->memory_bytes;
    return address % 4 == 0 && address <= size && words <= (size - address) / 4;
}

/* What a request asks for, and what is said to it. */
struct task {
    const uint32_t *words; /* its payload */
    uint32_t bytes;        /* of it */
    uint32_t *found;       /* the words of the reply: there is room for those of a frame */
    size_t count;          /* how many there are */
};

static enum status hello(const struct device *device, struct task *task)
{
    if (task->bytes != 0) {
        return WRONG_LENGTH;
    }
    const uint32_t words[] = {
        PROTOCOL_VERSION,
        board_load(REGISTER(IDENT)),
        board_load(REGISTER(VERSION)),
        board_load(REGISTER(BUILD)),
        board_load(REGISTER(SHAPE)),
        board_load(REGISTER(CLOCK)),
        device->memory_bytes,
        device->broken,
    };
    task->count = sizeof words / sizeof *words;
    for (size_t place = 0; place < task->count; place++) {
        task->found[place] = words[place];
    }
    return DONE;
}

static enum status write(const struct device *device, struct task *task)
{
    if (task->bytes < 4 || task->bytes % 4) {
        return WRONG_LENGTH;
    }
    uint32_t address = task->words[0], words = task->bytes / 4 - 1;
    if (!inside(device, address, words)) {
        return WRONG_ADDRESS;
    }
    for (uint32_t place = 0; place < words; place++) {
        board_write(address / 4 + place, task->words[1 + place]);
    }
    return DONE;
}

/* Whether a request names at most so many words of the memory. */
static enum status named(const struct device *device, const struct task *task, uint32_t most)
{
    if (task->bytes != 8 || task->words[1] > most) {
        return WRONG_LENGTH;
    }
    return inside(device, task->words[0], task->words[1]) ? DONE : WRONG_ADDRESS;
}

static enum status read(const struct device *device, struct task *task)
{
    enum status status = named(device, task, (FRAME_PAYLOAD - 1) / 4);
    if (status == DONE) {
        task->count = task->words[1];
        for (uint32_t place = 0; place < task->count; place++) {
            task->found[place] = board_read(task->words[0] / 4 + place);
        }
    }
    return status;
}

static enum status check(const struct device *device, struct task *task)
{
    enum status status = named(device, task, UINT32_MAX);
    if (status != DONE) {
        return status;
    }
    uint32_t first = BITS(CRC_BYTE, FIRST);
    for (uint32_t place = 0; place < task->words[1]; place++) {
        uint32_t word = board_read(task->words[0] / 4 + place);
        for (int byte = 0; byte < 4; byte++, word >>= 8, first = 0) {
            board_store(REGISTER(CRC_BYTE), first | (word & 0xff));
        }
    }
    task->found[0] = task->words[1] ? board_load(REGISTER(CRC)) : 0;
    task->count = 1;
    return DONE;
}

/* The words of a request to run. */
enum { PROGRAM, PROGRAM_WORDS, ITEMS, ITEM_COUNT, LOGITS, COUNTERS, CYCLES, RUN_WORDS };

/* Where a run stands. */
struct run {
    uint32_t pair, items;       /* the word with the next two items, and how many are left */
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

/* What ITEM_ROOM promises. */
enum { ITEM_BURST = 16 };

/* Gives the accelerator items. */
static void feed(struct run *run)
{
    for (int left = ITEM_BURST / 2; left && run->items; left--) {
        uint32_t pair = board_read(run->pair++);
        board_store(REGISTER(INPUT), pair & 0xffff);
        if (--run->items) {
            board_store(REGISTER(INPUT), pair >> 16);
            run->items--;
        }
    }
}

/* Gives the accelerator items if it has room for them, and takes a result if there is one. */
static enum status move(const struct device *device, struct run *run, uint32_t state)
{
    enum status status = DONE;
    if (run->items && state & BITS(STATUS, ITEM_ROOM)) {
        feed(run);
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
        status = move(device, run, state);
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

/* Runs the program; finds the cycles that it took, and the numbers of logits and counters. */
static enum status run(const struct device *device, struct task *task)
{
    const uint32_t *words = task->words;
    if (task->bytes != 4 * RUN_WORDS) {
        return WRONG_LENGTH;
    }
    if (device->broken) {
        return MEMORY_BROKEN;
    }
    uint32_t bus = (board_load(REGISTER(SHAPE)) >> SAFORMER_SOC__SHAPE__BUS_BYTES_bp) / 4; /* its words of 32 bits */
    if (words[PROGRAM] % (4 * bus) || words[PROGRAM_WORDS] > device->memory_bytes / (4 * bus)
        || !inside(device, words[PROGRAM], words[PROGRAM_WORDS] * bus)
        || !inside(device, words[ITEMS], words[ITEM_COUNT] / 2 + words[ITEM_COUNT] % 2)
        || !inside(device, words[LOGITS], 0) || !inside(device, words[COUNTERS], 0)) {
        return WRONG_ADDRESS;
    }
    struct run run = {words[ITEMS] / 4, words[ITEM_COUNT], words[LOGITS] / 4, words[COUNTERS] / 4};
    board_store(REGISTER(CONTROL), BITS(CONTROL, RESET));
    board_store(REGISTER(PROGRAM), words[PROGRAM]);
    board_store(REGISTER(PROGRAM_WORDS), words[PROGRAM_WORDS]);
    board_store(REGISTER(CONTROL), BITS(CONTROL, START));
    task->found[0] = 0;
    enum status status = finish(device, &run, words[CYCLES], &task->found[0]);
    board_store(REGISTER(CONTROL), BITS(CONTROL, RESET));
    task->found[1] = run.logits - words[LOGITS] / 4;
    task->found[2] = (run.counters - words[COUNTERS] / 4) / 2;
    task->count = 3;
    return status;
}

static enum status serve(const struct device *device, uint8_t code, struct task *task)
{
    switch (code) {
    case HELLO:
        return hello(device, task);
    case WRITE:
        return write(device, task);
    case READ:
        return read(device, task);
    case CHECK:
        return check(device, task);
    case RUN:
        return run(device, task);
    default:
        return UNKNOWN_REQUEST;
    }
}

/* Does what a frame asks for, and answers it. */
static void answer(const struct device *device)
{
    const struct frame *frame = &device->reader.frame;
    uint32_t found[FRAME_PAYLOAD / 4];
    struct task task = {frame->content.words + PAYLOAD_WORDS, (uint32_t)frame->count, found, 0};
    enum status status = serve(device, frame->content.bytes[CODE], &task);
    reply(frame, status, found, status == DONE ? task.count : 0);
}

void device_step(struct device *device)
{
    static const struct frame garbled = {.content.bytes[CODE] = GARBLED};
    for (uint32_t arrived; (arrived = board_load(REGISTER(RECEIVED))) & BITS(RECEIVED, VALID);) {
        switch (frame_take(&device->reader, (uint8_t)arrived)) {
        case FRAME_GOOD:
            answer(device);
            break;
        case FRAME_WRONG:
            reply(&garbled, NOT_A_FRAME, NULL, 0);
            break;
        case FRAME_NONE:
            break;
        }
    }
}
