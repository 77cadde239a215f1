# shellcheck shell=bash

lab_status() {
  local name folder
  echo "lab in $LAB_DIR"
  for name in "${LAB_ALL_DUMPS[@]}" "${LAB_ARM64_DUMPS[@]}"; do
    folder="$LAB_DIR/dumps/$name"
    printf '%-16s %-32s dump %-4s oracle %s\n' "$name" \
      "$(cat "$LAB_DIR/kernels/$(kernel_of "$name")/release" 2>/dev/null || echo 'no kernel')" \
      "$([[ -e "$folder/truth.json" ]] && echo yes || echo no)" \
      "$([[ -e "$folder/oracle.json" ]] && echo yes || echo no)"
  done
  du -sh "$LAB_DIR"/* 2>/dev/null || true
}

# Only what the lab itself has made.
lab_clean() {
  local name
  for name in apt bin bpftrace dumps guest headers kernels memleak roots tools tools-arm64 tools-old; do rm -rf -- "${LAB_DIR:?}/$name"; done
  rm -f -- "$LAB_DIR"/.lock-*
}
