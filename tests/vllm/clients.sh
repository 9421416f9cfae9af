#!/usr/bin/env bash
# Installs the real evaluation clients from PyPI into an environment beside the real vLLM.
#
# Safe to run again, as install.sh is. The versions were tried together; newer ones may ask for other options.
set -euo pipefail
# shellcheck source=tests/vllm/place.sh
source "$(dirname "${BASH_SOURCE[0]}")/place.sh"

pins=(openai==3.57.0 inspect-ai==0.3.285 "lm-eval[api]==0.4.13")
recipe=${pins[*]}

if complete "$clients" "$recipe"; then
    say "the clients are installed in $clients"
    exit 0
fi

say "the clients are not installed yet: ${pins[*]}. This downloads about 300 MB from PyPI, once"
began=$SECONDS
mkdir -p "$cache"
rm -rf "$clients"
need_uv
"$uv" venv --quiet --no-python-downloads --python "$(find_python)" "$clients"
"$uv" pip install --python "$clients/bin/python" --compile-bytecode "${pins[@]}"

# Imported as they are used: lm-eval loads its models and inspect-ai its providers only when asked.
"$clients/bin/python" - <<'EOF'
import importlib.metadata as metadata
import inspect_ai.model, inspect_ai.tool, openai, lm_eval.models.openai_completions
print(", ".join(f"{name} {metadata.version(name)}" for name in ("openai", "inspect-ai", "lm-eval")))
EOF
printf '%s\n' "$recipe" >"$clients/.complete"
say "installed the clients in $((SECONDS - began)) s, $(du -sh "$clients" | cut -f1)"
