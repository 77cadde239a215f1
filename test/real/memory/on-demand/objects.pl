# Makes the kernel keep COUNT objects: objects.pl KIND COUNT. Prints its pid. A guest has no modules of perl.
# sockets: unbound ones. bound: UDP sockets, which ss lists. closed: those, each with unread datagrams, in a network namespace
# of their own that the process has left. vsocks: sockets of AF_VSOCK. vsock: unread messages of 64 KiB in one.
# umem: pages that AF_XDP has registered. plain: without.
# messages: unread ones of System V, of uid 1000, a page each.
# marks: files with marks of fanotify, each with an event that is not read. watches: of inotify. files: without.
# epolls: instances, each with as many files. nopolls: without.
# bpfring, perfring: data pages of a ring.
my ($kind, $count) = @ARGV;
$0 = $kind;
my @held;

sub checked {
    my ($name, $result) = @_;
    $result >= 0 or die "$name: $!";
    return $result;
}

# Private or of a file, filled.
sub mapped {
    my ($bytes, $flags, $file) = @_;
    return checked('mmap', syscall 9, 0, $bytes, 3, $flags | 0x8000, $file, 0);
}

if ($kind eq 'sockets' || $kind eq 'bound' || $kind eq 'closed') {
    my $type = $kind eq 'sockets' ? 1 : 2;
    if ($kind eq 'closed') {
        open my $old, '<', '/proc/self/ns/net' or die "netns: $!";
        push @held, $old;
        # unshare with CLONE_NEWNET; SIOCSIFFLAGS with IFF_UP.
        checked('unshare', syscall 272, 0x40000000);
        socket my $any, 2, 2, 0 or die "socket: $!";
        my $flags = pack 'a16 S x22', 'lo', 0x49;
        ioctl $any, 0x8914, $flags or die "lo: $!";
    }
    for (1 .. $count) {
        socket my $one, 2, $type, 0 or die "socket: $!";
        $type == 1 or bind $one, pack 'S n a4 x8', 2, 0, "\x7f\0\0\1" or die "bind: $!";
        push @held, $one;
        next if $kind ne 'closed';
        for (1 .. 12) { send $one, 'x' x 3500, 0, getsockname $one or die "send: $!" }
    }
    $kind ne 'closed' or checked('setns', syscall 308, fileno shift @held, 0);
}
elsif ($kind eq 'vsocks') {
    for (1 .. $count) { socket my $one, 40, 1, 0 or die "socket: $!"; push @held, $one }
}
elsif ($kind eq 'vsock') {
    # VMADDR_CID_LOCAL; SO_VM_SOCKETS_BUFFER_MAX_SIZE, SO_VM_SOCKETS_BUFFER_SIZE.
    my $address = pack 'S S L L x4', 40, 0, 5000, 1;
    socket my $listener, 40, 1, 0 or die "socket: $!";
    socket my $writer, 40, 1, 0 or die "socket: $!";
    for my $one ($listener, $writer) {
        for (2, 0) { setsockopt $one, 40, $_, pack 'Q', 2 * $count << 16 or die "size: $!" }
    }
    bind $listener, $address or die "bind: $!";
    listen $listener, 1 or die "listen: $!";
    connect $writer, $address or die "connect: $!";
    accept my $reader, $listener or die "accept: $!";
    for (1 .. $count) { syswrite($writer, 'x' x 65536) == 65536 or die "write: $!" }
    push @held, $writer, $reader;
}
elsif ($kind eq 'umem' || $kind eq 'plain') {
    my $start = mapped($count << 12, 0x22, -1);
    if ($kind eq 'umem') {
        socket $held[0], 44, 3, 0 or die "socket: $!";
        # XDP_UMEM_REG
        setsockopt $held[0], 283, 4, pack 'Q Q L L L x4', $start, $count << 12, 4096, 0, 0 or die "umem: $!";
    }
}
elsif ($kind eq 'epolls' || $kind eq 'nopolls') {
    open my $limit, '>', '/proc/sys/fs/epoll/max_user_watches' or die "max_user_watches: $!";
    print $limit 2 * $count * $count;
    close $limit;
    # eventfd2, epoll_create1; epoll_ctl with EPOLL_CTL_ADD, EPOLLIN.
    my @files = map { checked('eventfd', syscall 290, 0, 0) } 1 .. $count;
    for (1 .. $count) {
        my $poll = checked('epoll_create', syscall 291, 0);
        next if $kind ne 'epolls';
        for my $file (@files) {
            my $item = pack 'L L L', 1, $file, 0;
            checked('epoll_ctl', syscall 233, $poll, 1, $file, $item);
        }
    }
}
elsif ($kind eq 'bpfring') {
    # BPF_MAP_CREATE, BPF_MAP_TYPE_RINGBUF
    my $map = pack 'L4 x56', 27, 0, 0, $count << 12;
    checked('bpf', syscall 321, 0, $map, 72);
}
elsif ($kind eq 'perfring') {
    # PERF_TYPE_SOFTWARE, PERF_COUNT_SW_DUMMY
    my $attributes = pack 'L L Q x96', 1, 112, 9;
    my $event = checked('perf_event_open', syscall 298, $attributes, 0, -1, -1, 0);
    mapped($count + 1 << 12, 1, $event);
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
    if ($kind eq 'watches') {
        open my $limit, '>', '/proc/sys/fs/inotify/max_user_watches' or die "max_user_watches: $!";
        print $limit 2 * $count;
        close $limit;
    }
    # fanotify_init with FAN_UNLIMITED_QUEUE and FAN_UNLIMITED_MARKS, O_RDONLY; inotify_init1.
    my $group = $kind eq 'files' ? 0 : checked('init', $kind eq 'marks' ? syscall 300, 0x30, 0 : syscall 294, 0);
    for (1 .. $count) {
        my $path = "$folder/$_";
        open my $file, '>', $path or die "$path: $!";
        # fanotify_mark with FAN_MARK_ADD, FAN_CLOSE_WRITE; inotify_add_watch with IN_DELETE.
        if ($kind eq 'marks') { checked('fanotify_mark', syscall 301, $group, 1, 8, -100, $path) }
        elsif ($kind eq 'watches') { checked('inotify_add_watch', syscall 254, $group, $path, 0x200) }
        close $file;
    }
}
$| = 1;
print "$$\n";
sleep 9999;
