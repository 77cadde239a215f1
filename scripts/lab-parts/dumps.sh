# Guests and what is read from them.
# shellcheck shell=bash

# What `up` makes unless told.
LAB_DUMPS=(5.10 6.1 6.12 newest 6.1-la57 5.10-kdump 6.1-kdump 6.12-kdump newest-kdump)

# .lab/dumps/NAME/: elf.vmcore, truth.json, other formats
make_dump() {
  case "$1" in
    *-kdump) node "$LAB_PARTS/kdump.mjs" "$1" ;;
    *) node "$LAB_PARTS/dump.mjs" "$1" ;;
  esac || die "no dump of the $1 guest"
}

# The kernel of a dump: 6.1-la57 is of 6.1.
kernel_of() { echo "${1%%-*}"; }

# .lab/dumps/NAME/oracle.json, anew for a new dump or a new oracle.
make_oracle() {
  local dump="$LAB_DIR/dumps/$1" vmlinux recipe
  vmlinux="$LAB_DIR/kernels/$(kernel_of "$1")/vmlinux"
  recipe="$(cat "$dump/truth.json" "$LAB_PARTS"/oracle.py "$LAB_PARTS"/oracle/*.py | sha256sum)"
  if [[ -e "$dump/oracle.json" && "$(cat "$dump/oracle-recipe" 2>/dev/null)" == "$recipe" ]]; then
    return 0
  fi
  timeout 300 "$LAB_DIR/bin/drgn" -q -c "$dump/elf.vmcore" -s "$vmlinux" "$LAB_PARTS/oracle.py" \
    >"$dump/oracle.json.partial" </dev/null ||
    die "drgn could not answer for $dump/elf.vmcore"
  mv -- "$dump/oracle.json.partial" "$dump/oracle.json"
  echo "$recipe" >"$dump/oracle-recipe"
}
