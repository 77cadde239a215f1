# Debian's cloud kernels: an image to boot and, for crash and the oracle only, its vmlinux with
# debug information.
# shellcheck shell=bash

LAB_KERNELS=(5.10 6.1 6.12 newest)
LAB_ARM64_KERNELS=(6.1-arm64 6.12-arm64 6.12-arm64-16k newest-arm64)

kernel_suites() {
  case "$1" in
    5.10) echo bullseye-security ;;
    6.1 | 6.1-rt) echo bookworm-security ;;
    6.12) echo trixie-security trixie ;;
    # Security suites have no busybox for the guest.
    6.1-arm64) echo bookworm-security bookworm ;;
    6.12-arm64 | 6.12-arm64-16k) echo trixie-security trixie ;;
    newest | newest-generic | newest-arm64) echo sid ;;
    *) die "no kernel called \"$1\"; there are: ${LAB_KERNELS[*]} 6.1-rt newest-generic ${LAB_ARM64_KERNELS[*]}" ;;
  esac
}

# Debian's name of the build, as releases end in it.
kernel_flavour() {
  case "$1" in
    *-arm64-16k) echo arm64-16k ;;
    *-arm64) echo cloud-arm64 ;;
    *-rt) echo rt-amd64 ;;
    *-generic) echo amd64 ;;
    *) echo cloud-amd64 ;;
  esac
}

kernel_architecture() {
  case "$1" in
    *-arm64*) echo arm64 ;;
    *) echo amd64 ;;
  esac
}

# Prints the releases ("6.1.0-39-cloud-amd64") that have a -dbg package, newest first.
kernel_releases() {
  local version="${1%%-*}" flavour pattern
  flavour="$(kernel_flavour "$1")"
  pattern="${version//./\\.}\\."
  [[ "$version" != newest ]] || pattern='[0-9]'
  apt-cache pkgnames linux-image- |
    sed -nE "s/^linux-image-(${pattern}[^-]*(-[0-9]+)?-$flavour)-dbg\$/\\1/p" |
    sort -rV
}

# Downloads what boots RELEASE into the folder $2: one signed image, or since 7.x an image in parts.
# What apt says of names that there are not is for whoever finds none.
download_image() {
  local release="$1" into="$2" names
  local common="linux-base-$release linux-modules-$release"
  for names in "linux-binary-$release $common" "linux-binary-unsigned-$release $common" \
    "linux-image-$release" "linux-image-$release-unsigned"; do
    # Unquoted on purpose: one or two package names.
    # shellcheck disable=SC2086
    if download "$into" $names; then return 0; fi
    rm -f -- "$into"/*.deb
  done
  return 1
}

# download FOLDER PACKAGE...: quietly; FOLDER/../apt.log keeps what apt said.
download() {
  local into="$1"
  shift
  (cd "$into" && apt-get -qq download "$@") >>"$into/../apt.log" 2>&1
}

# .lab/kernels/VER/: vmlinuz, vmlinux, config, System.map, release, modules/, packages; for another
# architecture than this machine's also the busybox of its guests. The -dbg package of a generic flavour is over a
# gigabyte, and no test needs it: without vmlinux and System.map.
make_kernel() {
  local version="$1" suites home release work said
  home="$LAB_DIR/kernels/$version"
  if [[ "$version" == "$LAB_OWN_KERNEL" ]]; then
    make_own_kernel
    return 0
  fi
  if [[ -e "$home/release" ]]; then return 0; fi
  suites="$(kernel_suites "$version")"
  # shellcheck disable=SC2086
  APT_ARCH="$(kernel_architecture "$version")" apt_for "kernel-$version" $suites
  # Nobody else makes it now: what lies there is of one that was killed.
  rm -rf -- "$LAB_DIR/kernels/.$version".*
  work="$LAB_DIR/kernels/.$version.$$"
  mkdir -p "$work/debs" "$work/root"
  for release in $(kernel_releases "$version" | head -n 4); do
    say "kernel $version: downloading $release"
    rm -f -- "$work"/debs/*.deb
    download_image "$release" "$work/debs" || continue
    [[ "$version" == *-generic ]] || download "$work/debs" "linux-image-$release-dbg" || continue
    if [[ "$(kernel_architecture "$version")" != amd64 ]]; then
      download "$work/debs" busybox-static ||
        die "no busybox-static for $version in $suites: $(tail -n 3 "$work/apt.log")"
    fi
    unpack_kernel "$release" "$work"
    rm -rf -- "$work/debs" "$work/root" "$work/apt.log" "$home"
    mv -T -- "$work" "$home"
    return 0
  done
  said="$(tail -n 5 "$work/apt.log" 2>/dev/null)" || true
  rm -rf -- "$work"
  die "no kernel $version in $suites whose image and -dbg package both download: $said"
}

unpack_kernel() {
  local release="$1" work="$2" deb modules
  for deb in "$work"/debs/*.deb; do
    basename -- "$deb"
    case "$deb" in
      # Gigabytes of modules with debug information are left out: tar ends, and dpkg-deb by SIGPIPE, when both files
      # are there. tar's status tells of a package that is cut, and of a full disk.
      *-dbg_*)
        { dpkg-deb --fsys-tarfile "$deb" 2>/dev/null || true; } |
          tar -x -C "$work/root" --occurrence=1 --wildcards '*/System.map*' '*/vmlinux*'
        ;;
      *) dpkg-deb -x "$deb" "$work/root" ;;
    esac
  done >"$work/packages"
  place "$work/root" vmlinuz -name 'vmlinuz*'
  place "$work/root" config -name 'config*' -size +50k
  if grep -q -e '-dbg_' "$work/packages"; then
    place "$work/root" vmlinux -name 'vmlinux*' -size +50M
    # The image's own is a line that points to the -dbg package.
    place "$work/root" System.map -name 'System.map*' -size +100k
  fi
  if grep -q '^busybox-static_' "$work/packages"; then
    place "$work/root" busybox -path '*bin/busybox'
  fi
  modules="$(find "$work/root" -type d -path "*/lib/modules/$release/kernel" -not -path '*/debug/*' |
    head -n 1)"
  [[ -n "$modules" ]] || die "no modules in the packages of $release"
  mv -- "$(dirname -- "$modules")" "$work/modules"
  echo "$release" >"$work/release"
}

# place ROOT NAME FIND-TESTS...: moves the one file that the tests find to ROOT/../NAME.
place() {
  local root="$1" name="$2" found
  shift 2
  found="$(find "$root" -type f "$@" | head -n 1)"
  [[ -n "$found" ]] || die "the packages have no $name: $(ls "$root/../debs")"
  mv -- "$found" "$(dirname -- "$root")/$name"
}
