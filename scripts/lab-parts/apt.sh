# A private apt: other suites of the machine's own mirrors, its own lists and cache, an empty dpkg
# status. Nothing of the system's apt or dpkg is touched; packages are unpacked, never installed.
# shellcheck shell=bash

# Prints "URI SUITE SIGNED-BY" for every suite of every source that this machine has configured,
# one-line (`deb [signed-by=…] URI SUITE main`) and deb822 (`.sources`) alike.
machine_sources() {
  local files=()
  shopt -s nullglob
  files=(/etc/apt/sources.list.d/*.sources)
  if ((${#files[@]})); then
    awk '
      function flush(  i, n, suite) {
        n = split(suites, suite, " ")
        if (types ~ /(^| )deb( |$)/ && enabled != "no")
          for (i = 1; i <= n; i++) print uri, suite[i], (key == "" ? "-" : key)
        types = uri = suites = key = enabled = ""
      }
      FNR == 1 { flush() }
      /^[ \t]*$/ { flush(); next }
      /^#/ { next }
      { at = index($0, ":"); name = tolower(substr($0, 1, at - 1)); value = substr($0, at + 1)
        gsub(/^[ \t]+|[ \t]+$/, "", value) }
      name == "types" { types = value }
      name == "uris" { split(value, parts, " "); uri = parts[1] }
      name == "suites" { suites = value }
      name == "enabled" { enabled = tolower(value) }
      name == "signed-by" { key = value }
      END { flush() }' "${files[@]}"
  fi
  files=(/etc/apt/sources.list.d/*.list)
  [[ ! -f /etc/apt/sources.list ]] || files+=(/etc/apt/sources.list)
  shopt -u nullglob
  if ((${#files[@]})); then
    sed -nE 's/^[ \t]*deb[ \t]+(\[([^]]*)\][ \t]+)?([^ \t]+)[ \t]+([^ \t]+).*/\3 \4 \2/p' "${files[@]}" |
      awk '{ key = "-"
             for (i = 3; i <= NF; i++) if (sub(/^signed-by=/, "", $i)) key = $i
             print $1, $2, key }'
  fi
}

# Prints the sources.list line of a Debian suite ("sid", "trixie-security"), taken from the mirror
# that serves this machine's own release or its security updates.
suite_line() {
  local wanted="$1" own uri suite key want_security=no is_security
  own="$(. /etc/os-release && echo "${VERSION_CODENAME:-}")"
  [[ -n "$own" ]] || die "/etc/os-release names no Debian release, so no mirror can be derived"
  [[ "$wanted" != *-security ]] || want_security=yes
  while read -r uri suite key; do
    is_security=no
    [[ "$suite" != "$own-security" ]] || is_security=yes
    [[ "$suite" == "$own" || "$is_security" == yes ]] || continue
    [[ "$is_security" == "$want_security" ]] || continue
    [[ "$key" != - ]] || key=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb [signed-by=$key] $uri $wanted main"
    return 0
  done < <(machine_sources)
  die "this machine's apt sources name no mirror for $own${want_security/#yes/-security}; cannot find $wanted"
}

# apt_for NAME SUITE...: makes the private apt called NAME and reads the suites' package lists, of the
# architecture $APT_ARCH (amd64 unless told).
apt_for() {
  local dir="$LAB_DIR/apt/$1" suite
  shift
  export APT_CONFIG="$dir/apt.conf"
  # Packages of older lists are soon gone from the mirrors.
  if [[ -n "$(find "$dir/ready" -mmin -360 2>/dev/null)" ]]; then return 0; fi
  mkdir -p "$dir"/{none,lists/partial,cache/archives/partial}
  : >"$dir/status"
  for suite in "$@"; do suite_line "$suite"; done >"$dir/sources.list"
  cat >"$dir/apt.conf" <<CONF
Dir::Etc::SourceList "$dir/sources.list";
Dir::Etc::SourceParts "$dir/none";
Dir::Etc::Preferences "$dir/no-preferences";
Dir::Etc::PreferencesParts "$dir/none";
Dir::State::Lists "$dir/lists";
Dir::State::Status "$dir/status";
Dir::State::extended_states "$dir/extended_states";
Dir::Cache "$dir/cache";
APT::Architecture "${APT_ARCH:-amd64}";
APT::Architectures { "${APT_ARCH:-amd64}"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::Retries "3";
CONF
  say "reading package lists: $*"
  apt-get -qq update >&2 || die "apt-get update failed for: $*"
  touch "$dir/ready"
}
