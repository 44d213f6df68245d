"""What the accelerator says, until the firmware has read it."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hw.beats import currents_layout, write_layout
from hw.config import HardwareConfig
from hw.counters import REPORT

BEATS = 256
"""Beats of logits that can wait."""

REPORTS = 1024
"""Counters that can wait: of more layers than a network has."""


class ResultQueue(wiring.Component):
    """Queues of logits and counters, which the accelerator sends whether anyone listens or not.

    Parameters
    ----------
    config : the accelerator

    Members
    -------
    logits : In(stream of `hw.beats.write_layout`, always ready), beats; their addresses count up and are not kept
    counters : In(stream of `hw.counters.REPORT`, always ready)
    logit : Out(signed(32)), the oldest value: beat by beat, channel by channel, timestep by timestep
    logit_waits : Out(1), there is one; take_logit : In(1), it has been read
    counter : Out(REPORT), the oldest counter
    counter_waits : Out(1), there is one; take_counter : In(1), it has been read
    lost : Out(1), something came when there was no room for it, since the reset

    **Latency**: three cycles from what arrives to what waits. **Throughput**: one beat and one counter a cycle in, one
    value and one counter a cycle out.
    """

    def __init__(self, *, config: HardwareConfig):
        self._config = config
        logits = write_layout(config, currents_layout(config))
        super().__init__(
            {
                "logits": In(stream.Signature(logits, always_ready=True)),
                "counters": In(stream.Signature(REPORT, always_ready=True)),
                "logit": Out(signed(32)),
                "logit_waits": Out(1),
                "take_logit": In(1),
                "counter": Out(REPORT),
                "counter_waits": Out(1),
                "take_counter": In(1),
                "lost": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bits, count = self._config.current_bits, self._config.beat_channels * self._config.timesteps
        m.submodules.beats = beats = SyncFIFOBuffered(width=bits * count, depth=BEATS)
        m.submodules.reports = reports = SyncFIFOBuffered(width=REPORT.size, depth=REPORTS)
        m.d.comb += [
            beats.w_data.eq(self.logits.p.data),
            beats.w_en.eq(self.logits.valid),
            reports.w_data.eq(self.counters.p),
            reports.w_en.eq(self.counters.valid),
            self.counter.eq(reports.r_data),
            self.counter_waits.eq(reports.r_rdy),
            reports.r_en.eq(self.take_counter),
        ]
        with m.If((self.logits.valid & ~beats.w_rdy) | (self.counters.valid & ~reports.w_rdy)):
            m.d.sync += self.lost.eq(1)
        # A beat is shifted out, value by value.
        values, left = Signal(bits * count), Signal(range(count + 1))
        m.d.comb += [
            self.logit.eq(values[:bits].as_signed()),
            self.logit_waits.eq(left != 0),
            beats.r_en.eq((left == 0) | ((left == 1) & self.take_logit)),
        ]
        with m.If(beats.r_en):
            m.d.sync += [values.eq(beats.r_data), left.eq(Mux(beats.r_rdy, count, 0))]
        with m.Elif(self.take_logit):
            m.d.sync += [values.eq(values >> bits), left.eq(left - 1)]
        return m
