# A kernel of our own: no Debian kernel remembers by itself who allocated what. Made on demand alone.
# shellcheck shell=bash

LAB_OWN_KERNEL=newest-profiled

# .lab/kernels/newest-profiled, as make_kernel makes others, and .lab/headers/newest-profiled; built from
# the newest linux-source with what own-kernel.config names. Its release ends with a key of that.
make_own_kernel() {
  local config="$LAB_PARTS/own-kernel.config" home="$LAB_DIR/kernels/$LAB_OWN_KERNEL" key work package release
  key="$(sha256sum <"$config" | head -c 8)"
  release="$(cat "$home/release" 2>/dev/null)" || release=none
  if [[ "$release" == *"-$key" && -e "$LAB_DIR/headers/$LAB_OWN_KERNEL/usr/src/linux-headers-$release" ]]; then
    return 0
  fi
  install_commands gcc:gcc make:make bc:bc flex:flex bison:bison /usr/include/libelf.h:libelf-dev
  apt_for kernel-newest sid
  rm -rf -- "$LAB_DIR/kernels/.$LAB_OWN_KERNEL".*
  work="$LAB_DIR/kernels/.$LAB_OWN_KERNEL.$$"
  mkdir -p "$work"/{debs,root,source,kernel/modules}
  package="$(apt-cache show linux-source | sed -nE 's/^Depends:.*(linux-source-[0-9.]+).*/\1/p' | head -n 1)"
  say "kernel $LAB_OWN_KERNEL: building $package, some minutes of two CPUs"
  download "$work/debs" "$package" || die "no source of a kernel: $(tail -n 3 "$work/apt.log")"
  dpkg-deb -x "$work"/debs/*.deb "$work/root"
  unpack_source "$work"/root/usr/src/linux-source-*.tar.xz "$work/source"
  build_own_kernel "$work/source" "$config" "-$key" >"$work.log" 2>&1 ||
    die "the kernel could not be built: see $work.log"
  release="$(make -s -C "$work/source" LOCALVERSION="-$key" kernelrelease)"
  cp -- "$work/source/arch/x86/boot/bzImage" "$work/kernel/vmlinuz"
  cp -- "$work/source/vmlinux" "$work/source/System.map" "$work/kernel/"
  cp -- "$work/source/.config" "$work/kernel/config"
  echo "$package" >"$work/kernel/packages"
  keep_headers "$work/source" "$release"
  echo "$release" >"$work/kernel/release"
  rm -rf -- "$home"
  mv -T -- "$work/kernel" "$home"
  rm -rf -- "$work" "$work.log"
}

# What other architectures compile, and graphics, is half of it.
unpack_source() {
  tar -xJf "$1" -C "$2" --strip-components=1 --wildcards \
    --exclude='*/arch/[!x]*/*.[chS]' --exclude='*/drivers/gpu/*.[ch]' --exclude='*.dts*' --exclude='*.rst'
}

# build_own_kernel SOURCE CONFIG SUFFIX: its caller asks whether it failed, so that nothing ends it by itself.
build_own_kernel() {
  local option
  make -s -C "$1" KCONFIG_ALLCONFIG="$2" allnoconfig || return 1
  while IFS= read -r option; do
    grep -qxF -- "$option" "$1/.config" && continue
    echo "$option did not come about"
    return 1
  done < <(grep '^CONFIG_' "$2")
  nice make -s -C "$1" -j"$(nproc)" LOCALVERSION="$3" bzImage modules
}

# keep_headers SOURCE RELEASE: what modules are built against, where Debian's headers would be.
keep_headers() {
  local folder="$LAB_DIR/headers/$LAB_OWN_KERNEL"
  rm -rf -- "$folder"
  mkdir -p "$folder/usr/src/linux-headers-$2"
  (
    cd "$1"
    find Makefile .config Module.symvers scripts include arch/x86/include tools/objtool/objtool \
      -type f ! -name '*.o' ! -name '.*.cmd' -print0
    find arch/x86 \( -name 'Makefile*' -o -name 'Kbuild*' \) -print0
  ) | tar -C "$1" --null -T - -c | tar -x -C "$folder/usr/src/linux-headers-$2"
  echo "$2" >"$folder/release"
}
