"""The report."""

import re
from dataclasses import replace

import pytest

from golden.config import Input
from scripts.report import render
from tests.scripts.samples import sample


@pytest.fixture(scope="module")
def source():
    return sample()


def test_report_is_one_self_contained_file(source):
    page = render(source)
    assert page.count("<svg") == 4
    assert page.count('<img src="data:image/png;base64,') == 3
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", page)


def test_report_is_reproducible(source):
    assert render(source) == render(source)


def test_report_shows_differences(source):
    figures = source.figures | {"bit_exact": False, "mismatches": ["conv2 <spikes> differ"]}
    page = render(replace(source, figures=figures))
    assert "conv2 &lt;spikes&gt; differ" in page
    assert "not equal" in page


@pytest.mark.parametrize("in_channels", [1, 2])
def test_report_of_other_images(in_channels):
    assert render(sample(images=1, in_channels=in_channels)).count('<img src="data:image/png;base64,') == 1


def test_report_of_events_without_labels():
    page = render(sample(images=2, in_channels=2, input=Input.EVENTS))
    assert page.count("no label &middot;") == 2
    assert "unknown (no labels)" in page
    assert "class " in page
    assert "airplane" not in page


def test_mixing_has_no_cycles_of_its_own(source):
    page = render(source)
    row = next(line for line in page.splitlines() if "<td>in the background</td>" in line)
    assert "<td>0</td>" in row


def test_both_ways_of_computing_queries(source):
    assert "12,345 cycles for the first image; from every token it would be about 23,457" in render(source)
    assert "Queries" not in render(replace(source, figures=source.figures | {"query": None}))
