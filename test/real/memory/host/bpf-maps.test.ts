import { expect, test } from 'vitest';
import { MIB, namedScene } from './named-scene.js';

const [SHARED, OWN] = [64 * MIB, 24 * MIB];

/** A process with two array maps, its child that inherits the first, and a memfd as large beside them. */
const HOLDER = `import ctypes, os, struct, sys, time
def create(size):
    attributes = ctypes.create_string_buffer(struct.pack('<5I', 2, 4, 1 << 16, size >> 16, 0), 128)
    fd = ctypes.CDLL(None, use_errno=True).syscall(int(sys.argv[1]), 0, attributes, 128)
    assert fd >= 0, ctypes.get_errno()
    return fd
create(${SHARED})
child = os.fork()
if child == 0:
    time.sleep(600)
create(${OWN})
decoy = os.memfd_create('decoy')
os.posix_fallocate(decoy, 0, ${SHARED})
print(child, flush=True)
sys.stdin.read()
os.kill(child, 9)`;
/** bpf(2): arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h. */
const BPF = process.arch === 'x64' ? '321' : '280';

const { pids, eachSource } = namedScene(HOLDER, BPF);

const isNear = (bytes: number | null | undefined, payload: number) =>
  expect(Math.abs((bytes ?? 0) - payload)).toBeLessThanOrEqual(0.02 * payload);

test('BPF maps of two processes: each once live, and in snapshots of both writers', async () => {
  const sources = await eachSource('bpf-maps');
  expect(sources).toHaveLength(3);
  for (const [maps] of sources) {
    isNear(maps?.bytes, SHARED + OWN);
    expect(maps).toMatchObject({ category: null, figures: { maps: 2, lazyBytes: 0 } });
    expect(maps?.processes?.map(({ pid }) => pid)).toEqual([pids.holder, pids.child]);
    isNear(maps?.processes?.[0]?.bytes, SHARED + OWN);
    isNear(maps?.processes?.[1]?.bytes, SHARED);
  }
});
