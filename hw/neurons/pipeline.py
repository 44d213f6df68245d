"""Pipelines without back-pressure: every stage has an enable, which is the valid bit of the beat that enters it."""

from amaranth import Cat, Const, Module, Signal, Value


def hold(m: Module, value, enables: Value, *, init: int | None = None):
    """Carry a value (or view) through one register for each bit of ``enables``, and return the last of them.

    Stages that no beat enters keep what they have, so that an idle pipeline does not toggle. The registers have no
    reset: what they hold means something only together with a valid bit. ``init`` is what they come up with: a register
    that a condition sets to ones should come up with ones, because a flip-flop that is set to another value than it
    comes up with needs inverters on both sides.
    """
    for enable in enables:
        register = Signal(value.shape(), reset_less=True, init=init)
        with m.If(enable):
            m.d.sync += register.eq(value)
        value = register
    return value


def stages(m: Module, valid: Value, count: int) -> tuple[Value, Signal]:
    """Follow a valid bit through a pipeline: the enables of its ``count`` stages, and which of them are filled."""
    filled = Signal(count)
    enables = Cat(valid, filled)[:count]
    m.d.sync += filled.eq(enables)
    return enables, filled


def delay(m: Module, value, count: int):
    """What a value (or view) was ``count`` cycles ago; registers without a reset, as in `hold`."""
    return hold(m, value, Const((1 << count) - 1, count))
