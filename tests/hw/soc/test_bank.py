from hw.soc.bank import RegisterBank
from hw.soc.registers import REGISTERS
from sim.runner import run_bench


def test_registers_are_what_their_description_says():
    result = run_bench(RegisterBank(registers=REGISTERS), "sim.benches.soc.bank")
    assert set(result.tests) == {"random_requests", "reset_in_the_middle"}
