import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, expect, test } from 'vitest';
import { socketsSchema } from '../../src/report/schema.js';
import { commandPath, kdumpMem } from '../support/cli.js';
import { FIXTURES, fixture } from '../support/fixtures.js';
import { labKdump } from '../support/lab.js';

const work = mkdtempSync(join(tmpdir(), 'triage-'));
const crash = join(work, 'crash');
const some = join(work, 'some');
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** One line of the loop's answer. */
interface Line {
  readonly dump: string;
  readonly release: string | null;
  readonly panic: string | null;
  readonly owner: string | null;
  readonly pinned: number | null;
}

/** As after `npm install --global`: a command on the path. */
mkdirSync(join(work, 'bin'));
writeFileSync(
  join(work, 'bin/kdump-mem'),
  `#!/bin/sh\nexec '${process.execPath}' '${commandPath('kdump-mem')}' "$@"\n`,
  { mode: 0o755 },
);
for (const name of FIXTURES) dumpIn(crash, name, fixture(name).vmcore);
dumpIn(crash, "6.1's panic", labKdump('6.1').formats['lzo-d31'][0] ?? '');
for (const name of ['0-damaged', '1-sound']) dumpIn(some, name, fixture('6.1').vmcore);
writeFileSync(join(some, '0-damaged/vmcore'), 'no dump at all');

function dumpIn(folder: string, name: string, vmcore: string): void {
  mkdirSync(join(folder, name), { recursive: true });
  copyFileSync(vmcore, join(folder, name, 'vmcore'));
}

/** The very lines of README.md, but for where the dumps are. */
function loop(folder: string): string {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const block = /## Triage of many dumps\n[^#]*?```sh\n([^`]*)```/.exec(readme)?.[1] ?? '';
  expect(block).toContain('/var/crash/*/');
  return block.replace('/var/crash/', `'${folder}'/`);
}

const bash = (script: string, ...options: string[]) =>
  execa('bash', [...options, '-c', script], {
    env: { PATH: `${join(work, 'bin')}:${process.env.PATH}` },
    reject: false,
    timeout: 110_000,
  });

function linesOf(stdout: string): Line[] {
  return stdout.split('\n').map((line) => JSON.parse(line) as Line);
}

test('README’s loop prints one line for each dump: release, panic, top owner, pinned bytes', async () => {
  const { stdout, stderr, exitCode } = await bash(loop(crash), '-e', '-o', 'pipefail');
  expect(exitCode, stderr).toBe(0);
  const lines = linesOf(stdout);
  expect(lines).toHaveLength(FIXTURES.length + 1);
  for (const name of FIXTURES) {
    const { vmcore, truth } = fixture(name);
    const line = lines.find(({ dump }) => dump === `${crash}/${name}/`);
    const { stdout: json } = await kdumpMem('sockets', '--json', '--all', '--vmcore', vmcore);
    const answer = socketsSchema.parse(JSON.parse(json));
    // A single process holds most, in each of them.
    const byPid = new Map<string, number>();
    for (const { holders, total } of answer.sockets) {
      for (const who of new Set(holders.map(({ pid, comm }) => `${pid} ${comm}`)))
        byPid.set(who, (byPid.get(who) ?? 0) + total.pinnedBytes);
    }
    const [top] = [...byPid].sort(([, a], [, b]) => b - a);
    expect(line).toEqual({
      dump: `${crash}/${name}/`,
      release: truth.release,
      panic: null,
      owner: top?.[0],
      pinned: answer.totals.pinnedBytes,
    });
  }
  const panicked = lines.find(({ dump }) => dump.includes('panic'));
  expect(panicked?.panic).toMatch(/sysrq/i);
  expect(panicked?.release).toBe(labKdump('6.1').truth.release);
  expect(panicked?.pinned).toBeGreaterThan(0);
});

test('a dump that cannot be read has a line too; the loop goes on, or ends if it is told to', async () => {
  const lenient = await bash(loop(some), '-e');
  expect(lenient.exitCode).toBe(0);
  expect(lenient.stderr).toMatch(/^kdump-mem: [^\n]*0-damaged[^\n]*$/);
  const [damaged, sound, ...more] = linesOf(lenient.stdout);
  const nothing = { release: null, panic: null, owner: null, pinned: null };
  expect(damaged).toEqual({ dump: `${some}/0-damaged/`, ...nothing });
  expect(sound?.release).toBe(fixture('6.1').truth.release);
  expect(more).toEqual([]);
  const strict = await bash(loop(some), '-e', '-o', 'pipefail');
  expect(strict.exitCode).toBe(3);
  expect(linesOf(strict.stdout)).toEqual([damaged]);
});

test('exit statuses fit xargs and set -e', async () => {
  const each = (which: string) =>
    `printf '%s\\0' '${some}'/${which}/ | xargs -0 -n 1 kdump-mem info --json --vmcore`;
  const sound = await bash(`${each('1*')} | jq -r .kernel.release`, '-e', '-o', 'pipefail');
  expect(sound.exitCode, sound.stderr).toBe(0);
  expect(sound.stdout).toBe(fixture('6.1').truth.release);
  // xargs ends with 123 where a command ended with 1 to 125, and runs the others all the same.
  const both = await bash(each('*'));
  expect(both.exitCode).toBe(123);
  expect(JSON.parse(both.stdout).kernel.release).toBe(fixture('6.1').truth.release);
  const stops = await bash(`kdump-mem info --vmcore /nowhere; echo reached`, '-e');
  expect(stops.exitCode).toBe(3);
  expect(stops.stdout).toBe('');
});
