# Everything runs in .venv, which make builds from pinned versions with nothing but git, make and Python.

VENV := .venv
STAMP := $(VENV)/.built-in
PINS := .ci/constraints.txt
BENCH_PINS := .ci/benchmarks.txt
BENCH_STAMP := $(VENV)/.benchmarks
SPARK_PINS := .ci/spark.txt
SPARK_STAMP := $(VENV)/.spark
OF_SPARK := pyspark py4j pandas pyarrow numpy
BUILD_BACK_END := hatchling editables
RUN := $(VENV)/bin/python -m
MAYSEND := $(VENV)/bin/maysend --project config

# The first Python on the path that is new enough.
PYTHON = $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

# The stamp holds the directory it was built in: a venv that was moved, or whose Python is gone, is built anew.
BUILT_IN := $(shell $(VENV)/bin/python -c 'print(open("$(STAMP)").read())' 2>/dev/null)

.PHONY: help demo test check soak test-spark bench docs snapshots pins clean

help:
	@echo "make demo    whom may each campaign of the CDNOW store reach, and why not the others?"
	@echo "make test    all tests but the long ones"
	@echo "make check   formatting, lint, types, import contracts, then make test"
	@echo "make soak    the long tests: hundreds of drawn projects, dozens of kills, real brokers, then make test-spark"
	@echo "make test-spark  the same decisions on a Spark of two workers as on DuckDB (needs Java 17)"
	@echo "make bench   maysend beside hand-written queries, Polars, chDB and PostgreSQL (PROFILES=, ROWS=, ROUNDS=, WRITE=1)"
	@echo "make docs    write the generated pages of docs/ again"
	@echo "make snapshots  keep the SQL of every case anew, after a change that is meant"
	@echo "make pins    choose newer versions of everything installed here (needs uv)"
	@echo "make clean   remove .venv, caches and the demo's ledger and results"

demo: $(STAMP)
	$(MAYSEND) import --create config/data/answers.csv
	$(MAYSEND) validate
	$(MAYSEND) evaluate --as-of 1998-07-01 --out config/out

test: $(STAMP)
	$(RUN) pytest -m "not soak" -n auto --dist worksteal

check: $(SPARK_STAMP) # for its types
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) mypy
	$(VENV)/bin/lint-imports
	$(MAKE) --no-print-directory test

soak: $(STAMP)
	$(RUN) pytest -m "soak and not spark" -n auto --dist worksteal
	$(MAKE) --no-print-directory test-spark

# One Spark for all of them: a master and two workers are as much as a small machine carries.
test-spark: $(SPARK_STAMP)
	$(RUN) pytest -m spark -n 0

bench: $(BENCH_STAMP)
	PYTHONPATH=tests $(RUN) benchmarks $(if $(PROFILES),--profiles $(PROFILES)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(foreach row,$(ROWS),--rows $(row)) $(if $(WRITE),--write)

docs: $(STAMP)
	$(VENV)/bin/python docs/configuration.py
	$(VENV)/bin/python docs/cli.py

snapshots: $(STAMP)
	MAYSEND_WRITE_SNAPSHOTS=1 $(RUN) pytest -q tests/unit/test_sql_snapshots.py

pins:
	printf "%s\n" $(BUILD_BACK_END) | uv pip compile --quiet --universal --all-extras --upgrade --no-annotate \
		$(foreach package,$(OF_SPARK),--no-emit-package $(package)) \
		--custom-compile-command "make pins" --output-file $(PINS) pyproject.toml -
	echo "pyspark[connect]>=4.0,<5 pyarrow>=18 pandas>=2.2,<3" | tr ' ' '\n' \
		| uv pip compile --quiet --universal --upgrade --no-annotate --no-emit-package setuptools \
		--custom-compile-command "make pins" --output-file $(SPARK_PINS) -
	uv pip compile --quiet --universal --group bench --constraint $(PINS) --upgrade --no-annotate \
		--custom-compile-command "make pins" --output-file $(BENCH_PINS)

clean:
	rm -rf $(VENV) .bench .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache config/.maysend config/out

ifneq ($(BUILT_IN),$(CURDIR))
.PHONY: $(STAMP)
endif
$(STAMP): pyproject.toml $(PINS)
	@[ -n "$(PYTHON)" ] || { echo "maysend needs Python 3.11 or newer: no such python3 is on the PATH" >&2; exit 1; }
	@echo "Installing into $(VENV), once" >&2
	@[ "$(BUILT_IN)" = "$(CURDIR)" ] || $(PYTHON) -m venv --clear $(VENV)
	@$(RUN) pip install --quiet --disable-pip-version-check --requirement $(PINS)
	@$(RUN) pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@printf %s "$(CURDIR)" > $@

$(BENCH_STAMP): $(STAMP) $(BENCH_PINS)
	@echo "Installing what is measured beside maysend, once" >&2
	@$(RUN) pip install --quiet --disable-pip-version-check --requirement $(BENCH_PINS)
	@touch $@
$(SPARK_STAMP): $(STAMP) $(SPARK_PINS)
	@echo "Installing Spark, once" >&2
	@$(RUN) pip install --quiet --disable-pip-version-check --requirement $(SPARK_PINS)
	@touch $@
