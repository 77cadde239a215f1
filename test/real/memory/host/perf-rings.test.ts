import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { expect, test } from 'vitest';
import { memorySchema } from '../../../../src/contracts/memory.js';
import { kdumpMemJson } from '../../../support/cli.js';
import { MIB, namedScene } from './named-scene.js';

const PAGE = 4096;
const MLOCK_KB = '/proc/sys/kernel/perf_event_mlock_kb';
/** A ring has a page that it shares with its reader beside its data. */
const ring = (mib: number) => mib * MIB + PAGE;

/**
 * A process with a ring of 64 MiB that it maps twice, and two of 16 MiB; its child with an inherited descriptor, and one of
 * 32 MiB; and memory as large beside them, locked and mapped shared.
 */
const HOLDER = `import ctypes, mmap, os, platform, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
kept = []
def ring(mib, times=1):
    attr = ctypes.create_string_buffer(struct.pack('<IIQ', 1, 112, 9), 112)
    fd = libc.syscall({'x86_64': 298, 'aarch64': 241}[platform.machine()], attr, 0, -1, -1, 0)
    assert fd >= 0, ctypes.get_errno()
    for _ in range(times):
        kept.append(mmap.mmap(fd, (mib << 20) + ${PAGE}))
        kept[-1][0]
ring(64, 2)
ring(16)
ring(16)
out, into = os.pipe()
child = os.fork()
if child == 0:
    ring(32)
    os.write(into, b'x')
    time.sleep(600)
os.read(out, 1)
kept.append(mmap.mmap(-1, 64 << 20))
kept[-1].write(b'x' * (64 << 20))
print(child, flush=True)
sys.stdin.read()
os.kill(child, 9)`;

const { pids, eachSource } = namedScene(HOLDER);

test('rings of perf: each once and by process, live and in snapshots of both writers', async () => {
  const isNear = (bytes: number | null | undefined, most: number) => {
    expect(bytes).toBeLessThanOrEqual(most);
    // What VmPin leaves out for root (perf_mmap of kernel/events/core.c).
    expect(bytes).toBeGreaterThanOrEqual(most - cpus().length * 1024 * Number(readFileSync(MLOCK_KB, 'latin1')));
  };
  for (const named of await eachSource('trace-rings')) {
    const [perf, ...others] = named.filter(({ name }) => name === 'perf');
    expect(others).toEqual([]);
    const mappedBytes = 2 * ring(64) + 2 * ring(16) + ring(32);
    expect(perf).toMatchObject({ category: 'rings', figures: { mappings: 5, mappedBytes } });
    isNear(perf?.bytes, ring(64) + 2 * ring(16) + ring(32));
    expect(perf?.processes?.map(({ pid }) => pid)).toEqual([pids.holder, pids.child]);
    isNear(perf?.processes?.[0]?.bytes, ring(64) + 2 * ring(16));
    expect(perf?.processes?.[1]?.bytes).toBe(ring(32));
  }
});

test('the processes are the owners of the row', async () => {
  const { memory } = await kdumpMemJson(memorySchema, 'memory', '--live', '--source', 'counters');
  const kernel = memory.children.find(({ category }) => category === 'kernel');
  const rings = kernel?.children.find(({ category }) => category === 'rings');
  expect(rings?.owners).toMatchObject([
    { kind: 'process', pid: pids.holder },
    { kind: 'process', pid: pids.child, bytes: ring(32) },
  ]);
});
