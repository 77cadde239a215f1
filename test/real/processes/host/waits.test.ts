import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BlockedAnswer, blockedSchema } from '../../../../src/contracts/blocked.js';
import { kdumpMem } from '../../../support/cli.js';

/** Each child holds or waits for what its name says; the parent prints its pids. */
const SCENE = String.raw`
import fcntl, json, os, re, struct, subprocess, sys, time
folder, vfork = sys.argv[1:]
def opened(name):
    return os.open(os.path.join(folder, name), os.O_RDWR | os.O_CREAT)
def until(is_so):
    while not is_so():
        time.sleep(0.01)
def locks(waiting):
    # By inode: /proc/locks has every OFDLCK of the machine, in each pid namespace.
    inodes = {os.stat(os.path.join(folder, name)).st_ino for name in os.listdir(folder)}
    lines = [line for line in open('/proc/locks') if int(re.search(r':(\d+) \d+ \w+$', line)[1]) in inodes]
    return sum(('->' in line) == waiting for line in lines)
def flock(*names):
    for name in names:
        fcntl.flock(opened(name), fcntl.LOCK_EX)
        until(lambda: locks(False) >= 6)
def posix(kind, start):
    fcntl.lockf(opened('posix'), kind, 10, start)
def description(command):
    description.fd = opened('ofd')
    fcntl.fcntl(description.fd, command, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0))
def passed_on():
    held = opened('passed')
    fcntl.flock(held, fcntl.LOCK_EX)
    if os.fork() > 0:
        os._exit(0)
pids = {}
def start(name, act, *arguments):
    pids[name] = os.fork()
    if pids[name] == 0:
        act(*arguments)
        time.sleep(600)
        os._exit(0)
start('root', flock, 'x'), start('one', flock, 'd1', 'd2'), start('two', flock, 'd2', 'd1')
start('posix', posix, fcntl.LOCK_EX, 100), start('ofd', description, 37), start('passed', passed_on)
until(lambda: locks(True) == 2)
start('middle', flock, 'y', 'x'), start('posix-waits', posix, fcntl.LOCK_SH, 95)
start('ofd-waits', description, 38), start('passed-waits', flock, 'passed')
until(lambda: locks(True) == 6)
start('leaf', flock, 'y')
pids['vfork'] = subprocess.Popen([vfork]).pid
until(lambda: locks(True) == 7 and open('/proc/%d/stat' % pids['vfork']).read().split()[2] == 'D')
print(json.dumps(pids), flush=True)
time.sleep(600)
`;
const VFORK = `#define _DEFAULT_SOURCE
#include <unistd.h>
int main(void) { if (vfork() == 0) { sleep(600); _exit(0); } return 0; }`;

const folder = mkdtempSync(join(tmpdir(), 'waits-test-'));
let scene: ChildProcess | undefined;
let pids: Readonly<Record<string, number>>;

beforeAll(async () => {
  writeFileSync(join(folder, 'scene.py'), SCENE);
  writeFileSync(join(folder, 'vfork.c'), VFORK);
  execFileSync('cc', ['-o', join(folder, 'vfork'), join(folder, 'vfork.c')]);
  const words = [join(folder, 'scene.py'), folder, join(folder, 'vfork')];
  scene = spawn('python3', words, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const [printed] = await once(scene.stdout!, 'data');
  pids = JSON.parse(String(printed));
});

afterAll(() => {
  if (scene?.pid !== undefined) process.kill(-scene.pid, 'SIGKILL');
  rmSync(folder, { recursive: true });
});

/** What was built: waiter, type, and owner of the lock. */
const BUILT = [
  ['one', 'FLOCK', 'two'],
  ['two', 'FLOCK', 'one'],
  ['middle', 'FLOCK', 'root'],
  ['leaf', 'FLOCK', 'middle'],
  ['posix-waits', 'POSIX', 'posix'],
] as const;

function check({ locks, cycles, complete, warnings }: BlockedAnswer, isLive: boolean): void {
  // Lock files are numbered over all pid namespaces: those of other programs of the machine leave gaps.
  for (const { message } of warnings) expect(message).toMatch(/(?:another|or a) pid namespace\)$/);
  expect(complete).toBe(warnings.length === 0);
  const of = (name: string) => locks.find(({ waiters }) => waiters.some(({ pid }) => pid === pids[name]))!;
  for (const [waiter, type, owner] of BUILT) {
    const found = of(waiter);
    expect({ waiter, owner: found.owner?.pid }).toEqual({ waiter, owner: pids[owner] });
    expect(found).toMatchObject({ kind: 'file-lock', file: { type, pid: pids[owner] } });
    expect(found.waiters).toMatchObject([{ state: 'S', function: expect.stringMatching(/lock|fcntl/) }]);
    expect(found.waiters[0]!.leastSeconds).toBeGreaterThanOrEqual(0.9);
    if (isLive) expect(found.file!.path).toMatch(new RegExp(`^${folder}/(x|y|d1|d2|posix)$`));
  }
  expect(of('posix-waits').file).toMatchObject({ from: 100, to: 109, exclusive: true });
  expect(of('leaf').waitsFor).toBe(of('middle').id);
  const cycle = cycles.filter(({ pids: all }) => all.includes(pids.one!));
  expect(cycle.map(({ pids: all }) => all.toSorted())).toEqual([[pids.one, pids.two].toSorted()]);
  // The process that locked it has exited; its child has the file.
  const passed = of('passed-waits');
  expect(passed).toMatchObject({ ownerState: 'not-recorded', file: { pid: pids.passed } });
  if (isLive) expect(passed.candidates).toMatchObject([{ by: 'descriptor', task: { state: 'S' } }]);
  const { ino } = statSync(join(folder, 'ofd'));
  const ofd = locks.find(({ file }) => file?.inode === String(ino))!;
  expect(ofd.file?.type).toBe('OFDLCK');
  expect(ofd).toMatchObject({ owner: null, waiters: [], file: { pid: null, unnamedWaiters: 1 } });
  if (isLive) expect(ofd.candidates.map(({ task }) => task.pid)).toEqual([pids.ofd]);
  const child = of('vfork');
  expect(child).toMatchObject({ kind: 'unknown', ownerState: 'unknown' });
  expect(child.trace!.map(({ symbol }) => symbol)).toContain(child.waiters[0]!.function);
  expect(child.trace!.map(({ symbol }) => symbol).join()).toContain('vfork');
}

const answered = async (...words: readonly string[]) =>
  blockedSchema.parse(JSON.parse((await kdumpMem('blocked', '--json', ...words)).stdout));

describe('file locks and a task in state D are those that were built', () => {
  test.skipIf(existsSync('/proc/kcore'))('on this machine, without kernel memory', async () => {
    const found = await answered('--live');
    expect(found).toMatchObject({ source: 'proc', kernel: null, captured: null });
    check(found, true);
  });

  test('in a snapshot', async () => {
    const file = join(folder, 'host.tar.gz');
    await kdumpMem('snapshot', '--tmpfs', '-o', file);
    check(await answered('--from', file), false);
  });

  test('in a snapshot of the script', async () => {
    const file = join(folder, 'script.tar.gz');
    writeFileSync(join(folder, 'snapshot.sh'), (await kdumpMem('snapshot', '--script')).stdout);
    execFileSync('sh', [join(folder, 'snapshot.sh'), '--tmpfs', file], { stdio: 'pipe' });
    check(await answered('--from', file), false);
  });
});
