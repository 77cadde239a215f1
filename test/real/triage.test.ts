import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { STEP_MS } from '../../scripts/lab-parts/limits.mjs';
import { triageEndSchema, triageLineSchema } from '../../src/contracts/triage-line.js';
import { commandPath } from '../support/cli.js';
import { FIXTURES, fixture } from '../support/fixtures.js';
import { labKdump } from '../support/lab.js';
import { scratchFolder } from '../support/scratch.js';

const work = scratchFolder('triage-');
const crash = join(work, 'crash');
const some = join(work, 'some');

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

/** The lines of README.md, except for the paths of dumps and output. */
function lines(folder: string): string {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const block = /## Triage of many dumps\n[^#]*?```sh\n([^`]*)```/.exec(readme)?.[1] ?? '';
  expect(block).toContain(' /var/crash ');
  return block.replace('/var/crash', `'${folder}'`).replace('crashes.ndjson', `'${join(work, 'crashes.ndjson')}'`);
}

const bash = (script: string, ...options: string[]) =>
  execa('bash', [...options, '-c', script], {
    env: { PATH: `${join(work, 'bin')}:${process.env.PATH}` },
    reject: false,
    timeout: STEP_MS,
  });

/** Lines of dumps, and the end. */
function printedLines() {
  const text = readFileSync(join(work, 'crashes.ndjson'), 'utf8').trimEnd();
  const all = text.split('\n').map((line) => JSON.parse(line) as { schema: string });
  return {
    dumps: all.slice(0, -1).map((line) => triageLineSchema.parse(line)),
    end: triageEndSchema.parse(all.at(-1)),
  };
}

test('README’s command writes one line for each dump: release, panic, top owner', async () => {
  const { stderr, exitCode } = await bash(lines(crash), '-e');
  expect(exitCode, stderr).toBe(0);
  const { dumps, end } = printedLines();
  expect(end).toMatchObject({ dumps: FIXTURES.length + 1, read: FIXTURES.length + 1, failed: 0 });
  const of = (name: string) => dumps.find(({ dump }) => dump === join(crash, name, 'vmcore'));
  for (const name of FIXTURES) {
    const { truth } = fixture(name);
    // Extracts contain socket data.
    expect(of(name)).toMatchObject({ ok: true, release: truth.release, panic: { cause: null } });
  }
  const panicked = of("6.1's panic");
  expect(panicked?.panic?.message).toMatch(/sysrq/i);
  expect(panicked?.release).toBe(labKdump('6.1').truth.release);
  expect(panicked?.findings?.[0]?.code).toBe('panic');
  expect(panicked?.topOwner?.bytes).toBeGreaterThan(0);
});

test('an unreadable dump has a line too, and the exit status reports it', async () => {
  rmSync(join(work, 'crashes.ndjson'));
  expect((await bash(lines(some))).exitCode).toBe(3);
  const { dumps, end } = printedLines();
  expect(end).toMatchObject({ dumps: 2, read: 1, failed: 1 });
  expect(dumps.map(({ ok }) => ok)).toEqual([false, true]);
  expect(dumps[1]?.release).toBe(fixture('6.1').truth.release);
});

test('exit statuses fit xargs and set -e', async () => {
  const each = (which: string) => `printf '%s\\0' '${some}'/${which}/ | xargs -0 -n 1 kdump-mem info --json --vmcore`;
  const sound = await bash(`${each('1*')} | jq -r .kernel.release`, '-e', '-o', 'pipefail');
  expect(sound.exitCode, sound.stderr).toBe(0);
  expect(sound.stdout).toBe(fixture('6.1').truth.release);
  // xargs exits with 123 if a command exited with 1 to 125, and still runs the others.
  const xargsRun = await bash(each('*'));
  expect(xargsRun.exitCode).toBe(123);
  expect(JSON.parse(xargsRun.stdout).kernel.release).toBe(fixture('6.1').truth.release);
  const stops = await bash(`kdump-mem info --vmcore /nowhere; echo reached`, '-e');
  expect(stops.exitCode).toBe(3);
  expect(stops.stdout).toBe('');
});
