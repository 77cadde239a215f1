# Guests and what is read from them.
# shellcheck shell=bash

# What `up` makes unless told: test/support/lab.ts names the same.
LAB_DUMPS=(6.1 newest 6.12-arm64-16k 6.1-kdump 6.1-families newest-families)
# And what `up kernels` makes.
LAB_ALL_DUMPS=("${LAB_DUMPS[@]}" 5.10 6.12 6.1-la57 6.1-numa newest-numa 5.10-kdump 6.12-kdump newest-kdump)
# And what `up arm64` makes.
LAB_ARM64_DUMPS=(6.1-arm64 6.12-arm64 newest-arm64 6.12-arm64-max newest-arm64-max
  6.1-arm64-kdump 6.12-arm64-kdump)

# .lab/dumps/NAME/: elf.vmcore, truth.json, other formats
make_dump() {
  case "$1" in
    *-families) node "$LAB_PARTS/families.mjs" "$1" ;;
    *-kdump) node "$LAB_PARTS/kdump.mjs" "$1" ;;
    *-large) node "$LAB_PARTS/large.mjs" "$1" ;;
    *-incident) node "$LAB_PARTS/incident.mjs" "$1" ;;
    *) node "$LAB_PARTS/dump.mjs" "$1" ;;
  esac || die "no dump of the $1 guest"
}

# The kernel of a dump: 6.1-la57 is of 6.1, 6.12-arm64-max of 6.12-arm64.
kernel_of() { sed -E 's/^([^-]+(-arm64(-16k)?|-rt)?).*/\1/' <<<"$1"; }

known_dump() {
  local kernel
  kernel="$(kernel_of "$1")"
  kernel_suites "$kernel" >/dev/null
  case "$(kernel_architecture "$kernel")${1#"$kernel"}" in
    amd64 | amd64-la57 | amd64-numa | amd64-[0-9]*g | amd64-large | amd64-incident | amd64-kdump | amd64-families | \
      arm64 | arm64-max | arm64-4g | arm64-kdump) ;;
    *) die "no dump called \"$1\"; there are KERNEL, KERNEL-la57, KERNEL-numa, KERNEL-4g (-16g, -64g), KERNEL-large, KERNEL-incident," \
      "KERNEL-kdump, KERNEL-families, and KERNEL-max, KERNEL-4g and KERNEL-kdump of arm64" ;;
  esac
}

# .lab/dumps/NAME/oracle.json, anew for a new dump or a new oracle, and checked against the truth.
make_oracle() {
  local dump="$LAB_DIR/dumps/$1" recipe
  # Asked in the tests: what is special there is in no queue of `struct sock`.
  if [[ "$1" == *-families ]]; then return 0; fi
  recipe="$(oracle_recipe "$1")"
  if [[ -e "$dump/oracle.json" && "$(cat "$dump/oracle-recipe" 2>/dev/null)" == "$recipe" ]]; then
    return 0
  fi
  ask_drgn "$1"
  # Its guest is asked by scripts/fixtures.
  if [[ "$1" != *-incident ]] && ! node "$LAB_PARTS/check.mjs" "$1"; then
    # A timer of the guest's may have gone off between its last word and the dump.
    say "$1: another guest is asked"
    rm -f -- "$dump/recipe"
    make_dump "$1"
    ask_drgn "$1"
    node "$LAB_PARTS/check.mjs" "$1" || die "the dump $1 cannot be trusted"
    recipe="$(oracle_recipe "$1")"
  fi
  echo "$recipe" >"$dump/oracle-recipe"
}

# Tells an oracle from those of other dumps, scripts and checks.
oracle_recipe() {
  cat "$LAB_DIR/dumps/$1/truth.json" "$LAB_PARTS"/{oracle.py,oracle/*.py,check.mjs} | sha256sum
}

ask_drgn() {
  local dump="$LAB_DIR/dumps/$1"
  timeout 600 "$LAB_DIR/bin/drgn" -q -c "$dump/elf.vmcore" \
    -s "$LAB_DIR/kernels/$(kernel_of "$1")/vmlinux" "$LAB_PARTS/oracle.py" \
    >"$dump/oracle.json.partial" </dev/null ||
    die "drgn could not answer for $dump/elf.vmcore"
  mv -- "$dump/oracle.json.partial" "$dump/oracle.json"
}

# kdump-lzo.vmcore and kdump-snappy.vmcore of a QEMU dump, snappy-d31.vmcore of a kdump: QEMU writes
# neither here, and Debian's makedumpfile has no snappy.
make_recompressed() {
  local dump="$LAB_DIR/dumps/$1" recipe
  recipe="$(cat "$dump/truth.json" "$LAB_PARTS/recompress.py" | sha256sum)"
  if [[ "$(cat "$dump/recompress-recipe" 2>/dev/null)" == "$recipe" ]]; then return 0; fi
  case "$1" in
    *-kdump) recompress snappy "$dump/zlib-d31.vmcore" "$dump/snappy-d31.vmcore" ;;
    *)
      # QEMU writes the flattened format, as for a pipe. One that was killed has left a part.
      rm -f -- "$dump/.plain"
      "$LAB_DIR/bin/makedumpfile" -R "$dump/.plain" <"$dump/kdump-zlib.vmcore" >/dev/null ||
        die "makedumpfile -R cannot rearrange $dump/kdump-zlib.vmcore"
      recompress lzo "$dump/.plain" "$dump/kdump-lzo.vmcore"
      recompress snappy "$dump/.plain" "$dump/kdump-snappy.vmcore"
      rm -f -- "$dump/.plain"
      ;;
  esac
  echo "$recipe" >"$dump/recompress-recipe"
}

# recompress CODEC FROM TO
recompress() {
  "$LAB_DIR/bin/python3" "$LAB_PARTS/recompress.py" "$1" "$2" "$3.partial" ||
    die "could not recompress $2 with $1"
  mv -- "$3.partial" "$3"
}
