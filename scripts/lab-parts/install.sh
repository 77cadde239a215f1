# What this machine itself must have: an emulator, a C compiler, decompressors.
# shellcheck shell=bash

make_install() {
  install_commands /usr/lib/x86_64-linux-gnu/libc.a:libc6-dev qemu-system-x86_64:qemu-system-x86 \
    gcc:gcc make:make xz:xz-utils zstd:zstd setpriv:util-linux mke2fs:e2fsprogs debugfs:e2fsprogs \
    smem:smem perf:linux-perf
}

# For guests of arm64.
make_install_arm64() {
  install_commands qemu-system-aarch64:qemu-system-arm aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu \
    /usr/aarch64-linux-gnu/lib/libc.a:libc6-dev-arm64-cross
}

# install_commands COMMAND:PACKAGE...: the packages whose commands (or files) are not there.
install_commands() {
  local need=() pair
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || [[ -e "${pair%%:*}" ]] || need+=("${pair#*:}")
  done
  command -v node >/dev/null || die "the lab needs Node 20 or newer"
  ((${#need[@]})) || return 0
  [[ "$(id -u)" == 0 ]] || die "please install, as root: ${need[*]}"
  say "installing ${need[*]}"
  apt-get -qq update >&2 || die "apt-get update failed"
  # A machine that has just started may be installing updates.
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 \
    --no-install-recommends install "${need[@]}" >&2 ||
    die "could not install ${need[*]}"
}
