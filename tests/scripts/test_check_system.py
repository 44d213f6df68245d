"""The check for system tools."""

from scripts import check_system


def test_this_system_is_complete(capsys):
    assert check_system.main() == 0
    assert capsys.readouterr().err == ""


def test_each_missing_tool_names_its_package(monkeypatch, capsys):
    monkeypatch.setattr(check_system.shutil, "which", lambda name: None)
    monkeypatch.setattr(check_system.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(check_system, "has_shared_python", lambda: False)
    assert check_system.main() == 1
    lines = capsys.readouterr().err.splitlines()
    packages = [line.rpartition(" ")[2] for line in lines]
    assert packages[:2] == ["g++", "make"]
    assert packages[2].endswith("-venv")
    assert packages[3].startswith("libpython3.")


def test_an_old_python_is_named(monkeypatch, capsys):
    monkeypatch.setattr(check_system, "MINIMUM", (99, 0))
    assert check_system.main() == 1
    assert "Python 99.0 or newer is needed" in capsys.readouterr().err
