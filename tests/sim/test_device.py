"""A board as engine: bit-exact on the simulated SoC behind its serial port; what is wrong is found or told."""

import dataclasses

import pytest

import firmware
from firmware.link import Identity, Link
from firmware.port import SerialPort
from golden.calibrate import init_model
from golden.config import ModelConfig
from golden.data import load_bundled
from golden.errors import SaformerError
from hw.compile.image import pack_image
from hw.compile.lowering import lower
from hw.config import HARDWARE
from hw.counters import Counter
from hw.soc.litedram import Sdram
from hw.soc.system import build_hash
from sim.board import BoardLine, SimulatedBoard
from sim.cosim import cosim
from sim.device import DeviceEngine, find_hardware, plan_memory
from sim.native import NativeModel
from sim.simulate import Simulator
from sim.terminal import BoardTerminal
from tests.hw.soc.board import CONFIG, MEMORY_BYTES, board

TIMING = {Counter.CYCLES.name, Counter.IDLE.name, Counter.STALLED.name, Counter.WAITING.name, Counter.BUS_WORDS.name}
"""Counters that depend on how fast items and weights come; of all words the sum is compared."""

IDENTITY = Identity(
    protocol=1,
    ident=int.from_bytes(b"SAF1", "big"),
    version=1,
    build=build_hash(CONFIG),
    shape=0,
    hertz=50_000_000,
    memory_bytes=MEMORY_BYTES,
    broken_words=0,
)


@pytest.fixture(scope="module")
def link():
    with BoardTerminal(board()) as terminal, SerialPort(terminal.port) as line:
        yield Link(line, patience=60.0)


@pytest.fixture(scope="module")
def model():
    return sample(seed=3)


@pytest.fixture(scope="module")
def images():
    # The middle of each: the model is small, to be quick.
    return load_bundled().select(first=0, count=2).images[:, :, 8:24, 8:24].contiguous()


def sample(*, seed: int, **changes):
    """An untrained model whose classes take more than one group of lanes, and whose timesteps more than one pass."""
    shape = {"name": "sample", "dim": 16, "depth": 1, "image_size": 16, "timesteps": 3, "classes": 20}
    return init_model(ModelConfig(**(shape | changes)), seed=seed)


def engine(link, **changes):
    return DeviceEngine(link, dataclasses.replace(IDENTITY, **changes), cycles_per_second=100_000)


def test_a_program_in_sdram(model, images):
    chip = Sdram(chip="MT48LC16M16")
    design = SimulatedBoard(config=CONFIG, memory_bytes=MEMORY_BYTES, firmware=firmware.image(), sdram=chip)
    with NativeModel(design) as running:
        line, told = BoardLine(running), []
        link = Link(line, patience=60.0)
        device = DeviceEngine(link, link.hello(), cycles_per_second=100_000, progress=told.append)
        result = cosim(model, images[:1], [0], config=CONFIG, engine=device)
        assert result.bit_exact, result.mismatches
        # What the memory holds outlasts a reset of the SoC: nothing is sent again.
        line.restart()
        sent = len(told)
        device.load(lower(model, CONFIG))
        assert len(told) == sent > 0
        assert running.get("violations") == 0


def test_logits_and_counters_are_those_of_the_accelerator_alone(link, model, images):
    told = []
    device = DeviceEngine(link, IDENTITY, cycles_per_second=100_000, progress=told.append)
    on_board = cosim(model, images, [0, 1], config=CONFIG, engine=device)
    assert on_board.bit_exact, on_board.mismatches
    assert told[-1] == lower(model, CONFIG).program.size
    with Simulator(config=CONFIG) as simulator:
        alone = cosim(model, images, [0, 1], config=CONFIG, engine=simulator)
    assert on_board.predictions == alone.predictions
    for here, there in zip(on_board.layers, alone.layers, strict=True):
        assert {**here.counters, **dict.fromkeys(TIMING & here.counters.keys())} == {
            **there.counters,
            **dict.fromkeys(TIMING & there.counters.keys()),
        }


def test_a_program_that_is_there_is_not_sent_again(link, model):
    told = []
    lowered = lower(model, CONFIG)
    for _ in range(2):
        told.clear()
        DeviceEngine(link, IDENTITY, cycles_per_second=100_000, progress=told.append).load(lowered)
    assert not told


def test_another_program_is_found_out(link, model, images):
    other = pack_image(lower(sample(seed=4), CONFIG))
    result = cosim(model, images[:1], [0], config=CONFIG, engine=engine(link), image=other)
    assert any("logits" in str(mismatch) for mismatch in result.mismatches)


def test_a_program_that_does_not_fit_the_memory(link, model):
    size = plan_memory(lower(model, CONFIG)).size
    with pytest.raises(SaformerError, match=f"need {size} bytes, the board has 4096: use a smaller model"):
        engine(link, memory_bytes=4096).load(lower(model, CONFIG))


def test_memory_that_forgets_is_found_out(model):
    class Forgetful:
        """A link to memory that keeps nothing."""

        def check(self, address, words, *, patience):
            return 0

        def write(self, address, content, *, progress):
            pass

    with pytest.raises(SaformerError, match="is not what was sent: the memory is broken"):
        engine(Forgetful()).load(lower(model, CONFIG))


def test_hardware_is_found_by_the_hash_of_its_build():
    assert find_hardware(IDENTITY, CONFIG) is CONFIG
    small = HARDWARE["small"]
    assert find_hardware(dataclasses.replace(IDENTITY, build=build_hash(small)), None) is small


def test_a_board_with_another_bitstream():
    with pytest.raises(SaformerError, match=r"for other hardware .* than any named configuration: name its"):
        find_hardware(dataclasses.replace(IDENTITY, build=1), None)
    with pytest.raises(SaformerError, match="than narrow"):
        find_hardware(IDENTITY, HARDWARE["narrow"])
    with pytest.raises(SaformerError, match="the device says that it is 0x00000001"):
        find_hardware(dataclasses.replace(IDENTITY, ident=1), None)
