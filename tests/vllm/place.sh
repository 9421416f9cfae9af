# Where the real vLLM and the real clients live, and how a step speaks; sourced by the other scripts here.
# shellcheck shell=bash
# shellcheck disable=SC2034 # the scripts that source this file use the names

# Both change what a Python program prints and leaves behind: without bytecode each of a server's three
# processes would compile torch and vLLM again, which doubles its start.
unset PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE

release=0.32.0
cache=${TOOLORCH_REAL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/toolorch-real}
venv=$cache/vllm-$release
clients=$cache/clients
# Its own, so that removing $cache removes everything. uv links from here: the files exist once.
export UV_CACHE_DIR=$cache/uv-cache

say() { printf '\n==> %s\n' "$*"; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# A Python that is on this machine and runs. 3.12 first: it is what the wheels of all releases were tried with.
# pyenv's shims exist for versions that are not switched on, so each candidate has to prove itself.
find_python() {
    local candidate
    for candidate in python3.12 "$HOME"/.pyenv/versions/3.12*/bin/python python3.13 python3.11 python3; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    die "no Python 3.11 to 3.13 on this machine; install one (on Debian: apt install python3-full)"
}

# Puts uv into a small environment of its own, because pip alone resolves and unpacks these 3 GB one by one.
need_uv() {
    uv=$cache/uv/bin/uv
    "$uv" --version >/dev/null 2>&1 && return
    say "installing uv into $cache/uv (20 MB)"
    rm -rf "$cache/uv"
    "$(find_python)" -m venv "$cache/uv"
    "$cache/uv/bin/pip" install --quiet uv
    "$uv" --version
}

# Whether an environment was completed by this very recipe: the stamp is written last and says what was installed.
complete() { # DIR RECIPE
    [[ -f $1/.complete && $(<"$1/.complete") == "$2" ]]
}
