"""What a command says when it is used wrongly."""

from scripts.cli import main


def error_of(capsys, *arguments):
    """Run a command line that must fail, and return its message: one line, and status 2."""
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err
