import { describe, expect, test } from 'vitest';
import type { HostError } from '../../../src/base/errors.js';
import { LastRuns, lockHolders, readFileLocks, readThreads } from '../../../src/host/proc/waits.js';
import { madeSource } from '../../support/made-host.js';

const status = (letter: string, switches = 5) =>
  `State:\t${letter} (x)\nTgid:\t7\nNSpid:\t7\t1\nvoluntary_ctxt_switches:\t${switches}\nnonvoluntary_ctxt_switches:\t1\n`;
const AT = '/proc/7/task/7';
const STACK = '[<0>] kernel_clone+0x1af/0x3e0\n[<0>] rpc_wait+0x11/0x70 [sunrpc]\n';

function threadsOf(files: Readonly<Record<string, string>>) {
  const missed: string[] = [];
  const source = madeSource({ files: { '/proc/locks': '', ...files } });
  const threads = readThreads(source, ({ message }) => missed.push(message));
  return { threads, missed };
}

test('a thread in state D has its function and stack; others have none', () => {
  const files = {
    [`${AT}/status`]: `Name:\tx\n${status('D')}`,
    [`${AT}/wchan`]: 'kernel_clone',
    [`${AT}/stack`]: STACK,
    '/proc/7/task/8/status': `Name:\tx\n${status('S')}`,
    '/proc/7/task/8/wchan': 'do_wait',
  };
  const { threads, missed } = threadsOf(files);
  expect(threads).toMatchObject([
    {
      pid: 7,
      process: 7,
      state: 'D',
      switches: 6,
      nsPids: [7, 1],
      function: 'kernel_clone',
      trace: [
        { symbol: 'kernel_clone', offset: 0x1af, module: null },
        { symbol: 'rpc_wait', offset: 0x11, module: 'sunrpc' },
      ],
    },
    { pid: 8, process: 7, state: 'S', function: null, trace: null },
  ]);
  expect(missed).toEqual([]);
});

test.each([
  ['its second status in a snapshot has other switches', status('D', 6), 'kernel_clone', 'D'],
  ['it left state D', status('S'), 'kernel_clone', 'S'],
  ['its stack is of another wait', '', 'do_wait', 'D'],
])('where a thread waits is unknown if %s', (_, after, wchan, state) => {
  const text = `Name:\tx\n${status('D')}${after}`;
  const files = { [`${AT}/status`]: text, [`${AT}/wchan`]: wchan, [`${AT}/stack`]: STACK };
  expect(threadsOf(files).threads).toMatchObject([{ state, function: null, trace: null }]);
});

test('an earlier snapshot has only the function of the first thread; a malformed status is reported', () => {
  const found = threadsOf({
    [`${AT}/status`]: `Name:\tx\n${status('D')}`,
    '/proc/7/wchan': 'io_schedule\n',
    '/proc/7/task/8/status': 'Name:\tx\nState:\t\u0007\n',
  });
  expect(found.threads).toMatchObject([{ pid: 7, function: 'io_schedule', trace: null }]);
  expect(found.missed).toEqual(['malformed /proc/7/task/8/status']);
});

const HOLDER = '1: FLOCK  ADVISORY  WRITE 812 fe:00:2146337 0 EOF';

function locksOf(...lines: readonly string[]) {
  const missed: HostError[] = [];
  const source = madeSource({ files: { '/proc/locks': lines.map((line) => `${line}\n`).join('') } });
  return { locks: readFileLocks(source, (error) => missed.push(error)), missed };
}

