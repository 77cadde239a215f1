# Makes a connection with unread data inside of a network namespace, by its path, and lives in its own
# one again: only the socket is there. setns(2) by number, perl has no name for it.
use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();

my ($path) = @ARGV;
my %setns = (x86_64 => 308, aarch64 => 268);
my $number = $setns{ (POSIX::uname())[4] } or die 'no number of setns is known for this machine';
sub enter {
    open(my $netns, '<', $_[0]) or die "$_[0]: $!";
    syscall($number, fileno($netns), 0) == 0 or die "setns $_[0]: $!";
}
open(my $home, '<', '/proc/self/ns/net') or die $!;
enter($path);
my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "listen: $@";
my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $listener->sockport)
    or die "connect: $@";
my $served = $listener->accept or die "accept: $!";
syswrite($client, 'x' x 5000) == 5000 or die "write: $!";
syscall($number, fileno($home), 0) == 0 or die "setns back: $!";
$| = 1;
print $listener->sockport, "\n";
sleep;
