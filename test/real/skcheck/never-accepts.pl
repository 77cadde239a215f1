# Listens on a unix path and accepts nothing, but is never still: it wakes up again and again.
use strict;
use IO::Socket::UNIX;

my ($path) = @ARGV;
my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 10) or die "no listener: $!";
$| = 1;
print "0\n";
while (1) { select(undef, undef, undef, 0.02) }
