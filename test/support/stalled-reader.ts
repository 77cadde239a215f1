/** Unread data of a stalled reader in bytes. */
export const STALLED_BYTES = 5000;

/** A Perl program called `stalled` that reads nothing that is sent to it. */
export const STALLED_READER = [
  'use IO::Socket::INET;',
  '$0 = "stalled";',
  'my $listener = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 5) or die;',
  'my $client = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $listener->sockport);',
  'my $socket = $listener->accept;',
  `$client->syswrite("x" x ${STALLED_BYTES});`,
  'sleep;',
].join('\n');
