# Sourced by the other scripts: where things are, and a few words to say.
# shellcheck shell=bash
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${BERTH_BUILD:-$root/build}
cache=${BERTH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/berth}
models=$cache/models
venv=$cache/venv
export BERTH_CACHE=$cache BERTH_BUILD=$build

say() { printf '\n== %s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# A build folder, configured with what is given and brought up to date: all of it, or the targets after --.
build_in() { # FOLDER [MESON OPTION...] [-- TARGET...]
    local folder=$1 options=()
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    [ $# = 0 ] || shift
    if [ ! -f "$folder/build.ninja" ]; then
        meson setup "$folder" "$root" "${options[@]}" >"$folder.log" 2>&1 ||
            { cat "$folder.log" >&2; die "meson setup failed"; }
        rm -f "$folder.log"
    fi
    ninja -C "$folder" "$@"
}
