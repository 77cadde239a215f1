# To be sourced, in a network namespace of one's own: many TCP sockets, until the shell ends.
# shellcheck shell=bash
work="$(mktemp -d)"
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT

# hold_sockets PAIRS-PER-PROCESS PROCESSES UNREAD-EVERY: their processes' pids are added to pids.
hold_sockets() {
  local pairs="$1" processes="$2" unread="$3" index tries
  ip link set lo up
  mkfifo "$work/never" # nobody writes; it ends when we do
  exec 3<> "$work/never"
  for ((index = 1; index <= processes; index++)); do
    node scripts/bench-parts/skcheck-sockets.mjs "$pairs" "$unread" "127.0.0.$((index + 1))" \
      < "$work/never" > "$work/ready.$index" 3>&- &
    pids+=($!)
  done
  for ((index = 1; index <= processes; index++)); do
    for ((tries = 0; tries < 600; tries++)); do
      grep -qs ready "$work/ready.$index" && continue 2
      sleep 0.1
    done
    echo "a process did not open its sockets in a minute" >&2
    exit 1
  done
  sleep 1
  echo "$(ss -Htan | wc -l) TCP sockets"
}
