# A server on a free port of 127.0.0.1 that reads too slowly: `tcp` takes 100 bytes five times a
# second, `udp` one datagram. Prints its port.
use strict;
use warnings;
use IO::Socket::INET;

my $kind   = shift;
my $socket = IO::Socket::INET->new(
    LocalAddr => '127.0.0.1',
    Proto     => $kind,
    $kind eq 'tcp' ? (Listen => 5) : (),
) or die "no socket: $!";
$| = 1;
print $socket->sockport, "\n";
$socket = $socket->accept if $kind eq 'tcp';
while (1) {
    my $data;
    if   ($kind eq 'tcp') { sysread($socket, $data, 100) or last }
    else                  { recv($socket, $data, 1000, 0) }
    select(undef, undef, undef, 0.2);
}
