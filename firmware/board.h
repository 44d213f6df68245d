/* What the device needs of the board. board.c is the SoC; the tests have one of their own. */

#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

#include "registers.h"

/* The offset of a register, and its bits: REGISTER(STATUS), BITS(STATUS, BUSY). */
#define REGISTER(name) ((uint32_t)__builtin_offsetof(saformer_soc_t, name))
#define BITS(name, field) SAFORMER_SOC__##name##__##field##_bm

uint32_t board_load(uint32_t offset);
void board_store(uint32_t offset, uint32_t value);

/* A word of the program memory, by its number. */
uint32_t board_read(uint32_t place);
void board_write(uint32_t place, uint32_t word);

#endif
