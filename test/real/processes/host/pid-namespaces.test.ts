import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { procsSchema } from '../../../../src/contracts/procs.js';
import { commandPath, kdumpMem } from '../../../support/cli.js';
import { until } from '../../skcheck/stage.js';

/** Two nested namespaces: pid 1 of the outer one starts the inner one, whose pid 1 sleeps. */
const SCRIPT = 'sleep 301 & unshare -p -f sh -c "echo ready; sleep 302; true"; true';

let outermost: ChildProcess;
const processes = new Map<string, { pid: number; namespace: number; nsPids: number[] }>();

beforeAll(async () => {
  outermost = spawn('unshare', ['-p', '-f', '--kill-child', 'sh', '-c', SCRIPT], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (outermost.stdout) await once(outermost.stdout, 'data');
  await until(() => {
    look();
    return processes.has('sleep 301') && processes.has('sleep 302');
  });
});

function look(): void {
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0').join(' ').trim();
      const status = readFileSync(`/proc/${name}/status`, 'utf8');
      const nsPids = /^NSpid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/).map(Number) ?? [];
      const namespace = Number(/\d+/.exec(readlinkSync(`/proc/${name}/ns/pid`))?.[0]);
      if (nsPids.length > 1) processes.set(command, { pid: Number(name), namespace, nsPids });
    } catch {
      // It has exited.
    }
  }
}

afterAll(() => outermost.kill('SIGKILL'));

const of = (command: string) => processes.get(command)!;
const procsRun = (words: string) => kdumpMem('procs', '--live', '--json', '--pid', words);
async function pidOf(words: string): Promise<number[]> {
  const { stdout } = await procsRun(words);
  const json = JSON.parse(stdout);
  return 'processes' in json ? procsSchema.parse(json).processes.map(({ pid }) => pid) : [json.pid];
}

test('this test itself runs in a pid namespace (test/support/isolated.ts)', () => {
  expect(process.ppid).toBe(1);
});

test('finds a pid in its namespace, one and two levels deep', async () => {
  const [outer, inner] = [of('sleep 301'), of('sleep 302')];
  expect([outer.nsPids.length, inner.nsPids.length]).toEqual([2, 3]);
  for (const { pid, namespace, nsPids } of [outer, inner])
    expect(await pidOf(`${namespace}:${nsPids.at(-1)}`)).toEqual([pid]);
});

test('pid 1 is another process in each', async () => {
  const first = [...processes.values()].filter(({ nsPids }) => nsPids.at(-1) === 1);
  expect(first).toHaveLength(2);
  for (const { pid, namespace } of first) expect(await pidOf(`${namespace}:1`)).toEqual([pid]);
});

test('names a process in a nested namespace: /proc does not show the parent of a namespace', async () => {
  const [outer, inner] = [of('sleep 301'), of('sleep 302')];
  const { status, stderr, stdout } = await procsRun(`${outer.namespace}:${inner.nsPids[1]}`);
  expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
  expect(stderr).toMatch(new RegExp(`^kdump-mem: [^\\n]*nested namespace: pid ${inner.pid}\\. [^\\n]+\\n$`));
});

test('reports a missing process, a missing namespace and conflicting arguments in one line', async () => {
  const { namespace } = of('sleep 301');
  const line = (words: string) => expect.stringMatching(new RegExp(`^kdump-mem: ${words}[^\\n]*\\n$`));
  expect(await procsRun(`${namespace}:999`)).toMatchObject({
    status: 4,
    stdout: '',
    stderr: line(`no process has pid 999 in pid namespace ${namespace}`),
  });
  expect(await procsRun('17:1')).toMatchObject({
    status: 4,
    stdout: '',
    stderr: line('no process is in a pid namespace 17'),
  });
  expect(await kdumpMem('procs', '--live', '--pid', '17:1', '--container', 'ab')).toMatchObject({
    status: 2,
    stdout: '',
    stderr: line('--pid NS:PID'),
  });
  expect(await procsRun('17:0')).toMatchObject({ status: 2, stdout: '' });
  expect(await procsRun('17:')).toMatchObject({ status: 2, stdout: '' });
});

test('reports denied permission for namespaces, rather than a missing namespace', async () => {
  const { namespace, nsPids } = of('sleep 302');
  const user = ['--reuid=65534', '--regid=65534', '--clear-groups', '--', process.execPath];
  const args = ['procs', '--live', '--pid', `${namespace}:${nsPids.at(-1)}`];
  const ran = await execa('setpriv', [...user, commandPath('kdump-mem'), ...args], { reject: false });
  expect(ran).toMatchObject({ exitCode: 3, stdout: '' });
  expect(ran.stderr).toMatch(
    /^kdump-mem: pid .* not found, but permission is denied for the namespaces of \d+ processes\. Run it as root/,
  );
});
