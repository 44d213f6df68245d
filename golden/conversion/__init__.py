"""From a quantised network of numbers to a spiking one: PMSM, and what it is compared with."""
