# Makes files of known state in a folder, and prints the resident bytes of each by mincore(2) once its input has a line.
import ctypes, json, mmap, os, sys

folder = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
PAGE = mmap.PAGESIZE


def resident(fd):
    size = os.fstat(fd).st_size
    address = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
    pages = (ctypes.c_ubyte * (size // PAGE))()
    assert libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), pages) == 0
    libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))
    return sum(one & 1 for one in pages) * PAGE


def made(name, mib, cached):
    fd = os.open(os.path.join(folder, name), os.O_RDWR | os.O_CREAT)
    os.write(fd, b"x" * (mib << 20))
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    os.pread(fd, cached << 20, 0)
    return fd


fds = {"open": made("open", 8, 8), "deleted": made("deleted", 4, 4)}
os.unlink(os.path.join(folder, "deleted"))
part = made("mapped in part", 8, 1)
mapping = mmap.mmap(part, 0, prot=mmap.PROT_READ)
os.close(made("closed", 8, 8))
memfd = os.memfd_create("cached")
os.write(memfd, b"y" * (3 << 20))
fds["memfd"] = memfd
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps({**{name: resident(fd) for name, fd in fds.items()}, "mapped in part": resident(part)}), flush=True)
sys.stdin.readline()
