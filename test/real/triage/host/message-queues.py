# Fills a queue and prints "ready BYTES": message-queues.py sysv|posix|covered MESSAGES. Beside it, a memfd of the same size.
import ctypes
import os
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
kind, count = sys.argv[1], int(sys.argv[2])
with open('/proc/self/comm', 'w') as comm:
    comm.write('sender')


def must(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def setting(path, value):
    with open(path, 'w') as file:
        file.write(f'{value}')


if kind == 'sysv':
    # A message and its header of 48 bytes are a page.
    size = 4048
    setting('/proc/sys/kernel/msgmnb', count * size)
    queue = must(LIBC.msgget(0, 0o1600))
    message = ctypes.create_string_buffer(b'\1' + bytes(7) + b'x' * size)
    for _ in range(count):
        must(LIBC.msgsnd(queue, message, ctypes.c_size_t(size), 0))
else:
    size = 4000
    os.makedirs('/run/queues', exist_ok=True)
    must(LIBC.mount(b'none', b'/run/queues', b'mqueue', 0, None))
    setting('/proc/sys/fs/mqueue/msg_max', count)
    flags, blocking = os.O_CREAT | os.O_WRONLY, 0
    attributes = (ctypes.c_long * 8)(blocking, count, size)
    queue = must(LIBC.mq_open(b'/filled', flags, 0o600, attributes))
    message = ctypes.create_string_buffer(b'x' * size)
    for _ in range(count):
        must(LIBC.mq_send(queue, message, ctypes.c_size_t(size), 0))
if kind == 'covered':
    must(LIBC.mount(b'none', b'/run/queues', b'tmpfs', 0, None))
    os.mkfifo('/run/queues/blocks')
decoy = os.memfd_create('decoy')
os.posix_fallocate(decoy, 0, count * size)
print(f'ready {count * size}', flush=True)
sys.stdin.read()
