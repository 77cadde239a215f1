import { join } from 'node:path';
import { expect, test } from 'vitest';
import { blockedSchema } from '../../src/contracts/blocked.js';
import { kdumpMem } from '../support/in-process.js';
import { scratchFolder } from '../support/scratch.js';
import { snapshotFiles, writeCapture } from '../support/snapshot.js';

const folder = scratchFolder('blocked-');

const OF_INCIDENT = ['--vmcore', 'fixtures/incident.vmcore'];

test('a dump without the contents of stacks is no all-clear', async () => {
  const { stdout, stderr, status } = await kdumpMem('blocked', ...OF_INCIDENT);
  expect(stdout).toBe(
    'Unknown whether any of the 68 threads is blocked: stacks could not be read (see the warnings).\n',
  );
  expect(stderr).toContain('65 parts of kernel memory that this answer needs are not in this extract');
  expect(stderr).toContain(': the stack of pid 1');
  expect(status).toBe(0);
  const strict = await kdumpMem('blocked', '--strict', '--json', ...OF_INCIDENT);
  expect(strict.status).toBe(5);
  const { complete, locks, blocked, warnings } = blockedSchema.parse(JSON.parse(strict.stdout));
  expect({ complete, locks, blocked }).toEqual({ complete: false, locks: [], blocked: 0 });
  expect(warnings.map(({ code }) => code)).toContain('unreadable');
});

test('refuses crash, and what is no snapshot', async () => {
  const crash = await kdumpMem('blocked', '--engine', 'crash', ...OF_INCIDENT);
  expect(crash).toMatchObject({ status: 2, stdout: '' });
  const none = await kdumpMem('blocked', '--from', 'fixtures/host');
  expect(none).toMatchObject({ status: 3, stdout: '' });
  const all = await kdumpMem('blocked', '--all', '--from', 'fixtures/host');
  expect(all).toMatchObject({ status: 2, stdout: '' });
});

const status = (pid: number, letter: string) =>
  [`State:\t${letter} (x)`, `Tgid:\t${pid}`, `NSpid:\t${pid}`]
    .concat('voluntary_ctxt_switches:\t5', 'nonvoluntary_ctxt_switches:\t1')
    .map((line) => `/proc/${pid}/task/${pid}/status:${line}\n`)
    .join('');
const KTHREADD = '/proc/2/stat:2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0\n';
const LOCKS = [
  '1: FLOCK  ADVISORY  WRITE 8 fe:00:11 0 EOF',
  '1: -> FLOCK  ADVISORY  WRITE 9 fe:00:11 0 EOF',
  '2: FLOCK  ADVISORY  WRITE 9 fe:00:12 0 EOF',
  '2: -> FLOCK  ADVISORY  WRITE 8 fe:00:12 0 EOF',
];

let made = 0;
/** @param states letters of pid 1, 2, 8 and 9 */
async function blockedIn(states: string, changes: Readonly<Record<string, string>> = {}) {
  const files = snapshotFiles([]);
  const lines = [1, 2, 8, 9]
    .map((pid, index) => status(pid, states[index]!) + `/proc/${pid}/comm:name${pid}\n`)
    .join('');
  for (const name of ['sample-1/before', 'sample-2/after']) files.set(name, lines + KTHREADD);
  files.set('sample-2/proc/locks', '');
  for (const [name, text] of Object.entries(changes)) files.set(name, (files.get(name) ?? '') + text);
  const path = writeCapture(join(folder, `snapshot-${++made}`), files);
  const json = await kdumpMem('blocked', '--json', '--from', path);
  const text = await kdumpMem('blocked', '-v', path);
  return { answer: blockedSchema.parse(JSON.parse(json.stdout)), text: text.stdout };
}

test('a snapshot without blocked tasks names what it cannot know', async () => {
  const { answer, text } = await blockedIn('SSSS');
  expect(answer).toMatchObject({ source: 'proc', kernel: null, tasks: 4, blocked: 0, locks: [] });
  expect(answer).toMatchObject({ complete: true, warnings: [], captured: { host: 'db1' } });
  expect(text).toContain('None of 4 threads is in uninterruptible sleep (state D)');
  expect(text).toContain('Of other locks it shows at most the function');
  expect(text).not.toContain('No task is blocked in');
});

test('a snapshot has file locks with owners, a deadlock of two, and tasks in state D by their stack', async () => {
  const { answer, text } = await blockedIn('DSSS', {
    'sample-2/proc/locks': LOCKS.map((line) => `${line}\n`).join(''),
    'sample-2/after': `/proc/1/task/1/wchan:kernel_clone\n/proc/1/task/1/stack:[<0>] kernel_clone+0x1/0x2\n${status(1, 'D')}`,
  });
  expect(answer).toMatchObject({ complete: true, warnings: [], blocked: 3, tasks: 4 });
  expect(answer.cycles).toHaveLength(1);
  expect(new Set(answer.cycles[0]!.pids)).toEqual(new Set([8, 9]));
  const [d] = answer.locks.filter(({ kind }) => kind === 'unknown');
  expect(d).toMatchObject({
    ownerState: 'unknown',
    owner: null,
    file: null,
    waiters: [{ pid: 1, comm: 'name1', function: 'kernel_clone', leastSeconds: 2.5 }],
    trace: [{ symbol: 'kernel_clone', offset: 1, module: null }],
  });
  expect(text).toMatch(/^Deadlock of 2 tasks: /);
  expect(text).toContain('1 waiter: pid 1 (name1) at least 2.5 s\n    kernel_clone+0x1\n');
  expect(text).toContain('a child of its own (vfork): waits until the child calls exec or exits\n');
});

test.each([
  ['a status of a thread is missing', 'SSSS', { 'sample-2/after': '/proc/10/task/11/wchan:x\n' }],
  ['it is unknown where a task in state D waits', 'SSDS', {}],
  ['locks are malformed', 'SSSS', { 'sample-2/proc/locks': '1: ?\n' }],
  ['it lacks kernel threads', 'SSSS', { 'sample-2/after': '/proc/2/stat:2 (x) S 1 1 1 0 -1 4\n' }],
])('a snapshot is no all-clear if %s', async (_, states, changes) => {
  const { answer, text } = await blockedIn(states, changes);
  expect(answer.complete).toBe(false);
  expect(text).toMatch(/^(Unknown whether any thread is blocked|At least 1 of)/);
});
