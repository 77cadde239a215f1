import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TriageJson } from '../../../../src/contracts/triage.js';
import { kdumpMem } from '../../../support/cli.js';
import { isUnreadForLong } from '../../skcheck/queues.js';
import { removeCgroup, until } from '../../skcheck/stage.js';
import { severeCodes } from './severe.js';

/** Kernel memory would be read instead. */
const hasKcore = existsSync('/proc/kcore');
const folder = mkdtempSync(join(tmpdir(), 'triage-host-'));
const ZOMBIES = 120;
/** Above the 5 % of memory from which files in memory are reported. */
const MEMFD = Math.ceil((totalmem() * 0.055) / 4096) * 4096;
const LIMIT = 64 * 2 ** 20;
const V1 = '/sys/fs/cgroup/memory';

/** A cgroup with a limit; undefined: cgroups are not writable here. */
function cgroupWithLimit(): string | undefined {
  const isV1 = existsSync(V1);
  try {
    const path = mkdtempSync(`${isV1 ? V1 : '/sys/fs/cgroup'}/kdump-mem-triage-`);
    writeFileSync(`${path}/memory.${isV1 ? 'limit_in_bytes' : 'max'}`, `${LIMIT}`);
    return path;
  } catch {
    return undefined;
  }
}

async function triaged(...args: string[]) {
  const { stdout, status } = await kdumpMem('triage', '--json', ...args);
  expect(status).toBe(0);
  return JSON.parse(stdout) as TriageJson;
}

type Answer = Awaited<ReturnType<typeof triaged>>;

/** Findings of the scene: other programs of this machine may have problems of their own. */
const own = ({ findings }: Answer, pid: number, cgroup: string | undefined) =>
  findings.filter(
    ({ figures }) =>
      figures.pid === pid ||
      (cgroup !== undefined && String(figures.cgroup).endsWith(cgroup.slice(cgroup.lastIndexOf('/')))),
  );

// The last test ends the scene.
describe.skipIf(hasKcore || process.geteuid?.() !== 0)('triage of this machine', { shuffle: false }, () => {
  let before: Answer;
  let scene: ChildProcess;
  let cgroup: string | undefined;
  beforeAll(async () => {
    before = await triaged();
    cgroup = cgroupWithLimit();
    scene = spawn('perl', [
      join(import.meta.dirname, 'scene.pl'),
      `${ZOMBIES}`,
      `${MEMFD}`,
      ...(cgroup === undefined ? [] : [cgroup]),
    ]);
    if (scene.stdout) await Promise.race([once(scene.stdout, 'data'), once(scene, 'exit')]);
    await until(isUnreadForLong);
  });
  afterAll(async () => {
    if (scene.exitCode === null && scene.signalCode === null) {
      scene.kill('SIGKILL');
      await once(scene, 'exit');
    }
    if (cgroup !== undefined) await removeCgroup(cgroup);
    rmSync(folder, { recursive: true });
  });

  test('names the process and the cgroup, and no other severe problem', async () => {
    const answer = await triaged();
    const found = own(answer, scene.pid ?? 0, cgroup);
    const sockets = found.filter(({ code }) => code === 'unread-sockets');
    expect(sockets).toMatchObject([{ severity: 'note', figures: { sockets: 1, comm: 'scene', unaccepted: 0 } }]);
    expect(found.filter((each) => !sockets.includes(each))).toMatchObject([
      ...(cgroup === undefined
        ? []
        : [{ code: 'cgroup-near-limit', severity: 'warning', figures: { limitBytes: LIMIT } }]),
      { code: 'zombies', severity: 'warning', figures: { zombies: ZOMBIES } },
      {
        code: 'shared-memory',
        severity: 'note',
        figures: { name: 'memfd:hoard', bytes: MEMFD, comm: 'scene', mapped: 0 },
      },
    ]);
    const others = severeCodes(answer).filter((code) => !['cgroup-near-limit', 'zombies'].includes(code));
    // Problems of other programs may have ended since.
    expect(severeCodes(before)).toEqual(expect.arrayContaining(others));
  });

  test('a snapshot of it has the same findings', async () => {
    const path = join(folder, 'scene.tar.gz');
    await kdumpMem('snapshot', '-o', path, '--force');
    const keys = (answer: Answer) =>
      own(answer, scene.pid ?? 0, cgroup).map(({ code, severity, figures }) => [
        code,
        severity,
        figures.pid,
        figures.comm,
        figures.cgroup,
        figures.zombies,
        figures.fd,
        figures.unreadBytes,
        figures.limitBytes,
      ]);
    const [live, captured] = [await triaged(), await triaged('--from', path)];
    expect(keys(captured)).toEqual(keys(live));
    expect(captured.checked).toContain('cgroups');
    // Of all checks, these two know from files that have no namespace that they did not see the whole machine.
    const lacking = captured.unread.filter(({ check }) => check === 'processes' || check === 'limits');
    for (const { why } of lacking)
      expect(why).toMatch(/as in a container$|\/(?:tcp|udp)_mem is not available in this network namespace$/);
    // It lists files in memory.
    expect(keys(captured).map(([code]) => code)).toContain('shared-memory');
    expect(captured.captured).not.toBeNull();
    expect(live.captured).toBeNull();
  });

  test('another user gets the readable findings, and a list of unreadable data', async () => {
    const [command = '', ...args] = [
      'setpriv',
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      process.execPath,
      'dist/bin/kdump-mem.js',
      'triage',
      '--json',
    ];
    const { stdout } = spawnSync(command, args, { encoding: 'utf8' });
    const answer = JSON.parse(stdout) as TriageJson;
    expect(own(answer, scene.pid ?? 0, cgroup).map(({ code }) => code)).toContain('zombies');
    expect(answer.unread.map(({ check }) => check)).toContain('sockets');
    expect(answer.checked).not.toContain('sockets');
  });

  test('--brief prints the headline and one line for each finding', async () => {
    const { stdout } = await kdumpMem('triage', '--brief');
    const [headline = '', ...lines] = stdout.trim().split('\n');
    expect(headline).toMatch(/Linux .* UTC\. /);
    expect(lines.length).toBeLessThanOrEqual(7);
    // The kernel log and free memory have no namespace: such findings may be above those of the scene.
    if (lines.join('\n').includes(`Zombies: ${ZOMBIES} exited children of pid ${scene.pid}`)) return;
    expect(lines.length).toBeGreaterThan(5);
    expect(lines.at(-1)).toMatch(/^\d+ more findings are not listed\.$/);
  });

  test('without the scene, its findings are gone', async () => {
    if (scene.kill('SIGKILL')) await once(scene, 'exit');
    const after = await triaged();
    expect(own(after, scene.pid ?? 0, cgroup)).toEqual([]);
  }, 30_000);
});
