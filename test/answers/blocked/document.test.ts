import { expect, test } from 'vitest';
import { blockedBlocks } from '../../../src/answers/blocked/document.js';
import { blockTexts } from '../../../src/answers/text/blocks.js';
import { formatJson } from '../../../src/base/util.js';
import {
  type BlockedAnswer,
  type BlockedTask,
  type BlockingLock,
  blockedSchema,
} from '../../../src/contracts/blocked.js';

const task = (pid: number, more: Partial<BlockedTask> = {}): BlockedTask => ({
  pid,
  process: pid,
  comm: `task${pid}`,
  state: 'D',
  cpu: null,
  seconds: pid,
  leastSeconds: null,
  nsPids: [],
  function: 'mutex_lock',
  stack: null,
  ...more,
});

const lock = (id: number, owner: BlockedTask | null, waiters: readonly BlockedTask[]): BlockingLock => ({
  id,
  kind: 'mutex',
  address: 0xffff_8880_0000_1000n + BigInt(id * 64),
  bit: null,
  symbol: null,
  object: null,
  ownerState: owner ? 'task' : 'none',
  owner,
  readers: null,
  candidates: [],
  device: null,
  file: null,
  cause: null,
  trace: null,
  waiters,
  waitsFor: null,
});

const answer = (locks: readonly BlockingLock[], more: Partial<BlockedAnswer> = {}): BlockedAnswer => ({
  schema: 'kdump-mem.blocked/1',
  kernel: { release: '6.12.0', arch: 'x86_64', pageSize: 4096, source: 'vmcore', engine: 'native' },
  source: 'vmcore',
  captured: null,
  locks,
  cycles: [],
  stacks: [],
  blocked: locks.reduce((sum, { waiters }) => sum + waiters.length, 0),
  tasks: 100,
  complete: true,
  warnings: [],
  ...more,
});

const text = (found: BlockedAnswer) => blockTexts(blockedBlocks(found, { limit: 2 }), null).join('\n\n');

test('a healthy machine prints one line; an incomplete answer reports no all-clear', () => {
  expect(text(answer([]))).toBe(
    'No task is blocked in the kernel: none of 100 threads is in uninterruptible sleep (state D) or waits for a kernel lock. A hang can have other reasons: locks of programs (futexes) were not checked (--all checks them), and a CPU that loops is not blocked (stacks --cpu N prints what CPU N was running).',
  );
  const next = blockTexts(blockedBlocks(answer([]), { limit: 2, source: '--vmcore d' }), null).at(-1);
  expect(next).toBe('Next: kdump-mem blocked --all --vmcore d');
  expect(blockedBlocks(answer([]), { limit: 2, all: true, source: '--vmcore d' })).toHaveLength(1);
  expect(text(answer([], { complete: false }))).toBe(
    'Unknown whether any of the 100 threads is blocked: stacks could not be read (see the warnings).',
  );
  const warnings = [{ code: 'unsupported-layout', message: 'types of this kernel lack struct mutex_waiter' }] as const;
  expect(text(answer([], { complete: false, warnings }))).toBe(
    'Unknown whether any of the 100 threads is blocked: some locks of this kernel are unsupported (see the warnings).',
  );
});

test('a lock owner that is not blocked comes first, and names are escaped and limited', () => {
  const hostile = task(7, { comm: 'a\u001b[31m\nb' });
  const top = lock(1, task(1, { state: 'R', cpu: 3 }), [task(2)]);
  const below = { ...lock(0, task(2), [hostile, task(6), task(5)]), waitsFor: 1 };
  const lines = text(answer([below, top])).split('\n');
  expect(lines[0]).toMatch(/^4 of 100 threads are blocked, waiting for 2 locks and events\. Longest wait: 7\.0 s, /);
  expect(lines.slice(2)).toEqual([
    'mutex 0xffff888000001040: owner pid 1 (task1), running on CPU 3',
    '  1 waiter: pid 2 (task2) 2.0 s',
    '  mutex 0xffff888000001000: owner pid 2 (task2), state D in mutex_lock',
    '    owner waits for mutex 0xffff888000001040',
    expect.stringMatching(/^ {4}3 waiters: pid 7 \(a.*b\) 7\.0 s, pid 6 \(task6\) 6\.0 s and 1 more$/),
  ]);
  expect(lines.join('')).not.toContain('\u001b');
});

test('reports a deadlock, and a lock that its owner waits for', () => {
  const [one, other] = [task(1), task(2)];
  const locks = [
    { ...lock(0, one, [other]), waitsFor: 1 },
    { ...lock(1, other, [one]), waitsFor: 0 },
    { ...lock(2, task(3), [task(3)]), waitsFor: 2 },
  ];
  const cycles = [
    { locks: [0, 1], pids: [1, 2] },
    { locks: [2], pids: [3] },
  ];
  const lines = text(answer(locks, { cycles })).split('\n');
  expect(lines[0]).toBe(
    'Deadlock of 2 tasks: pid 1 (task1) waits for mutex 0xffff888000001040, pid 2 (task2) waits for mutex 0xffff888000001000.',
  );
  expect(lines[1]).toBe('Deadlock of 1 task: pid 3 (task3) waits for mutex 0xffff888000001080.');
  for (const { address } of locks)
    expect(lines.filter((line) => line.trim().startsWith(`mutex 0x${address?.toString(16)}:`))).toHaveLength(1);
});

test('prints a chain of any length, as valid JSON too', () => {
  const length = 5_000;
  const locks = Array.from({ length }, (_, id) => ({
    ...lock(id, task(id + 1), [task(id)]),
    waitsFor: id + 1 < length ? id + 1 : null,
  }));
  expect(text(answer(locks)).split('\n').length).toBeGreaterThan(2 * length);
  const json = blockedSchema.parse(JSON.parse(formatJson(answer(locks))));
  expect(json.locks).toHaveLength(length);
});

test('devices: escapes names, limits counts and hardware queues', () => {
  const requests = {
    outstanding: 12,
    started: 9,
    oldestSeconds: 31.4,
    hardwareQueues: Array.from({ length: 20 }, (_, queue) => queue),
  };
  const device = { fileSystem: 'ext4', name: 'v\u001bda', number: '254:0', frozen: true, requests };
  const io = { ...lock(0, null, [task(1)]), kind: 'io' as const, ownerState: 'not-recorded' as const, device };
  const journal = {
    ...lock(1, null, [task(2)]),
    kind: 'journal' as const,
    ownerState: 'not-recorded' as const,
    candidates: [{ task: task(3), by: 'handle' as const }],
    device: { ...device, name: null, frozen: false, requests: null },
  };
  const lines = text(answer([io, journal])).split('\n');
  expect(lines.slice(2)).toEqual([
    'block device 0xffff888000001000: waits for requests or a free tag',
    expect.stringMatching(
      /^ {2}file system ext4 on v.*da \(254:0\), frozen: 12 requests outstanding, 9 started, oldest 31 s, hardware queues 0 1 2 3 4 5 6 7 and 12 more$/,
    ),
    '  1 waiter: pid 1 (task1) 1.0 s',
    '',
    'journal 0xffff888000001040: waits for open handles',
    '  file system ext4 on device (254:0)',
    '  waits for pid 3 (task3) in mutex_lock (has an open handle of the transaction)',
    '  1 waiter: pid 2 (task2) 2.0 s',
  ]);
  expect(lines.join('')).not.toContain('\u001b');
  const json = blockedSchema.parse(JSON.parse(formatJson(answer([io, journal]))));
  expect(json.locks[0]?.device).toEqual(device);
});
