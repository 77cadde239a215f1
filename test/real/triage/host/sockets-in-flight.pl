# Keeps sockets that a list lacks. Usage: sockets-in-flight.pl orphans|passed|unlisted COUNT
# orphans: a child fills COUNT connections and exits. passed: COUNT filled unix sockets are sent to a socket that is not read.
# unlisted: COUNT unbound sockets, beside COUNT / 5 that ss lists and as many reset connections with unread data.
use strict;
use warnings;
use IO::Socket::INET;
use Socket;

my ($kind, $count) = @ARGV;
$0 = $kind;
my @held;

sub fill {
    my ($socket) = @_;
    setsockopt $socket, SOL_SOCKET, SO_SNDBUF, 4_000_000;
    $socket->blocking(0);
    1 while defined syswrite $socket, 'x' x 65536;
}

if ($kind eq 'orphans') {
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => $count) or die "listen: $!";
    my $child = fork // die "fork: $!";
    if ($child == 0) {
        for (1 .. $count) {
            my $writer = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $listener->sockport) or die "connect: $!";
            fill($writer);
            push @held, $writer;
        }
        exit 0;
    }
    push @held, scalar $listener->accept for 1 .. $count;
    waitpid $child, 0;
}
elsif ($kind eq 'unlisted') {
    # An inherited socket of another network namespace is not listed either.
    open STDIN, '<', '/dev/null' or die "stdin: $!";
    open STDERR, '>', '/dev/null' or die "stderr: $!";
    for (1 .. $count) {
        socket my $unbound, AF_INET, SOCK_STREAM, 0 or die "socket: $!";
        push @held, $unbound;
    }
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => $count) or die "listen: $!";
    push @held, $listener;
    for (1 .. $count / 5) {
        push @held, IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) || die "listen: $!";
        my $writer = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $listener->sockport) or die "connect: $!";
        push @held, scalar $listener->accept;
        fill($writer);
        setsockopt $writer, SOL_SOCKET, SO_LINGER, pack 'll', 1, 0;
        close $writer;
    }
}
else {
    socketpair my $reader, my $sender, AF_UNIX, SOCK_STREAM, 0 or die "socketpair: $!";
    push @held, $reader, $sender;
    for (1 .. $count) {
        socketpair my $one, my $other, AF_UNIX, SOCK_STREAM, 0 or die "socketpair: $!";
        $_->blocking(0) for $one, $other;
        setsockopt $one, SOL_SOCKET, SO_SNDBUF, 4_000_000;
        1 while defined syswrite $one, 'x' x 16384;
        # struct msghdr with one byte and SCM_RIGHTS for both ends: sendmsg is 46 on x86_64, 211 on arm64.
        my $byte = 'x';
        my $iov = pack 'PQ', $byte, 1;
        my $control = pack 'QllLL', 16 + 8, SOL_SOCKET, 1, fileno $one, fileno $other;
        my $message = pack 'QQPQPQlx4', 0, 0, $iov, 1, $control, length $control, 0;
        my $number = `uname -m` =~ /aarch64/ ? 211 : 46;
        die "sendmsg: $!" if syscall($number, fileno $sender, $message, 0) < 0;
    }
}
$| = 1;
print "ready\n";
sleep 300;
