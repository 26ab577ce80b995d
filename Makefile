# `make demo` and `make test` are all a newcomer needs; both set themselves up.
# Tests of processes wait a good deal: two files at a time on two cores, in their order, one thread each. Three gain
# nothing: the cores are busy then.
TWO_AT_A_TIME = -n 2 --dist loadfile --no-loadscope-reorder
.PHONY: setup demo test fast check clean

setup:
	@.ci/setup.sh
	@.venv/bin/python -m rewards.compiled >/dev/null

demo: setup
	.venv/bin/ar1 demo

test: setup
	@.ci/browser.sh
	.venv/bin/ruff check .
	.venv/bin/mypy
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest $(TWO_AT_A_TIME)

# Pure parts only: seconds.
fast: setup
	.venv/bin/python -m pytest -m "not process and not slow"

check: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

clean:
	rm -rf .venv runs
