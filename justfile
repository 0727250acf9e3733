# The task list. `just` comes with the dev group: .venv/bin/just; `make test` sets that up.

python := ".venv/bin/python"

# what there is
default:
    @just --list --unsorted

# the same as `make test` and `.ci/run`
test *args:
    {{python}} -m pytest -n auto {{args}}

# without models and child processes: seconds
quick:
    {{python}} -m pytest tests/unit tests/golden tests/property tests/tidy -q

# the gateway in virtual time under seeded faults: --seeds A..B, or --seed N --trace
sim *args:
    {{python}} -m tests.simulation {{args}}

# format and lint
lint:
    .venv/bin/ruff format .
    .venv/bin/ruff check .
    .venv/bin/lint-imports
    .venv/bin/basedpyright

# the main job on real models
demo:
    {{python}} -m demo

# generated reference pages, checked in and held up to date by tests/docs
gen:
    {{python}} tools/generate_reference.py

# first token and decode throughput through the gateway against the engine child asked directly
bench-path *args:
    {{python}} bench/path.py {{args}}

# what embedding and reranking cost: processor time inside the worker, wall time over HTTP
bench-embed *args:
    PYTHONPATH=. {{python}} bench/embed.py {{args}}

# import and start-up times
bench-start:
    {{python}} bench/start.py

# the real vLLM (CPU) and llama-server behind the gateway; the first time fetches and builds 5 GB into the cache folder
test-real *args:
    {{python}} tools/real_servers.py
    FREEHOLD_TEST_REAL=1 {{python}} -m pytest tests/real {{args}}

# official clients, editors and a chat in the browser, and their guides, against a gateway; the first time fetches 700 MB
test-clients *args:
    {{python}} -m tests.clients.venvs
    FREEHOLD_TEST_CLIENTS=1 {{python}} -m tests.clients.alone -m pytest tests/clients {{args}}

# the gateway beside its peers on the shared load rig, and its bars: --quick, --only A,B, --rounds N, --write
bench-gateway *args:
    {{python}} -m bench.gateway {{args}}

# fair turns: shares, places and estimates in virtual time; --real: on the embedded engine, over HTTP
bench-fairness *args:
    {{python}} -m bench.fairness {{args}}

# memory, descriptors and connections over 300,000 requests and 3,000 dropped streams, also with a broken sink
bench-soak *args:
    {{python}} -m bench.soak {{args}}

# clients that leave, stall, flood or lie, and upstreams that fail
bench-faults *args:
    {{python}} -m bench.faults {{args}}

# schemathesis on the published OpenAPI document, against a real gateway; the first time fetches it into the cache folder
fuzz-api *args:
    {{python}} -m tests.fuzz_api {{args}}

# hostile ids, paths, hosts and fields against the gateway and an oracle: --seconds N, --seed S
fuzz-access *args:
    {{python}} -m tests.fuzz_access {{args}}

# whether the time of a key's look-up tells anything of the keys
bench-keys *args:
    {{python}} -m bench.key_timing {{args}}

# 200 times kill -9 of a process that appends to the audit log: nothing acknowledged is lost
audit-kills:
    FREEHOLD_AUDIT_KILLS=200 {{python}} -m pytest -q tests/integration/test_audit_crash.py

# the audit log: durable appends, what it adds to a request, entries verified: --entries N
bench-audit *args:
    {{python}} -m bench.audit {{args}}

# how often /v1/classify is right, how honest, how fast on one core: --peer PYTHON (with scikit-learn), --write
bench-classify *args:
    {{python}} -m bench.classify {{args}}

# pii-leak-benchmark against a real gateway; --install fetches it into the cache folder, --thorough cuts values in three
bench-leak *args:
    {{python}} -m bench.leak {{args}}

# judging: routers, certificates and alarms on recorded outcomes, and the embedded ladder: --quick, --only A,B, --write
bench-routing *args:
    {{python}} -m bench.routing {{args}}
# ask the starter models all shipped questions into FOLDER (hours; goes on where it stopped), and remake what ships
calibrate-ladder folder:
    {{python}} -m freehold calibrate small medium large --config bench/routing/ladder.toml --out {{folder}}
    {{python}} -m bench.routing.ladder_outcomes {{folder}}
    {{python}} -m bench.routing.ladder_outcomes
# whether confidence is real on the starter models, and a ladder of them worth its steps: --quick
bench-ladder *args:
    {{python}} -m bench.routing.ladder {{args}}
# tests where the kernel drops and counts every packet beyond loopback (root or user namespaces, nftables): tests/unit …
test-sealed *args:
    {{python}} -m tools.sealed {{args}}

# the vault's bars: ranking, pieces, permission, store, reading, citations, abstention (minutes; a quiet machine)
bench-vault *args:
    {{python}} -m bench.vault {{args}}

# the planner's forms against measured machines and llama.cpp's own answers, beside what others use
bench-planner:
    {{python}} -m bench.planner.memory
    {{python}} -m bench.planner.fit_speed

# this machine's speed, each starter model predicted from the others (a quiet machine)
bench-machine:
    {{python}} -m bench.planner.this_machine

# models that share memory, against least-recently-used: a number of seeds
bench-placement *args:
    {{python}} -m bench.placement {{args}}

# the registry: what is refused, what goes on after a break, what canaries let pass: --real
bench-registry *args:
    {{python}} -m bench.registry {{args}}

# a trained adapter on its own route: --python FILE (one with torch and gguf) or --adapter FILE
bench-adapters *args:
    {{python}} -m bench.adapters {{args}}

# why guessed tokens change greedy answers
bench-rounding *args:
    {{python}} -m bench.rounding {{args}}

# settings of guessing that the product does not have
bench-guessing *args:
    {{python}} -m bench.guessing {{args}}

# whether guessing tokens pays here, and answers the same
bench-speculation *args:
    {{python}} -m bench.speculation {{args}}
