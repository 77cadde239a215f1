# Programs of newer Debian suites, with their libraries, in one folder; they run through that
# folder's own dynamic loader, so no chroot is needed and every path of this machine works.
# shellcheck shell=bash

LAB_TOOLS_PACKAGES=(crash python3-drgn makedumpfile kexec-tools busybox-static liblzo2-2 libsnappy1v5)
LAB_ARM64_TOOLS_PACKAGES=(makedumpfile kexec-tools nodejs)

# unpack_closure APT FOLDER PACKAGE...: downloads the packages and all that they depend on, and
# unpacks them into FOLDER.
unpack_closure() {
  local apt="$1" folder="$2" deb
  shift 2
  # Versions of other days, of one that was killed, would be unpacked too.
  rm -f -- "$LAB_DIR/apt/$apt/cache/archives"/*.deb
  apt-get -y -qq --download-only install "$@" >/dev/null ||
    die "could not download $* and what they depend on"
  # /bin and the like are links into /usr since Debian 12; without base-files nobody makes them.
  mkdir -p "$folder"/usr/{bin,sbin,lib,lib64}
  for deb in bin sbin lib lib64; do ln -sfn "usr/$deb" "$folder/$deb"; done
  for deb in "$LAB_DIR/apt/$apt/cache/archives"/*.deb; do
    # tar rather than dpkg-deb -x: it keeps the links above where a package brings a real /lib.
    dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$folder"
  done
  rm -rf -- "$LAB_DIR/apt/$apt/cache/archives"/*.deb
}

# .lab/tools-arm64: what guests of arm64 run.
make_tools_arm64() {
  local root="$LAB_DIR/tools-arm64"
  if [[ -e "$root/ready" ]]; then return 0; fi
  rm -rf -- "$root"
  APT_ARCH=arm64 apt_for tools-arm64 sid
  unpack_closure tools-arm64 "$root" "${LAB_ARM64_TOOLS_PACKAGES[@]}"
  touch "$root/ready"
}

# wrapper NAME ROOT PROGRAM [ENV...]: .lab/bin/NAME, which becomes PROGRAM, a path and its first
# arguments (same pid). Others may be running it: it changes at once, and only if it must.
wrapper() {
  local name="$1" root="$2" program arguments libs made
  read -r program arguments <<<"$3"
  shift 3
  libs="$root/usr/lib/x86_64-linux-gnu:$root/usr/lib/x86_64-linux-gnu/gconv"
  made="#!/bin/sh
# Made by scripts/lab tools.
${*:+export $*
}exec '$root/usr/lib64/ld-linux-x86-64.so.2' --library-path '$libs' --argv0 '$(basename -- "$program")' '$root/$program' ${arguments:+$arguments }\"\$@\""
  mkdir -p "$LAB_DIR/bin"
  if [[ "$(cat "$LAB_DIR/bin/$name" 2>/dev/null)" == "$made" ]]; then return 0; fi
  printf '%s\n' "$made" >"$LAB_DIR/bin/.$name.$$"
  chmod +x "$LAB_DIR/bin/.$name.$$"
  mv -- "$LAB_DIR/bin/.$name.$$" "$LAB_DIR/bin/$name"
}

# .lab/tools (the newest suite's programs), .lab/tools-old (Debian 12's crash), .lab/bin
make_tools() {
  local root="$LAB_DIR/tools" old="$LAB_DIR/tools-old"
  if [[ ! -e "$root/ready" ]]; then
    rm -rf -- "$root"
    apt_for tools sid
    unpack_closure tools "$root" "${LAB_TOOLS_PACKAGES[@]}"
    touch "$root/ready"
  fi
  if [[ ! -e "$old/ready" ]]; then
    rm -rf -- "$old"
    apt_for tools-old bookworm
    unpack_closure tools-old "$old" crash
    touch "$old/ready"
  fi
  local terminfo="TERMINFO_DIRS=/usr/share/terminfo:/lib/terminfo"
  wrapper crash "$root" usr/bin/crash "$terminfo"
  wrapper crash-8.0.2 "$old" usr/bin/crash "$terminfo"
  wrapper makedumpfile "$root" usr/bin/makedumpfile
  wrapper python3 "$root" usr/bin/python3 "PYTHONHOME='$root/usr' PYTHONDONTWRITEBYTECODE=1"
  # A Python program: the wrapper names it after the interpreter.
  wrapper drgn "$root" 'usr/bin/python3 -m drgn' "PYTHONHOME='$root/usr' PYTHONDONTWRITEBYTECODE=1"
  # Once for each place that the lab is in: the wrappers name it.
  if [[ "$(cat "$LAB_DIR/bin/.checked" 2>/dev/null)" == "$LAB_DIR" ]]; then return 0; fi
  check_tool crash --version "crash "
  check_tool crash-8.0.2 --version "crash 8.0.2"
  check_tool drgn --version "drgn "
  check_tool makedumpfile -v "makedumpfile: version"
  echo "$LAB_DIR" >"$LAB_DIR/bin/.checked"
}

check_tool() {
  local name="$1" option="$2" says="$3" said
  said="$("$LAB_DIR/bin/$name" "$option" 2>&1 </dev/null | head -n 2)" || true
  [[ "$said" == *"$says"* ]] || die ".lab/bin/$name $option says \"$said\" instead of \"$says…\""
}
