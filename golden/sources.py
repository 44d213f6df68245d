"""Where published data lie: a folder that the user names, or what SAFORMER_DATA names."""

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from golden.data import ENVIRONMENT
from golden.errors import SaformerError


@dataclass(frozen=True, kw_only=True)
class Source(ABC):
    """A published data set.

    Members
    -------
    title: in messages.
    folder: what its files lie in, inside what SAFORMER_DATA names.
    classes: of the labels.
    where: what to do to get it.
    """

    title: str
    folder: str
    classes: int
    where: str

    def find(self, data: str | Path | None = None) -> Path:
        """The folder with the files: `data`, or what SAFORMER_DATA names, or the official folder inside it.

        Raises SaformerError, saying where to get the data.
        """
        given = data if data is not None else os.environ.get(ENVIRONMENT)
        if not given:
            raise SaformerError(f"no {self.title} data given: {self.how}")
        for folder in (Path(given), Path(given) / self.folder):
            if self._is(folder):
                return folder
        raise SaformerError(f"no {self.title} data in {given}: {self.how}")

    def is_in(self, data: str | Path | None = None) -> bool:
        """Whether `find` finds it."""
        try:
            self.find(data)
        except SaformerError:
            return False
        return True

    @property
    def words(self) -> str:
        """What a model that was trained on it says about it."""
        return self.title

    @property
    def how(self) -> str:
        """How to get and name it."""
        return f"{self.where}, and pass the folder with --data or {ENVIRONMENT}"

    @abstractmethod
    def _is(self, folder: Path) -> bool:
        """Whether a folder looks like it."""


_Kind = TypeVar("_Kind", bound=Source)


def choose_source(fitting: _Kind, other: _Kind, data: str | Path | None) -> _Kind:
    """The data set that fits; the other one where only that is in the folder."""
    return other if other.is_in(data) and not fitting.is_in(data) else fitting