test('locks have all requests that wait, also those behind another', () => {
  const { locks, missed } = locksOf(
    HOLDER,
    '1: -> FLOCK  ADVISORY  WRITE 900 fe:00:2146337 0 EOF',
    '1:   -> FLOCK  ADVISORY  READ 901 fe:00:2146337 0 EOF',
    '2: LEASE  ACTIVE    READ 5 <none>:0 0 EOF',
    '3: OFDLCK ADVISORY  READ -1 00:1f:12 10 99',
    '3: -> OFDLCK ADVISORY  WRITE -1 00:1f:12 50 EOF',
  );
  expect(missed).toEqual([]);
  const at = { device: '254:0', inode: '2146337', from: 0, to: null };
  expect(locks).toMatchObject([
    { type: 'FLOCK', exclusive: true, pid: 812, ...at, waiters: [{ pid: 900 }, { pid: 901 }] },
    {
      type: 'OFDLCK',
      exclusive: false,
      pid: null,
      device: '0:31',
      inode: '12',
      from: 10,
      to: 99,
      waiters: [{ pid: null, exclusive: true, from: 50, to: null }],
    },
  ]);
});

test.each([
  ['a request without its lock', ['1: -> FLOCK  ADVISORY  WRITE 9 fe:00:1 0 EOF'], 'malformed'],
  ['a request of another lock', [HOLDER, '2: -> FLOCK  ADVISORY  WRITE 9 fe:00:1 0 EOF'], 'malformed'],
  ['a truncated line', [HOLDER, '2: FLOCK  ADVISORY  WRI'], 'malformed'],
  ['a number that is missing', [HOLDER, '3: FLOCK  ADVISORY  WRITE 9 fe:00:1 0 EOF'], 'not listed'],
])('%s is reported', (_, lines, words) => {
  expect(locksOf(...lines).missed.map(({ message }) => message)).toEqual([expect.stringContaining(words)]);
});

test('the holder of a lock is a process that has it, not the pid that requested it', () => {
  const [lock] = locksOf(HOLDER, '1: -> FLOCK  ADVISORY  WRITE 900 fe:00:2146337 0 EOF').locks;
  const lines = `pos:\t0\nlock:\t${HOLDER}\n`;
  const host = (own: string) =>
    madeSource({
      files: { '/proc/812/fdinfo/3': own, '/proc/813/fdinfo/4': lines },
      links: { '/proc/812/fd/3': '/run/own', '/proc/813/fd/4': '/run/a\nb' },
    });
  expect(lockHolders(host(lines), lock!)).toEqual([{ process: 812, path: '/run/own' }]);
  expect(lockHolders(host('pos:\t0\n'), lock!)).toEqual([{ process: 813, path: '/run/a\nb' }]);
});

describe('how long a thread has not run, at least', () => {
  const place = (letter: string, cpu: number) => `7 (a b) ${letter} ${'0 '.repeat(35)}${cpu} 0 0\n`;
  const sched = (at: string) => `x (7, #threads: 1)\n---\nse.exec_start   :   ${at}\nse.vruntime  : 9999999.000000\n`;
  const since = (more: Readonly<Record<string, string>>) =>
    new LastRuns(
      madeSource({
        files: {
          '/proc/7/task/7/stat': place('D', 1),
          '/proc/7/task/7/sched': sched('5000.250000'),
          '/proc/7/stat': place('D', 1),
          '/proc/7/sched': sched('5000.250000'),
          ...more,
        },
      }),
    ).secondsSince({ pid: 7, process: 7 });

  test('is the time to the latest run on its CPU', () => {
    const others = {
      '/proc/8/stat': place('S', 1),
      '/proc/8/sched': sched('17000.250000'),
      '/proc/9/stat': place('I', 1),
      '/proc/9/sched': sched('6000.000000'),
    };
    expect(since(others)).toBe(12);
  });

  test.each([
    ['of another CPU', { '/proc/8/stat': place('S', 0), '/proc/8/sched': sched('90000.000000') }],
    ['of a thread that runs', { '/proc/8/stat': place('R', 1), '/proc/8/sched': sched('90000.000000') }],
    ['without a run', { '/proc/8/stat': place('S', 1), '/proc/8/sched': sched('0.000000') }],
    ['without /proc/PID/sched', { '/proc/8/stat': place('S', 1) }],
  ])('is unknown with the clock %s alone', (_, more) => {
    expect(since(more)).toBeNull();
  });

  test('is unknown on a kernel that does not show it', () => {
    expect(since({ '/proc/7/task/7/sched': '' })).toBeNull();
  });
});
