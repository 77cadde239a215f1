# Shared by every step of the lab: where things live, how it speaks, how it fails.
# shellcheck shell=bash
set -euo pipefail

LAB_PARTS="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
LAB_REPO="$(dirname -- "$(dirname -- "$LAB_PARTS")")"
# An override lets fresh clones and CI share one cache.
LAB_DIR="${KDUMP_MEM_LAB:-$LAB_REPO/.lab}"
mkdir -p -- "$LAB_DIR"
LAB_DIR="$(cd -- "$LAB_DIR" && pwd)"
export LAB_DIR LAB_PARTS LAB_REPO
# mke2fs and debugfs live there.
export PATH="$PATH:/usr/sbin:/sbin"

say() { printf 'lab: %s\n' "$*" >&2; }
die() {
  printf 'lab: %s\n' "$*" >&2
  exit 1
}

# run_step NAME COMMAND...: runs one step and, unless its result was there, says how long it took.
run_step() {
  local name="$1" began="${EPOCHREALTIME/[.,]/}" took
  shift
  "$@"
  took=$(((${EPOCHREALTIME/[.,]/} - began) / 100000))
  ((took < 5)) || say "$name: $((took / 10)).$((took % 10)) s"
}

# with_lock NAME COMMAND...: two labs at once (two test workers, say) must not build the same thing.
with_lock() {
  local lock="$LAB_DIR/.lock-$1"
  shift
  (
    flock -w 900 9 || die "waited 15 minutes for another lab that holds $lock"
    "$@" 9>&-
  ) 9>"$lock"
}
