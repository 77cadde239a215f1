# Makes problems for triage: zombies, a TCP stream that is not read, and a cgroup near its limit.
# Also a memfd that nothing maps. Usage: scene.pl ZOMBIES MEMFD_BYTES [CGROUP]
use strict;
use warnings;
use IO::Socket::INET;

my ($zombies, $bytes, $cgroup) = @ARGV;
$0 = 'scene';
my $block = '';
for (1 .. $zombies) {
    my $pid = fork // die "fork: $!";
    exit 0 if $pid == 0;
}
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5) or die "listen: $!";
my $sender = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $listener->sockport) or die "connect: $!";
my $reader = $listener->accept or die "accept: $!";
$sender->blocking(0);
my $data = 'x' x 65536;
1 while defined syswrite $sender, $data;
# memfd_create and fallocate: 319 and 285 on x86_64.
my $name = 'hoard';
my $memfd = syscall 319, $name, 0;
die "memfd: $!" if $memfd < 0;
die "fallocate: $!" if syscall(285, $memfd, 0, 0, $bytes + 0) < 0;
if (defined $cgroup) {
    open my $procs, '>', "$cgroup/cgroup.procs" or die "cgroup: $!";
    print $procs $$;
    close $procs or die "cgroup: $!";
    # Last, so that nothing else is charged. In place: a copy would exceed the limit.
    vec($block, 59 * 2**20, 8) = 1;
}
$| = 1;
print "ready\n";
sleep 300;
