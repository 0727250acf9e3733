# Thin on purpose: two commands for a fresh clone, everything else is in the justfile.
# Needs Python >= 3.11 and make; uses uv where it is present.

PYTHON ?= python3
VENV := .venv

.PHONY: demo test clean

demo: $(VENV)/.demo
	$(VENV)/bin/python -m demo

test: $(VENV)/.dev
	$(VENV)/bin/python -m pytest -n auto

$(VENV)/.%: pyproject.toml constraints.txt tools/setup.sh
	PYTHON=$(PYTHON) sh tools/setup.sh $(VENV) $*

clean:
	rm -rf $(VENV) .demo build dist
