import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { memorySchema } from '../../../src/answers/memory/schema.js';
import { procsSchema } from '../../../src/answers/procs/schema.js';
import { skcheckSchema } from '../../../src/answers/skcheck/schema.js';
import { hostTriageSchema } from '../../../src/answers/triage/schema.js';
import { kdumpMem } from '../../support/cli.js';
import { skcheck } from '../skcheck/stage.js';

// The only test that looks at the whole machine, with all that runs on it: shapes, not figures. Those of test/real/*/host and
// test/real/skcheck run in namespaces of their own (test/support/isolated.ts).

/** Kernel threads exist only outside pid namespaces, where kthreadd is pid 2. */
const hasKernelThreads = existsSync('/proc/2/comm') && readFileSync('/proc/2/comm', 'utf8') === 'kthreadd\n';

test('processes are listed once each, and kernel threads are counted', async () => {
  const { stdout, status } = await kdumpMem('procs', '--live', '--json');
  expect(status).toBe(0);
  const { processes, kernelThreads } = procsSchema.parse(JSON.parse(stdout));
  const pids = processes.map(({ pid }) => pid);
  expect(pids).toContain(process.pid);
  expect(new Set(pids).size).toBe(pids.length);
  expect(kernelThreads > 0).toBe(hasKernelThreads);
  if (hasKernelThreads) expect(pids).not.toContain(2);
});

test.each([
  ['a kernel thread', ['--pid', '2'], hasKernelThreads ? /^kdump-mem: pid 2 is a kernel thread/ : /^kdump-mem: pid 2 /],
  ['a missing process', ['--pid', '4194303'], /^kdump-mem: pid 4194303 /],
  ['stacks of a kernel thread', ['--pid', '2', '--stacks', '1'], hasKernelThreads ? /kernel thread/ : /pid 2/],
])('%s is refused in one line', async (_, words, message) => {
  const { stdout, stderr, status } = await kdumpMem('procs', '--live', ...words);
  expect({ stdout, status, lines: stderr.split('\n').length }).toEqual({ stdout: '', status: 4, lines: 2 });
  expect(stderr).toMatch(message);
});

test('memory, sockets and findings have their schema; categories sum to their total', async () => {
  const { memory } = memorySchema.parse(JSON.parse((await kdumpMem('memory', '--live', '--json')).stdout));
  expect(memory.children.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(memory.bytes);
  const { host } = skcheckSchema.parse(JSON.parse(skcheck(['--interval', '0', '--json']).stdout));
  expect(host.samples).toBe(1);
  const { checked, unread } = hostTriageSchema.parse(JSON.parse((await kdumpMem('triage', '--json')).stdout));
  expect(checked.length + unread.length).toBeGreaterThan(5);
});

test('a snapshot is intact, and has the total of memory', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'machine-'));
  const file = join(folder, 'host.tar.gz');
  try {
    expect((await kdumpMem('snapshot', '--tmpfs', '--interval', '0.1', '-o', file)).status).toBe(0);
    expect((await kdumpMem('snapshot', '--verify', file)).status).toBe(0);
    const [live, captured] = await Promise.all(
      [
        ['--live', '--source', 'counters'],
        ['--from', file],
      ].map(async (source) => memorySchema.parse(JSON.parse((await kdumpMem('memory', '--json', ...source)).stdout))),
    );
    expect(captured!.memory.bytes).toBe(live!.memory.bytes);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
