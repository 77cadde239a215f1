import { expect, test } from 'vitest';
import { skcheckJson } from './stage.js';

// tcp_max_tw_buckets is one of each network namespace. What the others limit is the whole machine's:
// guest.test.ts turns them down in a guest.

/** Opens and closes some connections; the end that closes first stays in TIME-WAIT. */
const CLOSE_SOME = `use IO::Socket::INET;
my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 5) or die;
for (1 .. shift) {
  my $c = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $l->sockport) or die;
  my $s = $l->accept or die;
  close $c;
  sysread $s, my $end, 1;
  close $s;
}`;

/** What is said of TIME-WAIT where 10 are allowed and so many connections were closed. */
function timeWait(count: number) {
  const script = [
    'ip link set lo up',
    'echo 10 > /proc/sys/net/ipv4/tcp_max_tw_buckets',
    'program=$1 count=$2; shift 2; perl -e "$program" "$count" && exec "$@"',
  ].join('; ');
  const inside = ['unshare', '-n', 'sh', '-c', script, 'sh', CLOSE_SOME, `${count}`];
  const { report } = skcheckJson(['--interval', '0', '--netns', 'own'], inside);
  return report.warnings.find(({ code }) => code === 'time-wait');
}

test('TIME-WAIT near its limit', () => {
  expect(timeWait(9)).toEqual({
    code: 'time-wait',
    count: 9,
    message: '9 TCP sockets in TIME-WAIT, near or over tcp_max_tw_buckets (10)',
  });
});

test('and far from it', () => {
  expect(timeWait(5)).toBeUndefined();
});
