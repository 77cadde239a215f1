import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { leakMethodsSchema } from '../../src/report/leaks/methods-schema.js';
import { kdumpMem } from '../support/cli.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'kdump-mem-leaks-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));

test.each([
  [['--interval', '0'], 'It takes 1 second to 7 days.'],
  [['--interval', '8d'], 'It takes 1 second to 7 days.'],
  [['--windows', '2'], 'It takes 3 to 1000: of fewer nothing can be said.'],
  [['--sample', '1/3'], 'It takes auto, or 1/N with a power of two: 1/1, 1/8, 1/64.'],
  [['--sample', '0.1'], 'It takes auto, or 1/N with a power of two: 1/1, 1/8, 1/64.'],
  [['--budget', '2'], 'It takes a share of one core: 0.5%, 2%, 100%.'],
  [['--budget', '0%'], 'It takes a share of one core: 0.5%, 2%, 100%.'],
  [['--budget', '101%'], 'It takes a share of one core: 0.5%, 2%, 100%.'],
  [['--order', '11'], 'It must be 10 at most.'],
  [['--order', '3', '--type', 'slab'], '--order is of pages: it needs --type page'],
  [['--cgroup', 'a'], 'It takes a path as /proc/PID/cgroup has it: /system.slice/…'],
  [['--pid', '1', '--cgroup', '/a'], "option '--pid <pid>' cannot be used with option '--cgroup"],
  [['--json', '--folded'], '--folded and --json are two forms of one answer: give one of them'],
  [['--method', 'vmallocinfo'], '--method vmallocinfo is none for --type page:'],
  [['--type', 'vmalloc', '--pid', '1'], '--pid is of events, and --type vmalloc has none'],
  [
    ['--method', 'allocinfo', '--sample', '1/8'],
    '--sample is of events: --method allocinfo follows',
  ],
  [['--methods', '--folded'], '--methods only lists them: it goes without --folded'],
  [['--force'], '--force belongs to --pprof and --speedscope'],
  [['--pprof', ''], 'a file’s name is empty'],
  [['--pprof', 'x', '--speedscope', 'x'], '--pprof and --speedscope name the same file'],
])('%j is wrong usage, and nothing is recorded', async (args, why) => {
  const { stdout, stderr, status } = await kdumpMem('leaks', ...args);
  expect({ stdout, status }).toEqual({ stdout: '', status: 2 });
  expect(stderr).toContain(why);
});

test('a file that is there is not replaced, and that is said before anything is recorded', async () => {
  const file = join(folder, 'there');
  fs.writeFileSync(file, 'mine');
  for (const option of ['--pprof', '--speedscope']) {
    const { stdout, stderr, status } = await kdumpMem('leaks', option, file);
    expect({ stdout, status }).toEqual({ stdout: '', status: 2 });
    expect(stderr).toBe(`kdump-mem: ${file} exists; --force replaces it\n`);
  }
  expect(fs.readFileSync(file, 'utf8')).toBe('mine');
});

test('a process that is not there is said', async () => {
  const { stdout, stderr, status } = await kdumpMem('leaks', '--pid', '999999999');
  expect({ stdout, status }).toEqual({ stdout: '', status: 4 });
  expect(stderr).toBe('kdump-mem: no process has pid 999999999\n');
});

test('--methods lists what this kernel offers, and what each costs', async () => {
  const { stdout, stderr, status } = await kdumpMem('leaks', '--methods', '--json');
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  const { taken, methods } = leakMethodsSchema.parse(JSON.parse(stdout));
  expect(methods.map(({ method }) => method)).toEqual([
    ...['page-owner-stacks', 'page-owner', 'allocinfo', 'tracefs'],
  ]);
  expect(methods.find(({ refusal }) => refusal === null)?.method ?? null).toBe(taken);
  const text = await kdumpMem('leaks', '--methods', '--type', 'vmalloc');
  expect(text).toMatchObject({ status: 0, stdout: expect.stringContaining('vmallocinfo') });
});

test('its help has examples and exit statuses', async () => {
  const { stdout, status } = await kdumpMem('leaks', '--help');
  expect(status).toBe(0);
  expect(stdout).toContain('Exit status: 0 answered, 2 wrong usage');
});
