import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asCalled } from '../../../src/app/kit/called-as.js';
import { commandPath } from '../../support/cli.js';

let root = '';
beforeAll(() => {
  root = realpathSync(mkdtempSync(path.join(tmpdir(), 'called-')));
  for (const folder of ['bin', 'my tools', '\u001b[31m', 'elsewhere/deep/down/there'])
    mkdirSync(path.join(root, folder), { recursive: true });
  for (const folder of ['bin', 'my tools', '\u001b[31m'])
    symlinkSync(commandPath('kdump-mem'), path.join(root, folder, 'kdump-mem'));
  symlinkSync(commandPath('skcheck'), path.join(root, 'bin', 'skcheck'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** The last line of `explain`, called as `typed` in a folder. */
async function nextOf(typed: string, folder: string, PATH = process.env.PATH): Promise<string> {
  const cwd = path.join(root, folder);
  const file = typed.includes('/') ? path.resolve(cwd, typed) : typed;
  const { stdout } = await execa(file, ['explain'], { cwd, env: { PATH } });
  return stdout.split('\n').at(-1) ?? '';
}

describe('the next command is printed as this command was called', () => {
  test.each([
    ['./kdump-mem', 'bin', './kdump-mem'],
    ['bin/kdump-mem', '.', './bin/kdump-mem'],
    ['../bin/kdump-mem', 'my tools', '../bin/kdump-mem'],
    ['./kdump-mem', 'my tools', './kdump-mem'],
    ['my tools/kdump-mem', '.', "'./my tools/kdump-mem'"],
    ['\u001b[31m/kdump-mem', '.', "$'./\\033[31m/kdump-mem'"],
  ])('%j in %j', async (typed, folder, printed) => {
    expect(await nextOf(typed, folder)).toBe(`Next: ${printed} explain CODE`);
  });

  test('by an absolute path if that is shorter', async () => {
    const file = path.join(root, 'bin/kdump-mem');
    const next = await nextOf(file, 'elsewhere/deep/down/there');
    const near = '../../../../bin/kdump-mem';
    expect(next).toBe(`Next: ${near.length < file.length ? near : file} explain CODE`);
  });

  test('by name if PATH finds it', async () => {
    const found = `${path.join(root, 'bin')}:${process.env.PATH}`;
    expect(await nextOf('kdump-mem', 'bin', found)).toBe('Next: kdump-mem explain CODE');
  });

  test('by name if node was started with another file', async () => {
    const { stdout } = await execa(process.execPath, [commandPath('kdump-mem'), 'explain']);
    expect(stdout).toMatch(/\nNext: kdump-mem explain CODE$/);
  });

  test('in an error and in an explanation', async () => {
    const run = (...args: string[]) =>
      execa(path.join(root, 'bin/kdump-mem'), args, { cwd: path.join(root, 'bin'), reject: false });
    expect((await run('explain', 'nothing-like-it')).stderr).toBe(
      'kdump-mem: unknown code nothing-like-it. List all codes: ./kdump-mem explain',
    );
    expect((await run('explain', 'hung-task')).stdout).toContain('\n  Next      ./kdump-mem blocked -v');
    expect((await run('explain', 'hung-task', '--json')).stdout).not.toContain('./kdump-mem');
  });

  test('in a comparison, but not the command for another machine', async () => {
    const cwd = path.join(root, 'bin');
    for (const [name, free, anon] of [
      ['good', 7, 1],
      ['bad', 2, 6],
    ] as const) {
      mkdirSync(path.join(cwd, name, 'proc'), { recursive: true });
      const amounts = { MemTotal: 8, MemFree: free, MemAvailable: free, Cached: 0, SwapTotal: 0, SwapFree: 0 };
      const all = { ...amounts, Buffers: 0, AnonPages: anon, Shmem: 0, Slab: 0, SReclaimable: 0, SUnreclaim: 0 };
      const lines = Object.entries({ ...all, KernelStack: 0, PageTables: 0, VmallocUsed: 0, Percpu: 0 });
      const text = lines.map(([key, value]) => `${key}: ${value * 1_000_000} kB\n`).join('');
      writeFileSync(path.join(cwd, name, 'proc/meminfo'), text);
    }
    const { stdout } = await execa(path.join(cwd, 'kdump-mem'), ['diff', 'good', 'bad'], { cwd });
    expect(stdout.split('\n').slice(-2)).toEqual([
      'Next: ./kdump-mem triage --from bad',
      'On that machine: kdump-mem triage --live',
    ]);
  });

  test('skcheck beside it, but not text that only names a program', async () => {
    const { argv } = process;
    process.argv = [process.execPath, path.join(root, 'bin/kdump-mem')];
    try {
      const bin = path.relative('', path.join(root, 'bin'));
      const printed = (name: string) => {
        const absolute = path.join(root, 'bin', name);
        const near = path.join(bin, name);
        return near.length < absolute.length ? near : absolute;
      };
      expect(asCalled('Next: skcheck --stale')).toBe(`Next: ${printed('skcheck')} --stale`);
      const said =
        'kdump-mem: skcheck --exact counts it\n[ 1.0] Audit: skcheck -x\n(skcheck) x\nOn that machine: kdump-mem triage\nFirst, on that machine: kdump-mem procs';
      expect(asCalled(said)).toBe(said);
    } finally {
      process.argv = argv;
    }
  });
});
