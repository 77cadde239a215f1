# A small Debian of another suite, to install things in: .lab/roots/SUITE, or .lab/roots/SUITE-systemd with an
# init of its own, or .lab/roots/SUITE-kdump with kdump-tools besides, or .lab/roots/SUITE-sos with sos.
# shellcheck shell=bash

# make_root SUITE[-systemd|-kdump|-sos]
make_root() {
  local suite="${1%-*}" root="$LAB_DIR/roots/$1" line uri key include=libstdc++6,man-db
  case "$1" in
    *-sos) include=libstdc++6,sosreport ;;
    *-systemd) include=libstdc++6,iproute2,systemd-sysv ;;
    # kmod: packages of kernels need it, and systemd 257 fails to load modules without it.
    *-kdump) include=libstdc++6,iproute2,systemd-sysv,kmod,kdump-tools,makedumpfile ;;
  esac
  if [[ -e "$root/ready" ]]; then return 0; fi
  command -v debootstrap >/dev/null || die "debootstrap is missing: apt-get install debootstrap"
  line="$(suite_line "$suite")"
  key="$(sed -nE 's/^deb \[signed-by=([^]]*)\].*/\1/p' <<<"$line")"
  uri="$(sed -nE 's/^deb \[[^]]*\] ([^ ]+) .*/\1/p' <<<"$line")"
  rm -rf -- "$root"
  mkdir -p -- "$root"
  # Whatever release the machine has: all suites are made alike.
  debootstrap --variant=minbase --include="$include" --keyring="$key" "$suite" "$root" "$uri" \
    /usr/share/debootstrap/scripts/sid >"$root.log" 2>&1 ||
    die "debootstrap of $suite failed: see $root.log"
  touch "$root/ready"
}
