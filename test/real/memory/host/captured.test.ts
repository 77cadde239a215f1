import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MemoryJson, memorySchema } from '../../../../src/contracts/memory.js';
import { commandPath, kdumpMem } from '../../../support/cli.js';
import { LAB } from '../../../support/lab.js';

/** Holds 300 MiB in a memfd that it does not map, and 20 MiB in a deleted file; another memfd is on hugetlbfs. */
const HOLDER = `import os, sys, time
fd, huge = os.memfd_create('captured\\n5 7 x'), os.memfd_create('huge', os.MFD_HUGETLB)
for _ in range(300): os.write(fd, b'x' * (1 << 20))
gone = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
os.unlink(sys.argv[1])
os.write(gone, b'x' * (20 << 20))
print(fd, flush=True)
time.sleep(600)`;
const NOBODY = 65534;
const MIB = 2 ** 20;

const folder = mkdtempSync(join(tmpdir(), 'captured-'));
const file = join(folder, 'host.tar.gz');
chmodSync(folder, 0o777);
const holderOf = (name: string, uid: number) =>
  spawn('python3', ['-c', HOLDER, `/dev/shm/${basename(folder)} ${name}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
    uid,
    gid: uid,
  });
const [held, other] = [holderOf('root', 0), holderOf('other', NOBODY)];
afterAll(() => {
  held.kill();
  other.kill();
  rmSync(folder, { recursive: true });
});

/** A file of the capture, extracted by tar. */
const captured = (name: string, sample = '') =>
  execFileSync('tar', ['-xzOf', file, `kdump-mem-snapshot/${sample}proc/${name}`], { encoding: 'utf8' });

const answerOf = async (...more: string[]): Promise<MemoryJson> => {
  const { stdout } = await kdumpMem('memory', '--json', '--from', file, ...more);
  return memorySchema.parse(JSON.parse(stdout));
};

beforeAll(async () => {
  await Promise.all([once(held.stdout, 'data'), once(other.stdout, 'data')]);
  execFileSync(commandPath('skcheck'), ['--capture', file, '--interval', '1']);
});

test('lines of /proc/meminfo match the captured file', async () => {
  const { figures } = await answerOf('--as', 'meminfo');
  const lines = (figures?.lines ?? []).filter(({ name, kernelBytes }) => kernelBytes !== null && /^\w+$/.test(name));
  expect(lines.length).toBeGreaterThan(10);
  // It was read with each sample, and the answer uses one of them.
  const readings = [1, 2].map((sample) => captured('meminfo', `sample-${sample}/`));
  const reportedValues = Object.fromEntries(lines.map(({ name, kernelBytes }) => [name, kernelBytes]));
  expect(
    readings.map((meminfo) =>
      Object.fromEntries(
        lines.map(({ name }) => [name, Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(meminfo)?.[1]) * 1024]),
      ),
    ),
  ).toContainEqual(reportedValues);
});

test('rows sum to the zones, and callers and caches to their files', async () => {
  const { memory, callers, caches, host, noDetails } = await answerOf();
  const pageSize = host?.pageSize ?? Number.NaN;
  expect(pageSize).toBe(Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' })));
  expect(noDetails).toEqual({});
  const sum = (text: string, pattern: RegExp) =>
    [...text.matchAll(pattern)].reduce((all, [, pages]) => all + Number(pages), 0) * pageSize;
  expect(memory.bytes).toBe(sum(captured('zoneinfo'), /^ +present +(\d+)$/gm));
  const areas = captured('vmallocinfo')
    .split('\n')
    .filter(
      (line) => !/ (alloc_thread_stack_node|dup_task_struct|copy_process|kernel_clone|_do_fork|fork_idle)\+/.test(line),
    );
  expect(callers.reduce((all, { bytes }) => all + bytes, 0)).toBe(sum(areas.join('\n'), / pages=(\d+)/g));
  expect(caches.length).toBe(captured('slabinfo').trim().split('\n').length - 2);
});

describe('owners of files that no process maps', () => {
  const script = join(folder, 'snapshot.sh');
  const bin = join(folder, 'bin');
  const busybox = join(LAB, 'tools/usr/bin/busybox');

  beforeAll(async () => {
    writeFileSync(script, (await kdumpMem('snapshot', '--script')).stdout);
    mkdirSync(bin);
    const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n');
    for (const name of applets) symlinkSync(busybox, join(bin, name));
  });

  const ownersIn = async (snapshot: string) => {
    const { stdout } = await kdumpMem('memory', '--json', '--from', snapshot);
    const { memory, warnings } = memorySchema.parse(JSON.parse(stdout));
    const shared = memory.children.flatMap(({ children }) => children).find(({ category }) => category === 'shared');
    return { owners: shared?.owners ?? [], warnings };
  };
  /** The memfd and the deleted file. */
  const filesOf = (pid: number | undefined) => [
    { kind: 'file', name: 'memfd:captured\n5 7 x', pid, files: 2, bytes: 320 * MIB },
  ];
  const shells: readonly [string, readonly string[]][] = [
    ['sh', ['sh', script]],
    ['busybox', ['env', `PATH=${bin}:/usr/bin:/bin`, join(bin, 'sh'), script]],
  ];

  test.each([['kdump-mem', ['sh', '-c', `${commandPath('kdump-mem')} snapshot "$0" -o "$1"`]], ...shells])(
    'are listed in a snapshot by %s',
    async (name, words) => {
      const snapshot = join(folder, `${name}.tar.gz`);
      execFileSync(words[0]!, [...words.slice(1), '--tmpfs', snapshot]);
      const { owners } = await ownersIn(snapshot);
      const expected = [...filesOf(held.pid), ...filesOf(other.pid)];
      expect(owners).toEqual(expect.arrayContaining(expected));
      expect(owners.some((owner) => owner.name.includes('huge'))).toBe(false);
    },
  );

  test.each(shells)('are listed without root as far as readable, and the rest is reported: %s', async (name, words) => {
    const snapshot = join(folder, `nobody-${name}.tar.gz`);
    const as = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];
    execFileSync('setpriv', [...as, ...words, '--tmpfs', snapshot], { cwd: '/' });
    const { owners, warnings } = await ownersIn(snapshot);
    expect(owners).toEqual(expect.arrayContaining(filesOf(other.pid)));
    expect(owners.some(({ pid }) => pid === held.pid)).toBe(false);
    expect(warnings.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(
        /^up to [\d.]+ [MG]iB of shared memory has no known owner \(descriptors of \d+ processes: permission denied/,
      ),
    );
  });
});

test('constant figures match this machine now', async () => {
  const [then, now] = [await answerOf(), await kdumpMem('memory', '--json', '--live', '--source', 'counters')];
  const live = memorySchema.parse(JSON.parse(now.stdout));
  expect(then.memory.bytes).toBe(live.memory.bytes);
  expect(then.host).toEqual(live.host);
});
