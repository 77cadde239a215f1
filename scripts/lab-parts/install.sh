# What this machine itself must have: an emulator, a C compiler, decompressors.
# shellcheck shell=bash

make_install() {
  local need=() pair
  for pair in qemu-system-x86_64:qemu-system-x86 gcc:gcc xz:xz-utils zstd:zstd setpriv:util-linux \
    mke2fs:e2fsprogs debugfs:e2fsprogs; do
    command -v "${pair%%:*}" >/dev/null || need+=("${pair#*:}")
  done
  [[ -e /usr/lib/x86_64-linux-gnu/libc.a ]] || need+=(libc6-dev)
  command -v node >/dev/null || die "the lab needs Node 20 or newer"
  ((${#need[@]})) || return 0
  [[ "$(id -u)" == 0 ]] || die "please install, as root: ${need[*]}"
  say "installing ${need[*]}"
  apt-get -qq update >&2 || die "apt-get update failed"
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "${need[@]}" >&2 ||
    die "could not install ${need[*]}"
}
