"""The serial accelerator: one timestep after the other, for devices of a few thousand cells."""
