# Set-up, tests and the demonstration. Each target installs what it needs into .venv first.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test install clean

demo: $(INSTALLED)
	mkdir -p results
	$(BIN)/saformer cosim tiny --images 5 --report results/demo.html --json results/demo.json

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pytest -q

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt scripts/check_system.py
	$(PYTHON) scripts/check_system.py
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	touch $@

clean:
	rm -rf .venv build results *.egg-info
