# bpftrace of the Debian that has a guest's kernel.
# shellcheck shell=bash

# .lab/bpftrace/SUITE/: unpacked, with what they need
make_bpftrace() {
  local suite="$1" root="$LAB_DIR/bpftrace/$1"
  if [[ -e "$root/ready" ]]; then return 0; fi
  rm -rf -- "$root" "$root.img"
  mkdir -p -- "$root"
  apt_for "bpftrace-$suite" "$suite"
  unpack_closure "bpftrace-$suite" "$root" bpftrace
  touch "$root/ready"
}
