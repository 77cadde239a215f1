import { spawnSync } from 'node:child_process';
import { HostError } from '../base/errors.js';
import { searchPath } from '../base/shell.js';
import { asExhausted } from './child.js';

/**
 * Node opens no netlink socket: perl or python3 lists interfaces (rtnetlink), page pools (family `netdev`,
 * since 6.8) and rings (family `ethtool`, since 5.6) of network namespaces. The script only sends requests that list:
 * RTM_GETLINK, CTRL_CMD_GETFAMILY, NETDEV_CMD_PAGE_POOL_GET, ETHTOOL_MSG_RINGS_GET.
 *
 * Arguments: the number of setns(2), and paths of namespaces (`/proc/PID/ns/net`), `-` for its own. It prints lines
 * `KIND NAMESPACE ATTRIBUTE=VALUE …`: the namespace by its place, attributes by their numbers in if_link.h, netdev.h and
 * ethtool_netlink.h of include/uapi/linux, names in hexadecimal. `closed N`: the namespace cannot be entered; `lacks N
 * KIND`: the kernel does not have the request, or refused it. The last line is `end`.
 */
const DUMPS = [
  // IFLA_IFNAME, IFLA_MTU, IFLA_OPERSTATE, IFLA_NUM_RX_QUEUES.
  'link - 18 3,4,16,32',
  // NETDEV_A_PAGE_POOL_*: ID to IO_URING.
  'pool netdev 5 1,2,3,4,5,6,7,8',
  // ETHTOOL_A_RINGS_*: HEADER (its ETHTOOL_A_HEADER_DEV_INDEX), RX, RX_BUF_LEN.
  'ring ethtool 15 1,6,10',
];

/** Time limit of one reply in seconds, and maximum number of messages of one request. */
const REPLY_SECONDS = 2;
const MAX_MESSAGES = 100_000;

/** Needs no module of perl: a minimal installation has none. */
const PERL = String.raw`
my ($setns, @paths) = @ARGV;
sub messages {
  my ($protocol, $type, $flags, $body) = @_;
  my @found;
  socket(my $socket, 16, 3, $protocol) or return;
  setsockopt($socket, 1, 20, pack('q2', ${REPLY_SECONDS}, 0));
  send($socket, pack('LSSLL', 16 + length $body, $type, $flags, 1, 0) . $body, 0, pack('SSLL', 16, 0, 0, 0)) or return;
  while (defined recv($socket, my $bytes, 262144, 0)) {
    for (my $at = 0; $at + 16 <= length $bytes;) {
      my ($length, $kind, $multi) = unpack('LSS', substr($bytes, $at, 8));
      return if $kind == 2 || $length < 16 || $at + $length > length $bytes;
      return \@found if $kind == 3;
      push @found, substr($bytes, $at + 16, $length - 16);
      return \@found if !($multi & 2) || @found > ${MAX_MESSAGES};
      $at += ($length + 3) & ~3;
    }
  }
  return;
}
sub attributes {
  my ($bytes, $at) = @_;
  my @found;
  while ($at + 4 <= length $bytes) {
    my ($length, $type) = unpack('SS', substr($bytes, $at, 4));
    last if $length < 4 || $at + $length > length $bytes;
    push @found, [$type & 0x3fff, substr($bytes, $at + 4, $length - 4)];
    $at += ($length + 3) & ~3;
  }
  return @found;
}
sub number {
  my ($bytes) = @_;
  my %forms = (1 => 'C', 2 => 'S', 4 => 'L', 8 => 'Q');
  my $form = $forms{length $bytes};
  return defined $form ? unpack($form, $bytes) : '';
}
for my $place (0 .. $#paths) {
  my $path = $paths[$place];
  my $file;
  if ($path ne '-' && !(open($file, '<', $path) && syscall($setns + 0, fileno($file), 0x40000000) == 0)) {
    print "closed $place\n";
    next;
  }
  for (${DUMPS.map((dump) => `'${dump}'`).join(', ')}) {
    my ($kind, $family, $command, $wanted) = split / /;
    my %wanted = map { $_ => 1 } split /,/, $wanted;
    my ($protocol, $type, $body) = (0, $command, pack('x16'));
    if ($family ne '-') {
      my $name = pack('SS', 5 + length $family, 2) . $family . "\0";
      $name .= "\0" while length($name) % 4;
      my $reply = messages(16, 16, 1, pack('CCS', 3, 1, 0) . $name);
      my ($id) = grep { $_->[0] == 1 } $reply && @$reply ? attributes($reply->[0], 4) : ();
      if (!$id) { print "lacks $place $kind\n"; next }
      ($protocol, $type, $body) = (16, number($id->[1]), pack('CCS', $command, 1, 0));
    }
    my $all = messages($protocol, $type, 0x301, $body);
    if (!$all) { print "lacks $place $kind\n"; next }
    for my $message (@$all) {
      my @shown = $family eq '-' ? ('index=' . unpack('x4L', $message)) : ();
      for (grep { $wanted{$_->[0]} } attributes($message, $family eq '-' ? 16 : 4)) {
        my ($at, $value) = @$_;
        if ($kind eq 'link' && $at == 3) { $value =~ s/\0.*//s; $value = unpack('H*', $value) }
        elsif ($kind eq 'ring' && $at == 1) { my ($device) = grep { $_->[0] == 1 } attributes($value, 0); $value = number($device ? $device->[1] : '') }
        elsif ($kind eq 'pool' && $at > 6) { $value = 1 }
        else { $value = number($value) }
        push @shown, "$at=$value";
      }
      print join(' ', $kind, $place, @shown), "\n";
    }
  }
}
print "end\n";
`;

