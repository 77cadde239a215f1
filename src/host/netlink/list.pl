## src/host/netlink.ts describes what this prints, and puts values in place of __NAMES__. Perl: a minimal installation has no modules, so it needs none.
my ($setns, @paths) = @ARGV;
# Why the last request failed. "lacks": EPROTONOSUPPORT, EOPNOTSUPP, or ENOENT for a family that is not there.
my $failure;
sub messages {
  my ($protocol, $type, $flags, $body) = @_;
  my @found;
  $failure = 'refused';
  my $socket;
  if (!socket($socket, 16, 3, $protocol)) {
    $failure = 'lacks' if $! == 93;
    return;
  }
  setsockopt($socket, 1, 20, pack('q2', __REPLY_SECONDS__, 0));
  send($socket, pack('LSSLL', 16 + length $body, $type, $flags, 1, 0) . $body, 0, pack('SSLL', 16, 0, 0, 0)) or return;
  while (defined recv($socket, my $bytes, 262144, 0)) {
    for (my $at = 0; $at + 16 <= length $bytes;) {
      my ($length, $kind, $multi) = unpack('LSS', substr($bytes, $at, 8));
      if ($kind == 2 && $length >= 20) {
        my $error = unpack('l', substr($bytes, $at + 16, 4));
        $failure = 'lacks' if $error == -95 || $error == -2;
      }
      return if $kind == 2 || $length < 16 || $at + $length > length $bytes;
      # NLMSG_DONE: 0, or why the list ended early. Before 6.7 a whole list of ethtool ends with EOPNOTSUPP if its last
      # interface lacks the operation (ethnl_default_dumpit, net/ethtool/netlink.c).
      my $error = $kind == 3 && $length >= 20 ? unpack('l', substr($bytes, $at + 16, 4)) : 0;
      return if $error < 0 && !($protocol == 16 && $error == -95);
      return \@found if $kind == 3;
      push @found, substr($bytes, $at + 16, $length - 16);
      return if @found > __MAX_MESSAGES__;
      return \@found if !($multi & 2);
      $at += ($length + 3) & ~3;
    }
  }
  return;
}
sub attributes {
  my ($bytes, $at) = @_;
  my @found;
  while ($at + 4 <= length $bytes) {
    my ($length, $type) = unpack('SS', substr($bytes, $at, 4));
    last if $length < 4 || $at + $length > length $bytes;
    push @found, [$type & 0x3fff, substr($bytes, $at + 4, $length - 4)];
    $at += ($length + 3) & ~3;
  }
  return @found;
}
sub number {
  my ($bytes) = @_;
  my %forms = (1 => 'C', 2 => 'S', 4 => 'L', 8 => 'Q');
  my $form = $forms{length $bytes};
  return defined $form ? unpack($form, $bytes) : '';
}
for my $place (0 .. $#paths) {
  my $path = $paths[$place];
  my $file;
  if ($path ne '-' && !(open($file, '<', $path) && syscall($setns + 0, fileno($file), 0x40000000) == 0)) {
    print "closed $place\n";
    next;
  }
  for (__DUMPS__) {
    my ($kind, $family, $command, $wanted) = split / /;
    my %wanted = map { $_ => 1 } split /,/, $wanted;
    my ($protocol, $type, @bodies) = (0, $command, pack('x16'));
    if ($family eq 'rdma') {
      next if !-e '/sys/class/infiniband';
      $protocol = 20;
      my $devices = messages($protocol, 5121, 0x301, '');
      if (!$devices) { print "$failure $place $kind\n"; next }
      @bodies = map { pack('SSL', 8, 1, number($_->[1])) } grep { $_->[0] == 1 } map { attributes($_, 0) } @$devices;
    } elsif ($family ne '-') {
      my $name = pack('SS', 5 + length $family, 2) . $family . "\0";
      $name .= "\0" while length($name) % 4;
      my $reply = messages(16, 16, 1, pack('CCS', 3, 1, 0) . $name);
      my ($id) = grep { $_->[0] == 1 } $reply && @$reply ? attributes($reply->[0], 4) : ();
      if (!$id) { print "$failure $place $kind\n"; next }
      # 6.1 requires the header of ethtool, an empty ETHTOOL_A_RINGS_HEADER (ethnl_parse_header_dev_get, net/ethtool/netlink.c).
      my $header = $family eq 'ethtool' ? pack('SS', 4, 0x8001) : '';
      ($protocol, $type, @bodies) = (16, number($id->[1]), pack('CCS', $command, 1, 0) . $header);
    }
    my @answers = map { scalar messages($protocol, $type, 0x301, $_) } @bodies;
    print "$failure $place $kind\n" if grep { !defined } @answers;
    for my $message (map { $_ ? @$_ : () } @answers) {
      if ($family eq 'rdma') {
        my @of = attributes($message, 0);
        my ($device) = map { number($_->[1]) } grep { $_->[0] == 1 } @of;
        for (map { attributes($_->[1], 0) } grep { $_->[0] == 40 } @of) {
          my @shown = map { "$_->[0]=" . ($_->[0] == 29 ? 1 : number($_->[1])) } grep { $wanted{$_->[0]} } attributes($_->[1], 0);
          print join(' ', $kind, $place, "index=$device", @shown), "\n";
        }
        next;
      }
      my @shown = $family eq '-' ? ('index=' . unpack('x4L', $message)) : ();
      for (grep { $wanted{$_->[0]} } attributes($message, $family eq '-' ? 16 : 4)) {
        my ($at, $value) = @$_;
        if ($kind eq 'link' && $at == 3) { $value =~ s/\0.*//s; $value = unpack('H*', $value) }
        elsif ($kind eq 'ring' && $at == 1) { my ($device) = grep { $_->[0] == 1 } attributes($value, 0); $value = number($device ? $device->[1] : '') }
        elsif ($kind eq 'pool' && $at > 6) { $value = 1 }
        else { $value = number($value) }
        push @shown, "$at=$value";
      }
      print join(' ', $kind, $place, @shown), "\n";
    }
  }
}
print "end\n";
