# Guests and what is read from them.
# shellcheck shell=bash

# .lab/dumps/VER/: elf.vmcore, kdump-zlib.vmcore, truth.json
make_dump() {
  node "$LAB_PARTS/dump.mjs" "$1" || die "no dump of the $1 guest"
}

# .lab/dumps/VER/oracle.json, anew for a new dump or a new oracle.
make_oracle() {
  local version="$1" dump="$LAB_DIR/dumps/$1" recipe
  recipe="$(cat "$dump/truth.json" "$LAB_PARTS"/oracle.py "$LAB_PARTS"/oracle/*.py | sha256sum)"
  if [[ -e "$dump/oracle.json" && "$(cat "$dump/oracle-recipe" 2>/dev/null)" == "$recipe" ]]; then
    return 0
  fi
  timeout 300 "$LAB_DIR/bin/drgn" -q -c "$dump/elf.vmcore" -s "$LAB_DIR/kernels/$version/vmlinux" \
    "$LAB_PARTS/oracle.py" >"$dump/oracle.json.partial" </dev/null ||
    die "drgn could not answer for $dump/elf.vmcore"
  mv -- "$dump/oracle.json.partial" "$dump/oracle.json"
  echo "$recipe" >"$dump/oracle-recipe"
}
