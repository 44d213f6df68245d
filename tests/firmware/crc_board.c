/* A board that has nothing but the CRC unit. */

#include <stdlib.h>

#include "board.h"
#include "crc.h"

uint32_t board_load(uint32_t offset)
{
    if (offset != REGISTER(CRC)) {
        abort();
    }
    return crc_value();
}

void board_store(uint32_t offset, uint32_t value)
{
    if (offset != REGISTER(CRC_BYTE)) {
        abort();
    }
    crc_take(value);
}
