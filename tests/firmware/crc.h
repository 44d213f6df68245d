/* The CRC unit of the SoC, for the stand-ins of the tests. */

#ifndef CRC_H
#define CRC_H

#include <stdint.h>

/* What a write to CRC_BYTE does, and what a read of CRC gives. */
void crc_take(uint32_t item);
uint32_t crc_value(void);

#endif
