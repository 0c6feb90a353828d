# `make demo` and `make test` do all the set-up themselves; the second run starts in seconds.
# Needs only Python >= 3.11, a C++ compiler and git. Choose the Python with `make PYTHON=python3.12 demo`.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
STAMPS := .venv/stamps
NATIVE_SOURCES := CMakeLists.txt $(wildcard */native/*.cpp */native/*.h */native/*.hpp)
DEMO_OUT ?= out/demo

# OpenMP threads that spin while waiting slow down everything else on a small machine.
export OMP_WAIT_POLICY := passive

.PHONY: help demo test bench sanitize gui native clean

help:  ## list the targets
	@sed -n -E 's/^([a-z]+):.*## (.*)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

# Exit code 3: there is a result, but some photos could not be placed.
demo: $(STAMPS)/handful  ## six shipped photos to a scene and a mesh in out/demo
	@$(BIN)/python -m app reconstruct assets/samples/banana -o $(DEMO_OUT) --preset draft || [ $$? -eq 3 ]
	@printf '\nscene   %s\nmesh    %s\nreport  %s\n' $(DEMO_OUT)/splats.ply $(DEMO_OUT)/mesh.glb $(DEMO_OUT)/report.html

test: $(STAMPS)/handful $(STAMPS)/system  ## style, types and every test that takes less than ten seconds
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -m "not slow"

bench: $(STAMPS)/handful  ## the measurements in tests/bench
	@for script in tests/bench/bench_*.py; do echo "== $$script"; $(BIN)/python -m tests.bench.$$(basename $$script .py) || exit 1; done

sanitize: $(STAMPS)/handful  ## tests of the rasterizer's kernels under address, undefined-behaviour and thread sanitizers
	@.ci/sanitize .venv/bin/python

gui: $(STAMPS)/handful  ## open the window
	@$(BIN)/python -m app gui

native: $(STAMPS)/handful  ## rebuild the C++ kernels if they changed

clean:  ## remove the environment, the build and the demo's output
	rm -rf .venv build out

# An editable installation: changed Python files need nothing; changed kernels, dependencies or versions reinstall.
$(STAMPS)/handful: pyproject.toml constraints.txt .ci/setup $(NATIVE_SOURCES)
	@.ci/setup $(PYTHON)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/system: .ci/system-packages | $(STAMPS)/handful
	@.ci/system-packages
	@touch $@
