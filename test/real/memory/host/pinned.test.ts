import { expect, test } from 'vitest';
import { MIB, namedScene } from './named-scene.js';

const [FIRST, SECOND] = [64 * MIB, 24 * MIB];

/**
 * A process with two rings of io_uring, each with registered buffers; its child that inherits the first ring; and memory as
 * large beside them that is not registered.
 */
const HOLDER = `import ctypes, mmap, os, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
kept = []
def memory(size):
    kept.append(mmap.mmap(-1, size))
    kept[-1].write(b'x' * size)
    return ctypes.addressof(ctypes.c_char.from_buffer(kept[-1]))
def ring(size):
    fd = libc.syscall(425, 8, ctypes.create_string_buffer(120))
    assert fd >= 0, ctypes.get_errno()
    at, half = memory(size), size // 2
    assert libc.syscall(427, fd, 0, struct.pack('<4Q', at, half, at + half, half), 2) == 0, ctypes.get_errno()
ring(${FIRST})
child = os.fork()
if child == 0:
    time.sleep(600)
ring(${SECOND})
memory(${FIRST})
print(child, flush=True)
sys.stdin.read()
os.kill(child, 9)`;

const { pids, eachSource } = namedScene(HOLDER);

test('buffers of io_uring: each once and by process, live and in snapshots of both writers', async () => {
  const pinned = {
    name: 'io_uring',
    bytes: FIRST + SECOND,
    figures: { rings: 2, busyRings: 0, mostBytes: FIRST + SECOND },
    processes: [{ pid: pids.holder, bytes: FIRST + SECOND }],
  };
  expect(await eachSource('pinned')).toMatchObject([[pinned], [pinned], [pinned]]);
});
