import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CAPTURE_SCRIPT } from '../../../../src/capture/read/script.js';
import { memorySchema } from '../../../../src/contracts/memory.js';
import { kdumpMem, kdumpMemJson } from '../../../support/cli.js';

const MIB = 2 ** 20;
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

const folder = mkdtempSync(join(tmpdir(), 'pinned-'));
const holder = spawn('python3', ['-c', HOLDER], { stdio: ['pipe', 'pipe', 'inherit'] });
beforeAll(async () => {
  const [line] = await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')]);
  expect(Number(line)).toBeGreaterThan(0);
});
afterAll(async () => {
  holder.stdin.end();
  if (holder.exitCode === null) await once(holder, 'exit');
  rmSync(folder, { recursive: true });
});

test('buffers of io_uring: each once and by process, live and in snapshots of both writers', async () => {
  const native = join(folder, 'native.tar.gz');
  expect((await kdumpMem('snapshot', '-o', native, '--interval', '0.1')).status).toBe(0);
  const shell = join(folder, 'shell.tar.gz');
  const { status, stdout } = spawnSync('sh', ['-s', '--', '--tmpfs', '-', '0'], {
    input: CAPTURE_SCRIPT,
    maxBuffer: 512 * MIB,
  });
  expect(status).toBe(0);
  writeFileSync(shell, stdout);
  for (const source of [
    ['--live', '--source', 'counters'],
    ['--from', native],
    ['--from', shell],
  ]) {
    const { named } = await kdumpMemJson(memorySchema, 'memory', ...source);
    const pinned = named?.filter(({ kind }) => kind === 'pinned') ?? [];
    expect(pinned).toMatchObject([
      {
        name: 'io_uring',
        bytes: FIRST + SECOND,
        figures: { rings: 2, busyRings: 0, mostBytes: FIRST + SECOND },
        processes: [{ pid: holder.pid, bytes: FIRST + SECOND }],
      },
    ]);
  }
});
