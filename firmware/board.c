#include "board.h"

#define REGISTERS ((volatile uint32_t *)0x10000000u)
#define PROGRAM_MEMORY ((volatile uint32_t *)0x40000000u)

uint32_t board_load(uint32_t offset)
{
    return REGISTERS[offset / 4];
}

void board_store(uint32_t offset, uint32_t value)
{
    REGISTERS[offset / 4] = value;
}

uint32_t board_read(uint32_t place)
{
    return PROGRAM_MEMORY[place];
}

void board_write(uint32_t place, uint32_t word)
{
    PROGRAM_MEMORY[place] = word;
}
