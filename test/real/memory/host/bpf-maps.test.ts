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

const folder = mkdtempSync(join(tmpdir(), 'bpf-maps-'));
const holder = spawn('python3', ['-c', HOLDER, BPF], { stdio: ['pipe', 'pipe', 'inherit'] });
let child = 0;
beforeAll(async () => {
  const [line] = await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')]);
  child = Number(line);
  expect(child).toBeGreaterThan(0);
});
afterAll(async () => {
  holder.stdin.end();
  if (holder.exitCode === null) await once(holder, 'exit');
  rmSync(folder, { recursive: true });
});

const isNear = (bytes: number | null | undefined, payload: number) =>
  expect(Math.abs((bytes ?? 0) - payload)).toBeLessThanOrEqual(0.02 * payload);

test('BPF maps of two processes: each once live, and in snapshots of both writers', async () => {
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
    const [maps] = named?.filter(({ kind }) => kind === 'bpf-maps') ?? [];
    isNear(maps?.bytes, SHARED + OWN);
    expect(maps).toMatchObject({ category: null, figures: { maps: 2, lazyBytes: 0 } });
    expect(maps?.processes?.map(({ pid }) => pid)).toEqual([holder.pid, child]);
    isNear(maps?.processes?.[0]?.bytes, SHARED + OWN);
    isNear(maps?.processes?.[1]?.bytes, SHARED);
  }
});
