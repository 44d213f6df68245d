"""Clocks of boards: settings of a PLL within its limits."""

import pytest

from golden.errors import SaformerError
from hw.boards.clocks import Ecp5Ratio, ecp5_ratio


def test_a_ratio_of_whole_numbers():
    assert ecp5_ratio(25_000_000, 50_000_000) == Ecp5Ratio(reference=1, feedback=2, output=16)


@pytest.mark.parametrize("target", [10, 25, 40, 62.5, 75, 80, 100, 133])
@pytest.mark.parametrize("source", [12, 25, 48, 100])
def test_ratios_are_exact_and_within_the_limits(source, target):
    source, target = round(source * 1e6), round(target * 1e6)
    try:
        ratio = ecp5_ratio(source, target)
    except SaformerError:
        # Only where the comparison would be slower than the PLL's limit, or too fast a feedback be needed.
        references = range(1, int(source / 3.125e6) + 1)
        assert not any(target * reference % source == 0 for reference in references)
        return
    assert source * ratio.feedback == target * ratio.reference
    assert 400e6 <= target * ratio.output <= 800e6
    assert source / ratio.reference >= 3.125e6


@pytest.mark.parametrize(("degrees", "phase"), [(0, (7, 0)), (90, (11, 0)), (180, (15, 0)), (100, (11, 4))])
def test_the_phase_of_a_second_clock(degrees, phase):
    # 50 MHz of an oscillator at 800 MHz: a cycle is 22.5 degrees, and the first comes after 7.
    assert ecp5_ratio(25_000_000, 50_000_000).phase(degrees) == phase


def test_a_frequency_that_it_cannot_make():
    with pytest.raises(SaformerError, match=r"no PLL setting makes 33\.333 MHz of 25 MHz: choose another frequency"):
        ecp5_ratio(25_000_000, 33_333_000)
