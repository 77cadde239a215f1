# Mounts a FUSE file system at DIR, answers only FUSE_INIT, and starts WAITERS processes that ask for a file in it.
# A signal takes each from an interruptible wait to state D (request_wait_answer, fs/fuse/dev.c).
# Usage: fuse-server.pl DIR WAITERS
use strict;
use warnings;

my ($dir, $waiters) = @ARGV;
$0 = 'fuse-server';
open my $fuse, '+<', '/dev/fuse' or die "/dev/fuse: $!";
my $options = sprintf 'fd=%d,rootmode=40000,user_id=0,group_id=0', fileno $fuse;
my ($source, $type) = ('made-up', 'fuse');
# mount: 165 on x86_64, 40 on arm64.
my $mount = `uname -m` =~ /aarch64/ ? 40 : 165;
die "mount: $!" if syscall($mount, $source, $dir, $type, 0, $options) < 0;
sysread $fuse, my $request, 1 << 17 or die "FUSE_INIT: $!";
my $unique = substr $request, 8, 8;
# fuse_init_out of 7.31: major, minor, readahead, flags, background, congestion, max_write, time_gran, …
my $init = pack 'LLLLSSLLSSL8', 7, 31, 0, 0, 0, 0, 4096, 1, 0, 0, (0) x 8;
my $answer = pack('Ll', 16 + length $init, 0) . $unique . $init;
syswrite $fuse, $answer or die "FUSE_INIT: $!";
# Before the forks: a signal that comes before a child's own handler would end it.
$SIG{USR1} = sub { };
my @pids = map {
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        close $fuse;
        $0 = "waiter $_ of $dir";
        # Half of them wait behind the lookup of the first.
        stat($_ % 2 ? "$dir/file" : "$dir/file-$_");
        exit 0;
    }
    $pid;
} 1 .. $waiters;
for my $pid (@pids) {
    for (;;) {
        open my $status, '<', "/proc/$pid/status" or die "status: $!";
        my ($state) = grep { /^State:/ } <$status>;
        last if $state =~ /D/;
        die "waiter $pid exited" if $state =~ /[ZX]/;
        kill 'USR1', $pid;
        select undef, undef, undef, 0.02;
    }
}
$| = 1;
print "ready\n";
sleep 300;
