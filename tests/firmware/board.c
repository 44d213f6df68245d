/* A board for the firmware in a process: its line is the standard input and output, its memory an array, and its
   accelerator a stand-in that sums up items. What it does stands in the first words of the program:

   0: items that it wants; 1: logits that it sends; 2: counters that it sends; 3: what goes wrong (enum fault) */

#include "board.h"

#include <stdlib.h>
#include <unistd.h>

#include "crc.h"
#include "device.h"

enum { MEMORY_WORDS = 1 << 14, BUS_BYTES = 8 };

enum fault { NO_FAULT, NEVER_ENDS, REFUSED_WORD, LOST_RESULT };

static uint32_t memory[MEMORY_WORDS];
static uint32_t registers[sizeof(saformer_soc_t) / 4];
static uint32_t cycles, wanted, sum, logits, counters, fault, busy;

static uint8_t arrived[4096];
static size_t first, end;

static uint8_t leaving[4096];
static size_t filled;

static void flush(void)
{
    for (size_t sent = 0; sent < filled;) {
        ssize_t count = write(STDOUT_FILENO, leaving + sent, filled - sent);
        if (count <= 0) {
            exit(1);
        }
        sent += (size_t)count;
    }
    filled = 0;
}

/* Waits for bytes; there are none any more when it returns 0. */
static int fill(void)
{
    if (first == end) {
        flush();
        ssize_t count = read(STDIN_FILENO, arrived, sizeof arrived);
        first = 0;
        end = count > 0 ? (size_t)count : 0;
    }
    return first != end;
}

static uint32_t state(void)
{
    uint32_t bits = busy ? BITS(STATUS, BUSY) : 0;
    bits |= busy && wanted ? BITS(STATUS, ITEM_ROOM) : 0;
    bits |= !wanted && logits ? BITS(STATUS, LOGIT_WAITS) : 0;
    bits |= !wanted && counters ? BITS(STATUS, COUNTER_WAITS) : 0;
    bits |= fault == REFUSED_WORD ? BITS(STATUS, ERROR) : 0;
    bits |= fault == LOST_RESULT ? BITS(STATUS, LOST) : 0;
    return bits;
}

static void control(uint32_t value)
{
    if (value & BITS(CONTROL, RESET)) {
        wanted = sum = logits = counters = fault = busy = 0;
    }
    if (value & BITS(CONTROL, START)) {
        const uint32_t *program = memory + registers[REGISTER(PROGRAM) / 4] / 4;
        wanted = program[0];
        logits = program[1];
        counters = program[2];
        fault = program[3];
        busy = wanted != 0 || fault == NEVER_ENDS;
    }
}

uint32_t board_load(uint32_t offset)
{
    switch (offset) {
    case REGISTER(IDENT):
        return SAFORMER_SOC__IDENT__VALUE_reset;
    case REGISTER(BUILD):
        return 0x12345678;
    case REGISTER(SHAPE):
        return (uint32_t)BUS_BYTES << SAFORMER_SOC__SHAPE__BUS_BYTES_bp;
    case REGISTER(CLOCK):
        return 50000000;
    case REGISTER(MEMORY):
        return sizeof memory;
    case REGISTER(CYCLES):
        return cycles += 10;
    case REGISTER(STATUS):
        return state();
    case REGISTER(LOGIT):
        return sum * logits--;
    case REGISTER(COUNTER):
        return counters << 8;
    case REGISTER(COUNTER_LOW):
        return sum + counters--;
    case REGISTER(SERIAL):
        return BITS(SERIAL, SEND_ROOM);
    case REGISTER(RECEIVED):
        return first != end ? arrived[first++] | BITS(RECEIVED, VALID) : 0;
    case REGISTER(CRC):
        return crc_value();
    default:
        return registers[offset / 4];
    }
}

void board_store(uint32_t offset, uint32_t value)
{
    switch (offset) {
    case REGISTER(CONTROL):
        control(value);
        break;
    case REGISTER(INPUT):
        sum = sum * 31 + value;
        wanted--;
        busy = wanted != 0 || fault == NEVER_ENDS;
        break;
    case REGISTER(CRC_BYTE):
        crc_take(value);
        break;
    case REGISTER(SEND):
        if (filled == sizeof leaving) {
            flush();
        }
        leaving[filled++] = (uint8_t)value;
        break;
    default:
        registers[offset / 4] = value;
    }
}

uint32_t board_read(uint32_t place)
{
    return memory[place];
}

void board_write(uint32_t place, uint32_t word)
{
    memory[place] = word;
}

int main(void)
{
    static struct device device;
    device_begin(&device);
    while (fill()) {
        device_step(&device);
    }
    flush();
    return 0;
}
