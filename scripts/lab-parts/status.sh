# shellcheck shell=bash

lab_status() {
  local version dump
  echo "lab in $LAB_DIR"
  for version in "${LAB_KERNELS[@]}"; do
    dump="$LAB_DIR/dumps/$version"
    printf '%-8s %-28s dump %-4s oracle %s\n' "$version" \
      "$(cat "$LAB_DIR/kernels/$version/release" 2>/dev/null || echo 'no kernel')" \
      "$([[ -e "$dump/truth.json" ]] && echo yes || echo no)" \
      "$([[ -e "$dump/oracle.json" ]] && echo yes || echo no)"
  done
  du -sh "$LAB_DIR"/* 2>/dev/null || true
}

# Only what the lab itself has made.
lab_clean() {
  local name
  for name in apt bin dumps guest kernels tools tools-old; do rm -rf -- "${LAB_DIR:?}/$name"; done
  rm -f -- "$LAB_DIR"/.lock-*
}
