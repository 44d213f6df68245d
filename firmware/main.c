/* Boots, checks the program memory, says who it is, and returns every byte that it gets. */

#include "soc.h"

static void send(uint8_t byte)
{
    while (!(REGISTERS->SERIAL & SAFORMER_SOC__SERIAL__SEND_ROOM_bm)) {
    }
    REGISTERS->SEND = byte;
}

static void send_word(uint32_t word)
{
    for (int shift = 0; shift < 32; shift += 8) {
        send((uint8_t)(word >> shift));
    }
}

/* Writes a different word at every power of two and reads them all again: an address line that is open or short shows
   itself. Returns the number of words that are wrong. */
static uint32_t check_memory(uint32_t words)
{
    uint32_t wrong = 0;
    PROGRAM_MEMORY[0] = 0x5a5a5a5au;
    for (uint32_t place = 1; place < words; place <<= 1) {
        PROGRAM_MEMORY[place] = ~place;
    }
    for (uint32_t place = 1; place < words; place <<= 1) {
        wrong += PROGRAM_MEMORY[place] != ~place;
    }
    return wrong + (PROGRAM_MEMORY[0] != 0x5a5a5a5au);
}

int main(void)
{
    send_word(REGISTERS->IDENT);
    send_word(REGISTERS->BUILD);
    send_word(check_memory(REGISTERS->MEMORY / 4));
    for (;;) {
        if (REGISTERS->SERIAL & SAFORMER_SOC__SERIAL__RECEIVED_bm) {
            send((uint8_t)REGISTERS->RECEIVED);
        }
    }
}
