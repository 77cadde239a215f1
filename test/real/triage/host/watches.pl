# Marks COUNT files by fanotify, which has no limit here, and watches one of them by inotify. Usage: watches.pl COUNT FOLDER
use strict;
use warnings;

my ($count, $folder) = @ARGV;
$0 = 'watches';
# fanotify_init, fanotify_mark, inotify_init1, inotify_add_watch, unshare.
my ($init, $mark, $other, $watch, $unshare) = `uname -m` =~ /aarch64/ ? (262, 263, 26, 27, 97) : (300, 301, 294, 254, 272);
# CLONE_NEWNS: its files are gone with the process.
die "unshare: $!" if syscall($unshare, 0x20000) < 0;
system("mount --make-rprivate / && mount -t tmpfs none $folder") == 0 or die "mount: $?";
# FAN_UNLIMITED_MARKS; O_RDONLY.
my $group = syscall($init, 0x20, 0);
die "fanotify_init: $!" if $group < 0;
for my $number (1 .. $count) {
    my $path = "$folder/$number";
    open my $file, '>', $path or die "$path: $!";
    close $file;
    # FAN_MARK_ADD, FAN_MODIFY.
    die "fanotify_mark: $!" if syscall($mark, $group, 1, 2, -100, $path) < 0;
}
my $instance = syscall($other, 0);
my $path = "$folder/1";
die "inotify_add_watch: $!" if syscall($watch, $instance, $path, 2) < 0;
$| = 1;
print "ready\n";
sleep 300;
