#include "crc.h"

#include "board.h"

static uint32_t crc;

void crc_take(uint32_t item)
{
    uint32_t rest = item & BITS(CRC_BYTE, FIRST) ? 0xffffffffu : ~crc;
    rest ^= item & BITS(CRC_BYTE, DATA);
    for (int bit = 0; bit < 8; bit++) {
        rest = rest >> 1 ^ (rest & 1 ? 0xedb88320u : 0);
    }
    crc = ~rest;
}

uint32_t crc_value(void)
{
    return crc;
}
