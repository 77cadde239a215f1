# What modules for the lab's kernels are built against.
# shellcheck shell=bash

# .lab/headers/VER/: a kernel's linux-headers as packages have them; release, which they are of
make_headers() {
  local version="$1" home release suites work package needs
  home="$LAB_DIR/headers/$version"
  release="$(cat "$LAB_DIR/kernels/$version/release")"
  if [[ "$(cat "$home/release" 2>/dev/null)" == "$release" ]]; then return 0; fi
  suites="$(kernel_suites "$version")"
  # shellcheck disable=SC2086
  APT_ARCH="$(kernel_architecture "$version")" apt_for "kernel-$version" $suites
  needs="$(apt-cache show "linux-headers-$release" |
    sed -nE 's/^Depends: //p' | head -n 1 | grep -oE 'linux-(kbuild-|headers-[^ ,]*-common)[^ ,]*')"
  rm -rf -- "$LAB_DIR/headers/.$version".*
  work="$LAB_DIR/headers/.$version.$$"
  mkdir -p "$work/debs"
  # Unquoted on purpose: two package names.
  # shellcheck disable=SC2086
  download "$work/debs" "linux-headers-$release" $needs ||
    die "no headers of $release: $(tail -n 3 "$work/apt.log")"
  for package in "$work"/debs/*.deb; do dpkg-deb -x "$package" "$work"; done
  rm -rf -- "$work/debs" "$work/apt.log"
  # They name each other as if they were installed.
  sed -i "s@\\([ =]\\)/usr/src@\\1$home/usr/src@" "$work/usr/src/linux-headers-$release/Makefile"
  rm -rf -- "$home"
  mv -T -- "$work" "$home"
  for package in scripts/basic/fixdep scripts/mod/modpost tools/objtool/objtool; do
    with_lab_libraries "$home"/usr/lib/linux-kbuild-*/"$package"
  done
  echo "$release" >"$home/release"
}

# with_lab_libraries PROGRAM: one of a newer Debian than this machine's runs with the libraries of the
# lab's tools. Since 6.12 it is a program that starts the one for the guest's architecture.
with_lab_libraries() {
  local program="$1" root="$LAB_DIR/tools" real
  mv -- "$program" "$program.real"
  for real in "$program".real-{x86,lsb-64} "$program.real"; do
    [[ ! -e "$real" ]] || break
  done
  printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"\n' \
    "$root/usr/lib64/ld-linux-x86-64.so.2" "$root/usr/lib/x86_64-linux-gnu" "$real" >"$program"
  chmod +x "$program"
}
