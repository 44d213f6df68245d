"""Tables of firing rates, such as the authors of other networks publish."""

import csv
import math
from pathlib import Path

from golden.energy.workload import Kind, LayerWork, Workload
from golden.errors import SaformerError

COLUMNS = ("layer", "operations", "rate", "kind")


def read_rates(path: Path) -> Workload:
    """The work in a CSV file with the columns `layer,operations,rate,kind`, one row for each layer.

    `operations` are those of the dense layer over all timesteps, `rate` is the share of its inputs that are not zero
    (1 for a layer that is billed for all of them), and `kind` is "mac" or "ac".

    Raises SaformerError: the file cannot be read, a column is missing, or a value is impossible; with the line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True, restkey="")
            names = reader.fieldnames or ()
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SaformerError(f"{path} is not a readable CSV file: {error}") from None
    if missing := [column for column in COLUMNS if column not in names]:
        raise SaformerError(f"{path} has no column {missing[0]!r}; its first line must be {','.join(COLUMNS)}")
    if not rows:
        raise SaformerError(f"{path} has no layers; add a line for each")
    return Workload(layers=tuple(_layer(f"{path}, line {line}", row) for line, row in rows), timesteps=1)


def _layer(where: str, row: dict[str, str]) -> LayerWork:
    if "" in row or None in row.values():
        raise SaformerError(f"{where}: there must be as many values as the first line has names")
    try:
        kind = Kind(row["kind"].strip().lower())
    except ValueError:
        raise SaformerError(f"{where}: kind must be {' or '.join(Kind)}, not {row['kind']!r}") from None
    operations = _number(where, "operations", row["operations"], limit=math.inf)
    rate = _number(where, "rate", row["rate"], limit=1.0)
    return LayerWork(name=row["layer"].strip(), kind=kind, operations=operations, rate=rate, executed=operations * rate)


def _number(where: str, column: str, text: str, *, limit: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= limit or math.isinf(value):
        allowed = "a number from 0 to 1" if limit == 1 else "a number that is not negative"
        raise SaformerError(f"{where}: {column} must be {allowed}, not {text!r}")
    return value
