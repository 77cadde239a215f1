# memleak of libbpf-tools, as Debian 13 has it.
# shellcheck shell=bash

# .lab/memleak/: unpacked, with what it needs
make_memleak() {
  local root="$LAB_DIR/memleak"
  if [[ -e "$root/ready" ]]; then return 0; fi
  rm -rf -- "$root"
  mkdir -p -- "$root"
  apt_for memleak trixie
  unpack_closure memleak "$root" libbpf-tools
  touch "$root/ready"
}
