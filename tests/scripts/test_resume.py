"""Results that survive a cut: what is kept, what is dropped, what is refused."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from golden.errors import SaformerError
from scripts import resume
from scripts.resume import ResultsFile, run_points


def test_results_are_found_again(tmp_path):
    path = tmp_path / "results.jsonl"
    ResultsFile(path).append({"a": 1, "b": 2}, {"value": 3})
    store = ResultsFile(path)
    assert store.get({"b": 2, "a": 1}) == {"value": 3}
    assert store.get({"a": 1}) is None


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_a_line_that_was_cut_off_is_dropped(tmp_path, cut):
    path = tmp_path / "results.jsonl"
    store = ResultsFile(path)
    for number in range(3):
        store.append({"number": number}, {"square": number**2})
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:cut])
    again = ResultsFile(path)
    assert [again.get({"number": number}) for number in range(3)] == [{"square": 0}, {"square": 1}, None]
    again.append({"number": 2}, {"square": 4})
    assert path.read_bytes() == b"".join(lines)


def test_results_of_other_sources_are_done_again(tmp_path, monkeypatch):
    path = tmp_path / "results.jsonl"
    ResultsFile(path).append({"a": 1}, {"value": 1})
    monkeypatch.setattr(resume, "source_digest", lambda: "other")
    store = ResultsFile(path)
    assert store.get({"a": 1}) is None
    store.append({"a": 1}, {"value": 2})
    assert ResultsFile(path).get({"a": 1}) == {"value": 2}


@pytest.mark.parametrize("text", ["hello\n", "[1]\n", '{"sources": "x"}\n{"a": 1}\n'])
def test_another_file_is_refused_and_left_alone(tmp_path, text):
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(SaformerError, match="is not a result"):
        ResultsFile(path)
    assert path.read_text() == text


def test_folders_and_images_are_refused(tmp_path):
    (tmp_path / "image").write_bytes(b"\xff\xfe\xff")
    for path in (tmp_path, tmp_path / "image"):
        with pytest.raises(SaformerError, match="cannot read"):
            ResultsFile(path)


def test_what_is_finished_when_a_point_fails_is_kept(tmp_path):
    store = ResultsFile(tmp_path / "results.jsonl")

    def evaluate(point):
        if point["number"] == 2:
            raise KeyboardInterrupt
        return {"double": 2 * point["number"]}

    numbers = [{"number": number} for number in range(4)]
    with ThreadPoolExecutor(1) as executor, pytest.raises(KeyboardInterrupt):
        run_points(numbers, evaluate, store, executor, what="test")
    again = ResultsFile(tmp_path / "results.jsonl")
    assert [again.get(point) for point in numbers[:3]] == [{"double": 0}, {"double": 2}, None]
    with ThreadPoolExecutor(1) as executor:
        done = run_points(numbers, lambda point: {"double": 2 * point["number"]}, again, executor, what="test")
    assert done == [{"double": 2 * number} for number in range(4)]
