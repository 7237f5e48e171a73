.PHONY: backtest test bench soak soak-paper lint clean format lock
export UV_COMPILE_BYTECODE = 1
PY = .venv/bin/python
ONLY ?=
N ?= auto
MINUTES ?= 60

backtest: ## set up, then run the main job on the embedded sample and say where the report is
	@scripts/setup.sh run
	@.venv/bin/beta backtest polymarket_arb --data sample --capital 1000 --report reports/sample

test: ## everything: all extras, services, lint, types, floors, whole suite
	@scripts/setup.sh services
	@scripts/setup.sh all
	@$(MAKE) --no-print-directory lint
	@$(PY) -m pytest -q -n $(N) --dist loadgroup

lint: ## ruff, mypy --strict, import floors
	@scripts/setup.sh dev
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

format: ## fix style, rewrite docs/cli.md from the commands
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .
	@$(PY) -m console.cli.reference

bench: ## measure side by side; ONLY=ledger for one area, QUICK=1 for fewer repeats
	@scripts/setup.sh all
	@$(PY) -m tests.benchmarks $(if $(ONLY),--only $(ONLY),) $(if $(QUICK),--quick,)

soak: ## 40,000 seeded fault runs; goes on where it was stopped; reports/soak.json and soak.md
	@scripts/setup.sh dev
	@.venv/bin/beta faults run --runs 40000 --report reports/soak.json --resume reports/soak.jsonl

soak-paper: ## a paper node for MINUTES=60 on a replayed recording at 21x; reports/soak_paper/report.{json,svg}
	@scripts/setup.sh dev
	@test -d catalogs/kalshi_btc15m_l2 || .venv/bin/beta data ingest kalshi_btc15m_l2 --from ../shared/data/kalshi_btc15m_l2
	@$(PY) -m tests.soak.paper --minutes $(MINUTES) --speed 21 --out reports/soak_paper

lock: ## re-resolve all extras and rewrite requirements.lock
	@scripts/lock.sh

clean: ## remove the environment, caches and reports; ledgers (runs/) and data (catalogs/) stay
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache reports bench.json
