/* What the firmware sees of the SoC. */

#ifndef SOC_H
#define SOC_H

#include "registers.h"

#define REGISTERS ((volatile saformer_soc_t *)0x10000000u)
#define PROGRAM_MEMORY ((volatile uint32_t *)0x40000000u)

#endif
