"""The system on a chip: the accelerator beside a RISC-V core, its registers and its memories."""
