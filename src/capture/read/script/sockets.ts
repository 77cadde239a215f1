import { LEFT_OUT_NAME } from '../contents.js';

/**
 * The sockets of each network namespace (of processes, and of mounts), and why one could not be entered.
 *
 * A unix socket's name is a path that may contain blanks and line breaks, which ss prints unescaped.
 * `nameless` replaces each word of a name, so that rows stay parsable; numbers and `*` stay, since such a
 * word in a name cannot be told from an inode. src/capture/write/sockets.ts does the same.
 */
export const SOCKETS = String.raw`
# What this ss understands, by its own answer: an older one knows fewer tables, and without -O each
# socket's details follow on lines of their own.
understands() {
  [ -z "$(ss "$@" -V 2>&1 >/dev/null)" ]
}
options=
for option in H O; do
  understands "-$option" && options=$options$option
done
tables=packet unknown=
for table in vsock_stream mptcp sctp; do
  if understands -A "$table"; then tables=$tables,$table
  else unknown="$unknown $table"; fi
done
[ -z "$unknown" ] || keep "$top/unknown-tables" echo $unknown
# Runs a command inside of the namespace that is being read.
inside() {
  case $way in
    own) "$@" ;;
    ip) ip netns exec "$name" "$@" ;;
    *) nsenter "--net=$path" -- "$@" ;;
  esac
}
complains() {
  inside cat /dev/null 2>&1
}
# How the namespace at $path is entered; what hinders that goes into the file "closed".
find_way() {
  complaint=$at/netns-$1/closed
  if [ "$1" = "$own" ]; then way=own; return; fi
  if command -v nsenter >/dev/null 2>&1; then
    way=nsenter
    keep "$complaint" complains && rm "$complaint" && return
  else
    keep "$complaint" echo 'no nsenter (util-linux), and no name in ip netns (iproute2)'
    # ip enters what has a name in its own directory, and nothing else.
    name=$(mounted | sed -n "\|^$1 \(/var\)*/run/netns/|{s///p;q;}")
    if [ -n "$name" ] && command -v ip >/dev/null 2>&1; then
      way=ip
      keep "$complaint" complains && rm "$complaint" && return
    fi
  fi
  way=none
  # What has ended meanwhile is not missed.
  if [ -e "$path" ]; then closed=$((closed + 1)) why=$(sed 's/[^ -~]/?/g;q' "$complaint")
  else rm -f "$complaint"; fi
}
# Each line becomes three: the first columns, the names, and what follows them.
nameless() {
  sed '1{
/^Netid  *State /b
}
s/^u_[a-z][a-z][a-z]  *[A-Z0-9-][A-Z0-9-]*  *[0-9][0-9]*  *[0-9][0-9]*  */&\
/
t rest
s/^/\
/
: rest
s/ *skmem:([a-z0-9,]*) [-<>][-<>]*\( ino:[0-9]* dev:[0-9]*\/[0-9]*\)*\( peers:[ 0-9]*\)* *$/\
&/
t names
s/ *<-> *$/\
&/
t names
s/$/\
/
: names
h
s/^.*\n\(.*\)\n.*$/\1/
s/[^ ]*[^ 0-9*][^ ]*/${LEFT_OUT_NAME}/g
G
s/^\([^\n]*\)\n\([^\n]*\)\n[^\n]*\n\([^\n]*\)$/\2\1\3/'
}
# Asks ss; where it fails, what it said is not taken for an answer.
ask() {
  group=$1
  shift
  keep "$here/$group" inside ss "$@" && hide "$group" && return
  rm -f "$here/$group"
  lost="$lost $group"
}
hide() {
  if [ "$1" = unix ]; then
    asked unix-paths && return
    mv "$here/unix" "$dir/named" && keep "$here/unix" nameless < "$dir/named"
  elif grep -q ' md5keys:' "$here/$1"; then
    mv "$here/$1" "$dir/named" && keep "$here/$1" keyless < "$dir/named"
  fi
}
# To root ss prints the keys of TCP-MD5.
keyless() {
  sed 's/ md5keys:[^ ]*//g'
}
# /proc/net/unix as it is, but for the names at the ends of its rows.
net_table() {
  if [ "$1" = unix ] && ! asked unix-paths; then
    inside_or "$1" | sed -e '1b' -e 's/^\([0-9A-Fa-f]*: [0-9A-F]* [0-9A-F]* [0-9A-F]* [0-9A-F]* [0-9A-F]* *[0-9]*\).*$/\1/' \
      -e t -e 's/.*/${LEFT_OUT_NAME}/'
  else inside_or "$1"
  fi
}
inside_or() {
  if [ -n "$lives" ]; then cat "/proc/$lives/net/$1"
  else inside cat "/proc/net/$1"
  fi
}
# One namespace: its inode, a path to it, and a process in it (nothing: only a mount keeps it).
namespace() {
  case "$seen" in *" $1 "*) return ;; esac
  seen="$seen$1 "
  here=$at/netns-$1
  path=$2 lives=$3
  mkdir -p "$here/net" 2>/dev/null || full
  find_way "$1"
  if [ "$way" != none ]; then
    if command -v ss >/dev/null 2>&1; then
      lost=
      ask inet "-$options"nemaituw exclude time-wait
      ask unix "-$options"nemax
      ask others "-$options"nema -A "$tables"
      if [ -n "$lost" ] && [ -e "$path" ]; then
        keep "$here/failed" echo $lost
        echo "snapshot: note: ss failed in network namespace $1 (listing:$lost)" >&2
      fi
    fi
    keep "$here/tcp_max_tw_buckets" inside cat /proc/sys/net/ipv4/tcp_max_tw_buckets
  fi
  for table in netlink sockstat packet tcp tcp6 udp udp6 raw raw6 unix; do
    case $table in netlink | sockstat) ;; *) [ -e "$here/inet" ] && continue ;; esac
    if [ -n "$lives" ] || [ "$way" != none ]; then keep "$here/net/$table" net_table "$table"; fi
  done
}
# The namespaces that a mount keeps (ip netns, CNI, docker), as "INODE PATH", blanks in it as \040.
mounted() {
  sed -n 's/^[0-9]* [0-9]* [^ ]* net:\[\([0-9]*\)\] \([^ ]*\) .*/\1 \2/p' /proc/self/mountinfo
}
`;
