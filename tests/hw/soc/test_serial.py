"""The parts of the SoC with the serial accelerator; the whole is in tests/sim/test_serial_device.py."""

from dataclasses import asdict

from hw.serial.config import SerialConfig
from hw.soc.serial import CounterReader, SharedStore
from sim.runner import run_bench

CONFIG = SerialConfig(store_depth=64)


def test_the_core_waits_for_the_accelerator():
    store = SharedStore(config=CONFIG, address_bits=10)
    result = run_bench(store, "sim.benches.soc.store", parameters=asdict(CONFIG))
    assert set(result.tests) == {"both_get_their_words", "a_reset_leaves_the_words"}


def test_counters_are_read_one_by_one():
    result = run_bench(CounterReader(), "sim.benches.soc.counters")
    assert set(result.tests) == {"counters_come_in_order", "a_reset_begins_with_the_first"}