/** The same for hosts without perl. */
const PYTHON = String.raw`
import ctypes, socket, struct, sys
def messages(protocol, kind, flags, body):
    found = []
    s = socket.socket(16, 3, protocol)
    s.settimeout(${REPLY_SECONDS})
    s.sendto(struct.pack('=LHHLL', 16 + len(body), kind, flags, 1, 0) + body, (0, 0))
    while True:
        data = s.recv(262144)
        at = 0
        while at + 16 <= len(data):
            length, kind, multi = struct.unpack_from('=LHH', data, at)
            if kind == 2 or length < 16 or at + length > len(data):
                return None
            if kind == 3:
                return found
            found.append(data[at + 16:at + length])
            if not multi & 2 or len(found) > ${MAX_MESSAGES}:
                return found
            at += (length + 3) & ~3
def asked(*request):
    try:
        return messages(*request)
    except OSError:
        return None
def attributes(data, at):
    found = []
    while at + 4 <= len(data):
        length, kind = struct.unpack_from('=HH', data, at)
        if length < 4 or at + length > len(data):
            break
        found.append((kind & 0x3fff, data[at + 4:at + length]))
        at += (length + 3) & ~3
    return found
def number(data):
    return int.from_bytes(data, sys.byteorder) if len(data) in (1, 2, 4, 8) else ''
for place, path in enumerate(sys.argv[2:]):
    if path != '-':
        try:
            with open(path) as opened:
                entered = ctypes.CDLL(None).setns(opened.fileno(), 0x40000000) == 0
        except OSError:
            entered = False
        if not entered:
            print('closed', place)
            continue
    for dump in [${DUMPS.map((dump) => `'${dump}'`).join(', ')}]:
        kind, family, command, wanted = dump.split(' ')
        wanted = [int(one) for one in wanted.split(',')]
        request = (0, int(command), 0x301, bytes(16))
        if family != '-':
            name = struct.pack('=HH', 5 + len(family), 2) + family.encode() + b'\0'
            name += bytes(-len(name) % 4)
            reply = asked(16, 16, 1, struct.pack('=BBH', 3, 1, 0) + name)
            ids = [value for at, value in attributes(reply[0], 4) if at == 1] if reply else []
            if not ids:
                print('lacks', place, kind)
                continue
            request = (16, number(ids[0]), 0x301, struct.pack('=BBH', int(command), 1, 0))
        found = asked(*request)
        if found is None:
            print('lacks', place, kind)
            continue
        for message in found:
            shown = ['index=%d' % struct.unpack_from('=L', message, 4)] if family == '-' else []
            for at, value in attributes(message, 16 if family == '-' else 4):
                if at not in wanted:
                    continue
                if kind == 'link' and at == 3:
                    value = value.split(b'\0')[0].hex()
                elif kind == 'ring' and at == 1:
                    value = number(b''.join([one for inner, one in attributes(value, 0) if inner == 1]))
                elif kind == 'pool' and at > 6:
                    value = 1
                else:
                    value = number(value)
                shown.append('%d=%s' % (at, value))
            print(kind, place, *shown)
print('end')
`;

/** Perl starts in a fifth of the time. */
export const NETLINK_PROGRAMS = [
  ['perl', ['-e', PERL, '--']],
  ['python3', ['-I', '-S', '-c', PYTHON]],
] as const;

/** Number of setns(2) (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h). */
const SETNS: Readonly<Record<string, number>> = { x64: 308, arm64: 268 };

/** Time limit of the program in milliseconds, and maximum bytes of its output. */
const TIMEOUT_MS = 5000;
const MAX_BYTES = 64 * 2 ** 20;

/**
 * Lists interfaces, page pools and rings, in the format above.
 *
 * @param namespaces paths; `-`: our own
 * @param programs those to try
 * @throws {HostError} `gone`: no program; `unreadable`: it failed; {@link ExhaustedError}
 */
export function askNetlink(
  namespaces: readonly string[],
  programs: (typeof NETLINK_PROGRAMS)[number][] = [...NETLINK_PROGRAMS],
): string {
  for (const [program, args] of programs) {
    const { status, stdout, error } = spawnSync(program, [...args, `${SETNS[process.arch] ?? 0}`, ...namespaces], {
      encoding: 'latin1',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: TIMEOUT_MS,
      maxBuffer: MAX_BYTES,
      env: { PATH: searchPath(), LC_ALL: 'C' },
      cwd: '/',
    });
    const exhausted = asExhausted(program, error);
    if (exhausted) throw exhausted;
    if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') continue;
    if (status !== 0 || !stdout.endsWith('\nend\n'))
      throw new HostError(
        'unreadable',
        `page pools and rings: ${program} failed (${error?.message ?? `status ${status}`})`,
      );
    return stdout;
  }
  throw new HostError('gone', 'page pools and rings of network interfaces: needs python3 or perl');
}
