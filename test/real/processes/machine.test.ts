import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { skcheckSchema } from '../../../src/answers/skcheck/schema.js';
import { blockedSchema } from '../../../src/contracts/blocked.js';
import { memorySchema } from '../../../src/contracts/memory.js';
import { procsSchema } from '../../../src/contracts/procs.js';
import { triageSchema } from '../../../src/contracts/triage.js';
import { kdumpMem } from '../../support/cli.js';
import { removeCgroup, skcheck, until } from '../skcheck/stage.js';

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
  const { checked, unread } = triageSchema.parse(JSON.parse((await kdumpMem('triage', '--json')).stdout));
  expect(checked!.length + unread.length).toBeGreaterThan(5);
  const { complete, warnings } = blockedSchema.parse(
    JSON.parse((await kdumpMem('blocked', '--live', '--json')).stdout),
  );
  expect(complete).toBe(warnings.length === 0);
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
    const triaged = triageSchema.parse(JSON.parse((await kdumpMem('triage', '--json', '--from', file)).stdout));
    // A process that exits during a snapshot leaves a gap in it.
    const reported = [...triaged.checked!, ...triaged.unread.map(({ check }) => check)];
    expect(reported).toEqual(expect.arrayContaining(['cgroups', 'processes', 'limits']));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

// Which memory only the group has is known where all processes of the machine are visible.
const SHARED_MIB = 20;

/** Three children share what it wrote, until they write there. */
const FORKS = `
import os, time
block = bytearray(os.urandom(4096) * ${SHARED_MIB * 256})
for _ in range(3):
    if os.fork() == 0: break
print('ready', flush=True)
time.sleep(600)
`;

describe('a group whose processes share memory', () => {
  // The name of the file is its own: no other process has it.
  const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-group-'));
  const charged = existsSync('/sys/fs/cgroup/memory/cgroup.procs')
    ? mkdtempSync('/sys/fs/cgroup/memory/kdump-mem-group-')
    : undefined;
  let parent: ChildProcess;

  beforeAll(async () => {
    symlinkSync('/usr/bin/python3', join(folder, 'sharesmemory'));
    const enter = charged === undefined ? '' : `echo $$ > ${charged}/cgroup.procs; `;
    parent = spawn('sh', ['-c', `${enter}exec ${folder}/sharesmemory -c "$0"`, FORKS], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    let said = '';
    parent.stdout?.on('data', (piece: Buffer) => {
      said += piece;
    });
    await until(() => said.split('ready').length === 5);
  });

  afterAll(async () => {
    if (parent.pid !== undefined) process.kill(-parent.pid, 'SIGKILL');
    rmSync(folder, { recursive: true });
    if (charged !== undefined) await removeCgroup(charged);
  });

  test('frees together what none of them frees alone', async () => {
    const { stdout } = await kdumpMem('procs', '--live', '--by', 'command', '--json');
    const { processes, groups = [] } = procsSchema.parse(JSON.parse(stdout));
    const group = groups.find(({ key }) => key === 'sharesmemory');
    const members = processes.filter(({ comm }) => comm === 'sharesmemory');
    expect(members.length).toBe(4);
    const sum = (of: (member: (typeof members)[number]) => number | null) =>
      members.reduce((total, member) => total + (of(member) ?? Number.NaN), 0);
    const alone = sum(({ freedIfKilledBytes }) => freedIfKilledBytes);
    expect(alone).toBeLessThan(SHARED_MIB * 2 ** 20);
    // Other processes that share memory, or whose shares are unknown, reduce the lower bound.
    const others = processes
      .filter(({ comm }) => comm !== 'sharesmemory')
      .reduce((total, { anonBytes, pssByKind }) => total + anonBytes! - (pssByKind?.anonBytes ?? 0), 0);
    const { freedIfKilledBytes: least, freedIfKilledMostBytes: most } = group!;
    const anonymous = sum(({ pssByKind }) => pssByKind?.anonBytes ?? null);
    const tables = sum(({ pageTableBytes }) => pageTableBytes);
    expect(least).toBeGreaterThanOrEqual(Math.max(alone, anonymous + tables - others));
    expect(most).toBeGreaterThan(SHARED_MIB * 2 ** 20);
    if (charged === undefined) return;
    // The kernel charges these pages to a cgroup without other processes, and only killing all
    // frees them.
    const stat = readFileSync(`${charged}/memory.stat`, 'utf8');
    const freed = Number(/^rss (\d+)$/m.exec(stat)?.[1]);
    expect(freed).toBeGreaterThan(SHARED_MIB * 2 ** 20);
    expect(least! - tables).toBeLessThanOrEqual(freed + ACCURACY);
    expect(most! - tables).toBeGreaterThanOrEqual(freed - ACCURACY);
  });
});

/**
 * Charges are kept per CPU in batches of 64 pages (MEMCG_CHARGE_BATCH); USS includes file pages
 * too.
 */
const ACCURACY = 2 * 2 ** 20;
