"""Parts of the scenes: `scene.py PROGRAM BYTES`. A program prints "ready BYTES", and holds its memory until its input ends."""

import ctypes
import fcntl
import mmap
import os
import resource
import socket
import sys
import tempfile
import threading

MIB = 2**20
LIBC = ctypes.CDLL(None, use_errno=True)
SHM = '/dev/shm'


def must(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def call(name):
    with open('/proc/self/comm', 'w') as comm:
        comm.write(name)


def workers(count, work):
    """Runs work(index) in children, which end with this process. Returns when each has done its work."""
    end, kept = os.pipe()
    done, began = os.pipe()
    for index in range(count):
        if os.fork() == 0:
            os.close(kept)
            held = work(index)
            os.write(began, b'.')
            os.read(end, 1)
            os._exit(0)
    for _ in range(count):
        if os.read(done, 1) != b'.':
            raise SystemExit('a worker failed')


def memfds(count, each):
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * count + 64, 2 * count + 64))
    fds = [os.memfd_create('part') for _ in range(count)]
    for fd in fds:
        os.posix_fallocate(fd, 0, each)
    return fds


def file(path, size):
    with open(path, 'wb') as out:
        os.posix_fallocate(out.fileno(), 0, size)


def touched(mapping, begin, end):
    for at in range(begin, end, mmap.PAGESIZE):
        mapping[at] = 1
    return mapping


