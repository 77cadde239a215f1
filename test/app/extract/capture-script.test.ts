import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { commandPath } from '../../support/cli.js';
import { scratchFolder } from '../../support/scratch.js';

const SCRIPT = 'deploy/kdump/kdump-mem-vmcore';
const VMCORE = 'fixtures/incident.vmcore';
const folder = scratchFolder('capture-script-');
let made = 0;

/** Runs the script with these programs before those of the system. */
async function run(programs: Readonly<Record<string, string>>, vmcore = VMCORE) {
  const at = join(folder, `${++made}`);
  mkdirSync(join(at, 'bin'), { recursive: true });
  for (const [name, text] of Object.entries(programs))
    writeFileSync(join(at, 'bin', name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  const env = { PATH: `${at}/bin:/usr/bin:/bin` };
  const { exitCode, stdout } = await execa('/bin/sh', [SCRIPT, vmcore, join(at, 'crash'), '1'], {
    env,
    extendEnv: false,
    reject: false,
    all: true,
  });
  return { exitCode, stdout, crash: existsSync(join(at, 'crash')) ? readdirSync(join(at, 'crash')) : [], at };
}

describe('the script for the capture kernel', () => {
  test('writes an extract into a folder of its own', async () => {
    const program = `exec ${process.execPath} ${commandPath('kdump-mem')} "$@"`;
    // The time limit is not of interest here.
    const { exitCode, stdout, crash, at } = await run({ 'kdump-mem': program, timeout: 'shift 3; exec "$@"' });
    expect([exitCode, crash]).toEqual([0, [expect.stringMatching(/^extract-\d{14}$/)]]);
    expect(readdirSync(join(at, 'crash', crash[0] ?? ''))).toEqual(['vmcore']);
    expect(
      readFileSync(join(at, 'crash', crash[0] ?? '', 'vmcore'))
        .subarray(0, 8)
        .toString(),
    ).toBe('KDUMP   ');
    expect(stdout).toContain('vmcore: ');
  });

  test.each([
    ['absent', { timeout: 'shift 3; exec env PATH=/nonexistent "$@"' }, 127],
    ['failing', { 'kdump-mem': 'exit 3' }, 3],
    ['killed', { 'kdump-mem': 'kill -9 $$' }, 137],
    ['hung', { 'kdump-mem': 'exec sleep 100000' }, 124],
  ])('has status 0 and leaves nothing if the program is %s', async (_, programs, status) => {
    const { exitCode, stdout, crash } = await run(programs);
    expect([exitCode, stdout, crash]).toEqual([0, `kdump-mem: no extract: status ${status}`, []]);
  });

  test('leaves the extract of an earlier crash at the same time', async () => {
    const earlier = (date: string) => ({
      date: `mkdir -p $(dirname $0)/../crash/extract-20260101000000; echo x > $(dirname $0)/../crash/extract-20260101000000/vmcore; ${date}`,
      'kdump-mem': 'exit 3',
    });
    const same = await run(earlier('echo 20260101000000'));
    expect(same.exitCode).toBe(0);
    expect(same.stdout).toContain('kdump-mem: no extract: no folder can be made in ');
    // The clock goes on.
    const later = await run(
      earlier('n=$(dirname $0)/n; echo 2026010100000$(cat $n 2> /dev/null || echo 0); echo 1 > $n'),
    );
    expect(later.stdout).toContain('kdump-mem: no extract: status 3');
    for (const { at, crash } of [same, later]) {
      expect(crash).toEqual(['extract-20260101000000']);
      expect(readdirSync(join(at, 'crash', 'extract-20260101000000'))).toEqual(['vmcore']);
    }
  });

  test('does not start it without enough memory, and reports how much is missing', async () => {
    const { exitCode, stdout, crash } = await run({ stat: 'echo 1125899906842624' });
    const [, available, need, missing] =
      /^kdump-mem: no extract: (\d+) MiB of memory are available, (\d+) MiB needed; increase crashkernel= by (\d+) MiB$/.exec(
        stdout,
      ) ?? [];
    expect([exitCode, crash]).toEqual([0, []]);
    expect(Number(need)).toBeGreaterThan(2 ** 20);
    expect(Number(available) + Number(missing)).toBe(Number(need));
  });

  test('without a dump it is a line', async () => {
    const { exitCode, stdout } = await run({}, '/nonexistent');
    expect([exitCode, stdout]).toEqual([0, 'kdump-mem: no extract: /nonexistent does not exist']);
  });
});
