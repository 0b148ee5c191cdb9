# `make` alone lists the targets. Needs make, git and Python 3.11 to 3.14; everything else is installed into .venv.
# ARGS="..." is handed to the target's command; PYTHON=... names the Python that .venv is made with.

PYTHON ?=
ARGS ?=
KILLS ?= 30
SECONDS ?= 60
SEEDS ?= 500
SEED ?=
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder
# Containers often set this; each of the many processes that tests start would then compile everything again.
unexport PYTHONDONTWRITEBYTECODE

# Every line begins with @: make prints nothing to standard output, whose last line may be the demo's JSON.
.DEFAULT_GOAL := help
.PHONY: help setup demo test quick test-all fuzz torture check format bench-sftp bench-accept bench-batches bench-camera bench-hostile bench-shutdown bench-start mutants
.PHONY: page-picture simulate system-packages lock clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 25

setup: ## make .venv with the locked requirements and the command iris
	@scripts/setup "$(PYTHON)"

demo: setup ## a camera line and an SFTP server on this machine, live (ARGS="--seconds 20 --json")
	@$(BIN)/iris demo $(ARGS)

test: setup ## all tests, in parallel (ARGS="-k outbox", "-n0 --pdb", "--seed 7")
	@$(PYTEST) $(ARGS)

quick: setup ## the tests of the library's single parts, in a minute
	@$(PYTEST) tests/unit/iris_communication $(ARGS)

test-all: setup ## all tests, on every server of docs/servers.md too (after make system-packages)
	@scripts/test-servers
	@IRIS_THOROUGH=1 $(PYTEST) -m "every_server or not every_server" $(ARGS)

fuzz: setup ## spoil what servers answer, guided by what code that reaches (SECONDS=60)
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

torture: setup ## kill, cut and silence it at random moments, then count what arrived (KILLS=500 ARGS="--seed 7")
	@$(BIN)/python -m tests.torture --kills $(KILLS) $(ARGS)

check: setup ## format, lint, types, layers; changes nothing (ARGS="src/iris_camera/web": only there)
	@failed=; \
	$(BIN)/ruff format --check $(or $(ARGS),.) || failed="$$failed format"; \
	$(BIN)/ruff check $(or $(ARGS),.) || failed="$$failed lint"; \
	$(BIN)/mypy $(ARGS) || failed="$$failed types"; \
	$(BIN)/lint-imports --no-logo || failed="$$failed layers"; \
	test -z "$$failed" || { echo "make check: failed:$$failed" >&2; exit 1; }

format: setup ## write the format, and mend what ruff can mend safely
	@$(BIN)/ruff check --quiet --fix-only $(or $(ARGS),.)
	@$(BIN)/ruff format --quiet $(or $(ARGS),.)

simulate: setup ## lives of a line in which everything goes wrong, each from one seed (SEEDS=500; SEED=17: its story)
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(SEEDS)) $(ARGS)

bench-sftp: setup ## files a second beside other SFTP clients (ARGS="--quick")
	@$(BIN)/python -m benchmarks.sftp $(ARGS)

bench-accept: setup ## what queue_upload costs its caller (ARGS="--files 500")
	@$(BIN)/python -m benchmarks.accept $(ARGS)

bench-camera: setup ## how late frames are beside an uploader, ours and others (ARGS="--quick")
	@$(BIN)/python -m benchmarks.camera $(ARGS)

bench-batches: setup ## files a second with and without archives (ARGS="--repeat 1")
	@$(BIN)/python -m benchmarks.batches $(ARGS)

bench-shutdown: setup ## how long it takes to end with files waiting: link up, cut, silent (ARGS="--repeat 1")
	@$(BIN)/python -m benchmarks.shutdown $(ARGS)

bench-start: setup ## how long imports and commands take to start, as ratios (ARGS="--repeat 3")
	@$(BIN)/python -m benchmarks.start $(ARGS)

bench-hostile: setup ## how late frames and files are beside a server, cameras and a browser that mean harm (ARGS="--seconds 5")
	@$(BIN)/python -m benchmarks.hostile $(ARGS)

mutants: setup ## break each promise about not losing files, one by one: does a test notice? (ARGS="spool ledger": only these)
	@$(BIN)/python -m tests.mutants.run $(ARGS)

page-picture: setup ## take docs/page.png anew, of the demo's page during its outage
	@PYTHONPATH=. $(BIN)/python scripts/page_picture.py

system-packages: ## install what some tests need from Debian: sshd, ssh, chromium (as root or with sudo)
	@scripts/system-packages $(ARGS)

lock: ## write requirements/*.txt anew from pyproject.toml (ARGS="--upgrade")
	@scripts/lock $(or $(PYTHON),python3) $(ARGS)

clean: ## remove .venv, caches and built files
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	@find src tests benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
