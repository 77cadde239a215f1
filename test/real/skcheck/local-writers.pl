# A server that reads nothing of so many connections, and its child, which writes into all of them until
# there is no room. Prints the child's pid then; the child exits 5 s after the server.
use strict;
use warnings;
use IO::Socket::INET;

$| = 1;
my $count  = shift;
my $server = $$;
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => $count) or die "no socket: $!";
if (fork == 0) {
    my @writers = map {
        IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $listener->sockport) or die "connect: $!"
    } 1 .. $count;
    close $listener;
    $_->blocking(0) for @writers;
    my $chunk = 'x' x 65536;
    # What is in flight makes room for more: full for a second means full.
    for (my $idle = 0 ; $idle < 10 ; $idle++) {
        for my $writer (@writers) { $idle = -1 while syswrite($writer, $chunk) }
        select(undef, undef, undef, 0.1);
    }
    print "$$\n";
    sleep 1 while getppid == $server;
    sleep 5;
    exit;
}
my @readers = map { scalar $listener->accept } 1 .. $count;
close STDOUT;
sleep 600;
