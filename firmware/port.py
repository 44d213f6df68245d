"""A serial port as the line to a device."""

import os
import termios
import time

import serial

from firmware.link import Line
from golden.errors import SaformerError

BAUD = 1_000_000
"""Bits a second of the boards' serial lines, where nothing else is said."""

GONE = (OSError, termios.error)
"""What pyserial raises when a port is not there any more."""


class SerialPort(Line):
    """`firmware.link.Line` over a serial port of this machine.

    Parameters
    ----------
    name : of the port
    baud : bits a second

    Raises SaformerError when there is no such port, or it is in use.
    """

    def __init__(self, name: str, *, baud: int = BAUD):
        self._name = name
        try:
            self._port = serial.Serial(name, baud, timeout=0, exclusive=True)
        except (OSError, ValueError) as error:
            raise SaformerError(
                f"cannot open the port {name} ({_reason(error)}): check its name and the cable"
            ) from None

    def __enter__(self) -> "SerialPort":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the port back."""
        self._port.close()

    def send(self, content: bytes) -> None:
        """Send bytes. Raises SaformerError when the port is gone."""
        try:
            self._port.write(content)
        except GONE as error:
            raise self._lost(error) from None

    def receive(self, seconds: float) -> bytes:
        """Return what has arrived, and wait for the first byte of it that long.

        Raises SaformerError when the port is gone.
        """
        try:
            self._port.timeout = seconds
            first = self._port.read(1)
            return first + self._port.read(self._port.in_waiting) if first else b""
        except GONE as error:
            raise self._lost(error) from None

    def clock(self) -> float:
        """Return the time in seconds."""
        return time.monotonic()

    def restart(self) -> None:
        """Hold the line at 0, which resets the device, and forget what it had sent. Raises SaformerError when the port
        is gone."""
        try:
            self._port.send_break()
            self._port.reset_input_buffer()
        except GONE as error:
            raise self._lost(error) from None

    def _lost(self, error: Exception) -> SaformerError:
        return SaformerError(f"lost the port {self._name} ({_reason(error)}): check the cable, then run this again")


def _reason(error: Exception) -> str:
    """What the system says about an error, without pyserial's words around it."""
    number = getattr(error, "errno", None)
    return str(error) if number is None else os.strerror(number)
