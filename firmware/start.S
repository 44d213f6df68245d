/* Where the core begins: set up a stack and the variables, and go to C. */

    .section .start, "ax"
    .global start
start:
    la sp, stack_top
    la t0, bss_start
    la t1, bss_end
clear:
    bgeu t0, t1, cleared
    sw zero, 0(t0)
    addi t0, t0, 4
    j clear
cleared:
    call main
stop:
    j stop
