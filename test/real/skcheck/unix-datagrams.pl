# Unix datagrams that nobody reads. `pair`: sent until there is no room for more. `named PATH`: by two
# connected senders and one that is not. Prints what the kernel charges the connected senders (SIOCOUTQ).
use strict;
use warnings;
use Socket;

$| = 1;
my ( $scene, $path ) = @ARGV;
my ( $reader, @connected, @others );
if ( $scene eq 'pair' ) {
    socketpair( $reader, my $sender, AF_UNIX, SOCK_DGRAM, 0 ) or die "socketpair: $!";
    1 while defined send( $sender, 'x' x 100, MSG_DONTWAIT );
    push @connected, $sender;
}
else {
    socket( $reader, AF_UNIX, SOCK_DGRAM, 0 ) or die "socket: $!";
    bind( $reader, pack_sockaddr_un($path) ) or die "bind: $!";
    for my $size ( 3000, 500 ) {
        socket( my $sender, AF_UNIX, SOCK_DGRAM, 0 ) or die "socket: $!";
        connect( $sender, pack_sockaddr_un($path) ) or die "connect: $!";
        send( $sender, 'x' x $size, 0 ) // die "send: $!" for 1 .. 3;
        push @connected, $sender;
    }
    socket( my $other, AF_UNIX, SOCK_DGRAM, 0 ) or die "socket: $!";
    send( $other, 'x' x 1000, 0, pack_sockaddr_un($path) ) // die "sendto: $!" for 1 .. 2;
    push @others, $other;
}

my $charged = 0;
for my $sender (@connected) {
    my $bytes = pack 'i', 0;
    ioctl( $sender, 0x5411, $bytes ) or die "SIOCOUTQ: $!";
    $charged += unpack 'i', $bytes;
}
print "$charged\n";
sleep 600;
