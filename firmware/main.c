/* The firmware of the SoC: the device, for ever. */

#include "device.h"

int main(void)
{
    static struct device device;
    device_begin(&device);
    for (;;) {
        device_step(&device);
    }
}