def pipes(count):
    """Full pipes of 1 MiB."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4 * count + 64, 4 * count + 64))
    data = bytes(MIB)
    held = []
    for _ in range(count):
        reader, writer = os.pipe()
        fcntl.fcntl(writer, 1031, MIB)  # F_SETPIPE_SZ
        os.set_blocking(writer, False)
        if os.write(writer, data) != MIB:
            raise SystemExit('a pipe took less')
        held += [reader, writer]
    return held


def mounts():
    """A mount namespace of its own."""
    must(LIBC.unshare(0x20000))
    must(LIBC.mount(b'none', b'/', None, 0x44000, None))


def tmpfs(path, options=b''):
    os.makedirs(path, exist_ok=True)
    must(LIBC.mount(b'none', path.encode(), b'tmpfs', 0, options))


def segment(size, attached):
    identity = must(LIBC.shmget(0, ctypes.c_size_t(size), 0o1600))
    LIBC.shmat.restype = ctypes.c_void_p
    at = LIBC.shmat(identity, None, 0)
    ctypes.memset(at, 1, size)
    if not attached:
        must(LIBC.shmdt(ctypes.c_void_p(at)))
    return identity


def hoard_many(size):
    memfds(200, size // 200)


def hoard_four(size):
    memfds(4, size // 4)


def hoard_program(size):
    workers(16, lambda _: memfds(10, size // 160))


def deleted(size):
    path = tempfile.mktemp(dir=SHM)
    fd = os.open(path, os.O_CREAT | os.O_RDWR)
    os.posix_fallocate(fd, 0, size)
    os.unlink(path)


def left_over(size):
    file(f'{SHM}/left-over', size)


def small_files(size):
    os.mkdir(f'{SHM}/small')
    for index in range(size // (32 * 1024)):
        file(f'{SHM}/small/{index}', 32 * 1024)


def container(size):
    mounts()
    tmpfs('/run/container/data')
    file('/run/container/data/cache', size)


def container_small(size):
    mounts()
    tmpfs('/run/container/data')
    for index in range(size // (32 * 1024)):
        file(f'/run/container/data/{index}', 32 * 1024)


def container_full(size):
    mounts()
    tmpfs('/run/container/data', f'size={size}'.encode())
    file('/run/container/data/cache', size)


def chroot(size):
    """/dev/shm, mounted in a folder for a chroot too: the process sees another path."""
    os.makedirs('/run/chroot/dev/shm', exist_ok=True)
    must(LIBC.mount(SHM.encode(), b'/run/chroot/dev/shm', None, 0x1000, None))
    os.chroot('/run/chroot')
    os.chdir('/')
    fd = os.open('/dev/shm/inside', os.O_CREAT | os.O_RDWR)
    os.posix_fallocate(fd, 0, size)
    os.set_inheritable(fd, True)


def detached(size):
    segment(size, False)


def full_pipes(size):
    pipes(size // MIB)


def pipes_of_program(size):
    workers(8, lambda _: pipes(size // MIB // 8))


def postgres(size):
    """Each worker touches another part of a shared anonymous mapping."""
    shared = mmap.mmap(-1, size)
    part = size // 10 // mmap.PAGESIZE * mmap.PAGESIZE
    workers(10, lambda index: touched(shared, index * part, (index + 1) * part))


def java(size):
    global held
    held = touched(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), 0, size)


def zgc(size):
    """A heap in a memfd that is mapped three times, and no longer open."""
    global held
    fd = os.memfd_create('java_heap')
    os.ftruncate(fd, size)
    held = [mmap.mmap(fd, size) for _ in range(3)]
    os.close(fd)
    for mapping in held:
        touched(mapping, 0, size)


def chromium(size):
    """Many processes that share memfds with the first, mapped and open."""
    global held
    fds = memfds(24, size // 24)
    held = [touched(mmap.mmap(fd, size // 24), 0, size // 24) for fd in fds]
    workers(8, lambda index: [touched(mmap.mmap(fd, size // 24), 0, size // 24) for fd in fds[index::8]])


def build_root(size):
    os.mkdir(f'{SHM}/root')
    for index in range(200):
        file(f'{SHM}/root/object-{index}.o', size // 200)


def tmpfs_database(size):
    """A file of a tmpfs that two processes map."""
    global held
    file(f'{SHM}/database', size)
    fd = os.open(f'{SHM}/database', os.O_RDWR)
    held = touched(mmap.mmap(fd, size), 0, size)
    workers(1, lambda _: touched(held, 0, size))


def attached(size):
    segment(size, True)


def passed_memfds(size):
    """memfds in a message that no process has received; no process has them open."""
    global held
    held = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    fds = memfds(20, size // 20)
    socket.send_fds(held[0], [b'x'], fds)
    for fd in fds:
        os.close(fd)


def unmounted(size):
    """A tmpfs that was unmounted lazily, and of which a process has a folder open."""
    mounts()
    tmpfs('/run/unmounted')
    file('/run/unmounted/cache', size)
    os.open('/run/unmounted', os.O_RDONLY | os.O_DIRECTORY)
    must(LIBC.umount2(b'/run/unmounted', 2))


def nested_pids(size):
    """memfds of a process in a pid namespace of its own."""
    must(LIBC.unshare(0x20000000))
    workers(1, lambda _: memfds(4, size // 4))


def stopped_reader(size):
    """TCP streams whose reader is stopped."""
    global held
    listener = socket.create_server(('127.0.0.1', 0), backlog=128)
    ready, done = os.pipe()
    reader = os.fork()
    if reader == 0:
        call('sc-reader')
        accepted = [listener.accept() for _ in range(60)]
        os.write(done, b'.')
        while accepted:
            os.kill(os.getpid(), 19)
    held = [socket.create_connection(listener.getsockname()) for _ in range(60)]
    listener.close()
    os.read(ready, 1)
    left = size
    for writer in held:
        writer.setblocking(False)
        try:
            while left > 0:
                left -= writer.send(bytes(65536))
        except BlockingIOError:
            pass
    return size - left


def uring_buffers(size):
    """Buffers that io_uring pins."""
    global held
    ring = must(LIBC.syscall(425, 8, ctypes.create_string_buffer(120)))
    held = touched(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), 0, size)
    at = ctypes.addressof(ctypes.c_char.from_buffer(held))
    part = size // 2 // mmap.PAGESIZE * mmap.PAGESIZE
    vectors = (ctypes.c_size_t * 4)(at, part, at + part, size - part)
    must(LIBC.syscall(427, ring, 0, vectors, 2))


def unlinked_mapping(size):
    """A deleted file of a tmpfs that is mapped, and that no process has open."""
    global held
    path = tempfile.mktemp(dir=SHM)
    fd = os.open(path, os.O_CREAT | os.O_RDWR)
    os.ftruncate(fd, size)
    held = touched(mmap.mmap(fd, size), 0, size)
    os.close(fd)
    os.unlink(path)


def small_heaps(size):
    """Many processes with a small heap each."""
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    # Python itself has 8 MiB in each.
    heap = size // 41 - 8 * MIB
    workers(40, lambda _: touched(mmap.mmap(-1, heap, flags=private), 0, heap))


def many_udp(size):
    """80 UDP sockets that are not read."""
    global held
    held = []
    writer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(80):
        reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        reader.setsockopt(socket.SOL_SOCKET, 33, size // 160)  # SO_RCVBUFFORCE, which the kernel doubles
        reader.bind(('127.0.0.1', 0))
        for _ in range(size // 80 // 1024):
            writer.sendto(bytes(1000), reader.getsockname())
        held.append(reader)


def left_behind(size):
    """memfds of processes whose parent has exited."""
    end, _ = os.pipe()
    done, began = os.pipe()
    between = os.fork()
    if between == 0:
        for _ in range(8):
            if os.fork() == 0:
                memfds(4, size // 32)
                os.write(began, b'.')
                os.read(end, 1)
                os._exit(0)
        os._exit(0)
    os.waitpid(between, 0)
    for _ in range(8):
        os.read(done, 1)


def shared_pipes(size):
    """Full pipes that several processes have open."""
    pipes(size // MIB)
    workers(3, lambda _: None)


def own_table(size):
    """Memfds in the descriptor table of a thread."""
    filled = threading.Event()

    def fill():
        must(LIBC.unshare(0x400))  # CLONE_FILES
        held = memfds(4, size // 4)
        filled.set()
        threading.Event().wait()
        return held

    threading.Thread(target=fill, daemon=True).start()
    filled.wait()


if __name__ == '__main__':
    program, size = sys.argv[1], int(sys.argv[2])
    call(f'sc-{program}'[:15])
    globals()[program](size)
    print(f'ready {size}', flush=True)
    sys.stdin.read()
