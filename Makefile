# emosh: set up, check, and run pipelines. `make demo` and `make test` start from a clean clone.
# Overridable: PYTHON (3.11 to 3.14), VENV, OUT, and for the demo REF=photo.png DRIVE=video.mp4.

PYTHON ?= python3
VENV   ?= .venv
OUT    ?= out
REF    ?=
DRIVE  ?=
CLIPS  ?=
QUICK  ?= --quick
WRITE  ?=
TINY   ?=
BIN    := $(VENV)/bin
EMOSH  := $(BIN)/emosh

.PHONY: env docs-map docs-pictures docs-benchmarks demo test bench-track gpu-train check lint types arrows wheel clean
.PHONY: help
.DELETE_ON_ERROR:
.SECONDARY:

help:
	@echo "make demo                          set up, animate a real photo, write videos and pictures to $(OUT)/demo"
	@echo "make demo REF=a.png DRIVE=b.mp4    the same with your own photo and video"
	@echo "make test                          set up and run the tests"
	@echo "make docs-pictures                 redraw every picture of the README and docs/"
	@echo "make bench-track [QUICK=]          measure the tracker against known truth in 5 minutes; QUICK= runs all steps"
	@echo "make docs-benchmarks               write docs/benchmarks.md from the files in benchmarks/results"
	@echo "make gpu-train [TINY=--tiny]         on a GPU: measure the 14B recipe, and train a small model and VAE from scratch"
	@echo "make check                         lint, types, import arrows, wheel contents, tests"
	@echo "make out/drive.npz, out/x.mp4 ...  see the pipeline rules below"

# ---- environment: torch first and pinned, so that no other package installs another build
env: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@

# ---- the demo
demo: env
	$(BIN)/python -m emosh_cli.demo --out $(OUT)/demo $(if $(REF),--ref "$(REF)") $(if $(DRIVE),--drive "$(DRIVE)")

# ---- pictures of the README and the pages, and the tables of arrays in docs/files-and-formats.md
docs-pictures: docs-map
	$(BIN)/python docs/make_pictures.py --work $(OUT)/docs-pictures

# ---- pipeline rules: `make out/clip.mp4 REF=photo.png` animates photo.png with clip.mp4 (or any other name)
$(OUT)/%.npz: %.mp4 | env
	@mkdir -p $(@D)
	$(EMOSH) track $< -o $@

$(OUT)/%.mp4: $(OUT)/%.npz | env
	$(EMOSH) generate --ref "$(REF)" --motion $< -o $@

# ---- tracker benchmarks; CLIPS="a.mp4 b.mp4" adds real clips, WRITE=--write stores the results for docs/benchmarks.md
bench-track: env
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.track_against_truth $(QUICK) $(WRITE)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.track_ablation $(QUICK) $(WRITE)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.track_gates $(WRITE)
ifneq ($(strip $(CLIPS)),)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.track_clips $(CLIPS) --solver gn --solver adamw $(QUICK) $(WRITE)
endif

# ---- write docs/benchmarks.md from the results
docs-benchmarks: env
	$(BIN)/python -m benchmarks.page

# ---- training on a GPU: figures in $(OUT)/gpu-train.json and $(OUT)/gpu-train/scored; TINY=--tiny is a trial on the CPU
gpu-train: env
	@mkdir -p $(OUT)
	$(BIN)/python -m benchmarks.gpu_train recipe $(TINY) --out $(OUT)/gpu-train.json
	$(BIN)/python -m benchmarks.gpu_train learn $(OUT)/gpu-train $(TINY)

# ---- checks
test: env
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal
	@echo "tests passed; nothing was written outside .pytest_cache and the body cache ($$($(BIN)/python -c 'from stages.body.store import home; print(home())'))"

check: lint types arrows wheel test

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: env
	$(BIN)/pyright --pythonpath $(BIN)/python

arrows: env
	$(BIN)/lint-imports

# ---- draw docs/pictures/house.svg from the imports
docs-map: env
	$(BIN)/python docs/make_map.py

wheel: env
	$(BIN)/python -m build --wheel --no-isolation --outdir $(OUT)/wheel .
	$(BIN)/python tests/wheel_contents.py $(OUT)/wheel

clean:
	rm -rf $(OUT) .pytest_cache .ruff_cache
