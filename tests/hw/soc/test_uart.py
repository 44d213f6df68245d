import pytest

from hw.soc.uart import Receiver, Sender
from sim.runner import run_bench
from tests.hw.side_by_side import SideBySide


@pytest.mark.parametrize("divisor", [16, 25])
def test_bytes_cross_the_line(divisor):
    parts = SideBySide(sender=Sender(divisor=divisor), receiver=Receiver(divisor=divisor))
    result = run_bench(parts, "sim.benches.soc.uart", parameters={"divisor": divisor})
    assert set(result.tests) == {
        "bytes_are_sent",
        "bytes_are_received",
        "faults_are_found",
        "breaks_are_found",
        "reset_in_the_middle",
    }


@pytest.mark.parametrize("component", [Sender, Receiver])
@pytest.mark.parametrize("divisor", [3, 16.0, "16", True])
def test_wrong_divisor(component, divisor):
    with pytest.raises(TypeError, match=f"divisor must be an integer of at least 4, not {divisor!r}"):
        component(divisor=divisor)
