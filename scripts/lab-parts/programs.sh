# Programs whose output people paste, of other Debian suites: .lab/programs/SUITE. They run through the dynamic loader
# of that folder, on this machine's /proc.
# shellcheck shell=bash

# make_programs SUITE
make_programs() {
  local root="$LAB_DIR/programs/$1" name wrappers
  if [[ -e "$root/ready" ]]; then return 0; fi
  rm -rf -- "$root"
  apt_for "programs-$1" "$1"
  unpack_closure "programs-$1" "$root" procps iproute2 kmod busybox-static
  wrappers="$root/wrappers"
  mkdir -p "$wrappers"
  for name in free top ps pmap slabtop vmstat; do program_wrapper "$root" "usr/bin/$name"; done
  for name in ss lsmod; do
    program_wrapper "$root" "$(cd "$root" && ls -d "usr/bin/$name" "usr/sbin/$name" 2>/dev/null | head -n 1)"
  done
  touch "$root/ready"
}

# program_wrapper ROOT PROGRAM: ROOT/wrappers/NAME, which becomes the program.
program_wrapper() {
  local root="$1" made="$1/wrappers/${2##*/}"
  cat >"$made" <<WRAPPER
#!/bin/sh
exec '$root/usr/lib64/ld-linux-x86-64.so.2' --library-path '$root/usr/lib/x86_64-linux-gnu' --argv0 '${2##*/}' '$root/$2' "\$@"
WRAPPER
  chmod +x "$made"
}
