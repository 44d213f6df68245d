/* CRC-32 as in IEEE 802.3 and zlib: reflected, polynomial 0x04C11DB7, all ones before and inverted after. */

#ifndef CRC_H
#define CRC_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of what came before, 0 at first, and of some bytes behind it. */
uint32_t crc32(uint32_t crc, const uint8_t *bytes, size_t count);

#endif
