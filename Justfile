# Everything that .ci/run does, one recipe each, for those who have just. `just` alone lists them.

bin := ".venv/bin"

default:
    @just --list

# A virtual environment with all that development needs.
setup:
    python3 -m venv .venv
    {{bin}}/pip install -e '.[dev]'

# All tests; the ones marked `model` fetch the starter models once.
test *args:
    {{bin}}/python -m pytest {{args}}

# The tests that need no model and no network.
fast *args:
    {{bin}}/python -m pytest -m "not model" {{args}}

# Mend what can be mended by a tool.
fix:
    {{bin}}/ruff check --fix .
    {{bin}}/ruff format .

# Style, types and import contracts.
walls:
    {{bin}}/ruff check .
    {{bin}}/ruff format --check .
    {{bin}}/mypy
    {{bin}}/lint-imports

# Generated files are what the code would generate now.
fresh:
    {{bin}}/python bench/fresh.py

# Write the generated files anew.
generate:
    {{bin}}/python bench/fresh.py --write

# Ask a question of the sample documents.
demo:
    {{bin}}/termrag add README.md tests/samples
    {{bin}}/termrag ask "When does the last ferry leave?"

# All that a change must pass.
ci:
    .ci/run
