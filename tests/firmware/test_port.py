"""A serial port as line: bytes both ways, and what it says when there is none, or it goes."""

import os
import tty

import pytest

from firmware.port import SerialPort
from golden.errors import SaformerError


class Terminal:
    """A pseudo-terminal whose other end is in the test's hands."""

    def __init__(self):
        self.end, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.name = os.ttyname(self._slave)
        self.is_open = True

    def pull(self):
        """As when a cable is pulled."""
        if self.is_open:
            os.close(self.end)
            os.close(self._slave)
            self.is_open = False


@pytest.fixture
def terminal():
    made = Terminal()
    yield made
    made.pull()


def test_bytes_go_both_ways(terminal):
    with SerialPort(terminal.name) as port:
        port.send(b"\x00request\xff")
        assert os.read(terminal.end, 100) == b"\x00request\xff"
        assert port.receive(0.0) == b""
        os.write(terminal.end, b"\x00reply\n\r\x03")
        assert port.receive(1.0) == b"\x00reply\n\r\x03"


def test_what_came_before_a_restart_is_forgotten(terminal):
    with SerialPort(terminal.name) as port:
        os.write(terminal.end, b"old")
        port.restart()
        os.write(terminal.end, b"new")
        assert port.receive(1.0) == b"new"


def test_a_port_that_is_not_there():
    with pytest.raises(SaformerError, match=r"cannot open the port /dev/none .* check its name and the cable"):
        SerialPort("/dev/none")


@pytest.mark.parametrize("use", [lambda port: port.receive(1.0), lambda port: port.send(b"x"), SerialPort.restart])
def test_a_cable_that_is_pulled(terminal, use):
    with SerialPort(terminal.name) as port:
        terminal.pull()
        with pytest.raises(SaformerError, match=r"lost the port .* check the cable, then run this again"):
            use(port)
