# Makes the kernel keep COUNT objects: objects.pl sockets|bound|messages|marks|files COUNT. Prints its pid. A guest has no
# modules of perl.
# sockets: unbound ones. bound: UDP sockets, which ss lists. messages: unread ones of System V, of uid 1000, a page each.
# marks: files with marks of fanotify, each with an event that is not read. files: without.
my ($kind, $count) = @ARGV;
$0 = $kind;
my @held;

if ($kind eq 'sockets' || $kind eq 'bound') {
    my $type = $kind eq 'bound' ? 2 : 1;
    for (1 .. $count) {
        socket my $one, 2, $type, 0 or die "socket: $!";
        $type == 1 or bind $one, pack 'S n a4 x8', 2, 0, "\x7f\0\0\1" or die "bind: $!";
        push @held, $one;
    }
}
elsif ($kind eq 'messages') {
    open my $limit, '>', '/proc/sys/kernel/msgmnb' or die "msgmnb: $!";
    print $limit $count * 4096;
    close $limit;
    ($<, $>) = (1000, 1000);
    defined(my $queue = msgget 0, 01600) or die "msgget: $!";
    # The header has 48 bytes (struct msg_msg).
    for (1 .. $count) {
        msgsnd $queue, pack('l! a*', 1, 'x' x 4048), 0 or die "msgsnd: $!";
    }
}
else {
    my $folder = "/run/$kind";
    mkdir $folder or die "$folder: $!";
    system("mount -t tmpfs -o nr_inodes=0 none $folder") == 0 or die "mount: $?";
    # fanotify_init with FAN_UNLIMITED_QUEUE and FAN_UNLIMITED_MARKS, O_RDONLY.
    my $group = $kind eq 'marks' ? syscall(300, 0x30, 0) : 0;
    $group >= 0 or die "fanotify_init: $!";
    for (1 .. $count) {
        my $path = "$folder/$_";
        open my $file, '>', $path or die "$path: $!";
        next if $kind ne 'marks';
        # fanotify_mark with FAN_MARK_ADD, FAN_CLOSE_WRITE.
        syscall(301, $group, 1, 8, -100, $path) == 0 or die "fanotify_mark: $!";
        close $file;
    }
}
$| = 1;
print "$$\n";
sleep 9999;
