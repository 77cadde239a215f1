import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { leakMethodsSchema, leaksSchema } from '../../../src/contracts/leaks.js';
import { commandPath } from '../../support/cli.js';
import { kdumpMem, kdumpMemJson } from '../../support/in-process.js';
import { scratchFolder } from '../../support/scratch.js';

const folder = scratchFolder('kdump-mem-leaks-');

test.each([
  [['--interval', '0'], 'It must be 1 second to 7 days.'],
  [['--interval', '8d'], 'It must be 1 second to 7 days.'],
  [['--windows', '2'], 'It takes 3 to 1000 windows.'],
  [['--sample', '1/3'], 'It takes auto, or 1/N with a power of two: 1/1, 1/8, 1/64.'],
  [['--sample', '0.1'], 'It takes auto, or 1/N with a power of two: 1/1, 1/8, 1/64.'],
  [['--sample', '1/8192'], 'The smallest sample is 1/4096.'],
  [['--cgroup', '/a/../b'], 'It takes a path as in /proc/PID/cgroup: /system.slice/…'],
  [['--cgroup', '/a//b'], 'It takes a path as in /proc/PID/cgroup: /system.slice/…'],
  [['--budget', '2'], 'It takes a share of one core: 0.5%, 2%, 100%.'],
  [['--budget', '0%'], 'It takes a share of one core: 0.5%, 2%, 100%.'],
  [['--budget', '101%'], 'It takes a share of one core: 0.5%, 2%, 100%.'],
  [['--order', '11'], 'It must be at most 10.'],
  [['--order', '3', '--type', 'slab'], '--order needs --type page'],
  [['--cgroup', 'a'], 'It takes a path as in /proc/PID/cgroup: /system.slice/…'],
  [['--pid', '1', '--cgroup', '/a'], "option '--pid <pid>' cannot be used with option '--cgroup"],
  [['--json', '--folded'], '--folded and --json exclude each other'],
  [['--method', 'vmallocinfo'], '--method vmallocinfo does not support --type page'],
  [['--type', 'vmalloc', '--pid', '1'], '--pid needs events, and --type vmalloc has none'],
  [['--method', 'allocinfo', '--sample', '1/8'], '--sample needs an event-based method: --method allocinfo'],
  [['--method', 'allocinfo', '--engine', 'bpftrace'], '--engine needs an event-based method: --method allocinfo'],
  [['--engine', 'bpftrace', '--type', 'slab'], '--engine bpftrace supports pages only'],
  [['--engine', 'bpftrace', '--type', 'vmalloc'], '--engine bpftrace supports pages only'],
  [['--engine', 'bpftrace', '--sample', '1/8'], '--engine bpftrace follows every block'],
  [['--engine', 'bpftrace', '--sample', 'auto'], '--engine bpftrace follows every block'],
  [['--engine', 'bpftrace', '--budget', '2%'], '--engine bpftrace has no --budget'],
  [['--engine', 'bpftrace', '--cgroup', '/a'], '--engine bpftrace does not support --cgroup'],
  [['--methods', '--engine', 'bpftrace'], '--methods cannot be combined with --engine'],
  [['--methods', '--folded'], '--methods cannot be combined with --folded'],
  [['--force'], '--force needs --html, --pprof or --speedscope'],
  [['--pprof', ''], 'a file’s name is empty'],
  [['--pprof', 'x', '--speedscope', 'x'], '--pprof and --speedscope name the same file'],
  [['--pprof', '-', '--speedscope', '-'], '--pprof and --speedscope name the same file'],
  [['--pprof', '-', '--json'], 'the profile goes to stdout: --json has no place there'],
  [['--speedscope', '-', '--folded'], 'the profile goes to stdout: --folded has no place there'],
  [['--pprof', '-', '--force'], '--force needs --html, --pprof or --speedscope'],
])('%j is a usage error, and records nothing', async (args, why) => {
  const { stdout, stderr, status } = await kdumpMem('leaks', ...args);
  expect({ stdout, status }).toEqual({ stdout: '', status: 2 });
  expect(stderr).toContain(why);
});

test('an existing file is not overwritten, and that is reported before recording starts', async () => {
  const file = join(folder, 'there');
  fs.writeFileSync(file, 'mine');
  for (const option of ['--pprof', '--speedscope']) {
    const { stdout, stderr, status } = await kdumpMem('leaks', option, file);
    expect({ stdout, status }).toEqual({ stdout: '', status: 2 });
    expect(stderr).toBe(`kdump-mem: ${file}: already exists (--force replaces it)\n`);
  }
  expect(fs.readFileSync(file, 'utf8')).toBe('mine');
});

test('a missing process is reported', async () => {
  const { stdout, stderr, status } = await kdumpMem('leaks', '--pid', '999999999');
  expect({ stdout, status }).toEqual({ stdout: '', status: 4 });
  expect(stderr).toBe('kdump-mem: no process has pid 999999999\n');
});

test('a missing cgroup is reported, because no process would be followed', async () => {
  const { stdout, stderr, status } = await kdumpMem('leaks', '--cgroup', '/none.slice/x.scope');
  expect({ stdout, status }).toEqual({ stdout: '', status: 3 });
  expect(stderr).toContain('no such cgroup: /none.slice/x.scope');
});

test('--methods lists the methods of this kernel and their costs', async () => {
  const { stdout, stderr, status } = await kdumpMem('leaks', '--methods', '--json');
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  const { default: usable, methods } = leakMethodsSchema.parse(JSON.parse(stdout));
  expect(methods.map(({ method }) => method)).toEqual([
    'page-owner-stacks',
    'page-owner',
    'allocinfo',
    'tracefs',
    'bpftrace',
  ]);
  // bpftrace is never the default.
  const own = methods.filter(({ method }) => method !== 'bpftrace');
  expect(own.find(({ refusal }) => refusal === null)?.method ?? null).toBe(usable);
  const text = await kdumpMem('leaks', '--methods', '--type', 'vmalloc');
  expect(text).toMatchObject({ status: 0, stdout: expect.stringContaining('vmallocinfo') });
});

test('its help has examples and exit statuses', async () => {
  const { stdout, status } = await kdumpMem('leaks', '--help');
  expect(status).toBe(0);
  expect(stdout).toContain('Exit status: 0 answered, 2 wrong usage');
});

const CAPTURED = new URL('../../leaks/readings/captured/', import.meta.url).pathname;
const copies = (name: string) => [1, 2].map((at) => `${CAPTURED}${name}-${at}.txt`);

test('copies of kernel counters are an answer, which reports no leak', async () => {
  const { stdout, stderr, status } = await kdumpMem(
    'leaks',
    '--type',
    'vmalloc',
    '--interval',
    '10m',
    '--json',
    '--from',
    ...copies('vmallocinfo'),
  );
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  const answer = leaksSchema.parse(JSON.parse(stdout));
  expect(answer).toMatchObject({ method: 'vmallocinfo', seconds: 600, windows: 1, complete: false });
  expect(answer.sites.length).toBeGreaterThan(0);
  expect(new Set(answer.sites.map(({ verdict }) => verdict))).toEqual(new Set(['unknown']));
  expect(answer.warnings.map(({ code }) => code)).toContain('too-few-windows');
});

test('the forms of one answer agree', async () => {
  const pprof = join(folder, 'pprof.gz');
  const speedscope = join(folder, 'speedscope.json');
  const options = ['--type', 'page', '--interval', '600', '--from', ...copies('page_owner')];
  const { stdout, stderr, status } = await kdumpMem(
    'leaks',
    '--folded',
    '--pprof',
    pprof,
    '--speedscope',
    speedscope,
    ...options,
  );
  // Warnings are not printed among the stacks.
  expect(stderr).toMatch(/^(kdump-mem: warning: [^\n]+\n){2}$/);
  expect(status).toBe(0);
  const folded = stdout
    .trimEnd()
    .split('\n')
    .map((line) => Number(line.split(' ').at(-1)));
  const { total } = await kdumpMemJson(leaksSchema, 'leaks', ...options);
  const sum = folded.reduce((all, bytes) => all + bytes, 0);
  expect(sum).toBe(total.bytes);
  expect(JSON.parse(fs.readFileSync(speedscope, 'utf8')).profiles[0].endValue).toBe(sum);
  expect(gunzipSync(fs.readFileSync(pprof)).length).toBeGreaterThan(100);
});

test('a profile goes to stdout, alone, and warnings to stderr; - names no file', () => {
  const command = ['leaks', '--interval', '600', '--from', ...copies('page_owner')];
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [commandPath('kdump-mem'), ...command, ...args], { cwd: folder });
  const file = join(folder, 'same');
  for (const option of ['--pprof', '--speedscope']) {
    expect(run(option, file, '--force').status).toBe(0);
    const { stdout, stderr, status } = run(option, '-');
    expect({ status, stdout: stdout.toString('hex') }).toEqual({
      status: 0,
      stdout: fs.readFileSync(file).toString('hex'),
    });
    expect(stderr.toString()).toMatch(/^kdump-mem: warning: Fewer than three windows: growth is unknown/m);
  }
  expect(fs.readdirSync(folder)).not.toContain('-');
});

test('a file of another format is reported, with the accepted formats', async () => {
  const file = join(folder, 'nothing');
  fs.writeFileSync(file, 'hello\n');
  const { stdout, stderr, status } = await kdumpMem('leaks', '--from', file);
  expect({ stdout, status }).toEqual({ stdout: '', status: 3 });
  expect(stderr).toMatch(/^kdump-mem: .*nothing.*\. .+\n$/);
  expect(stderr).not.toContain('--source');
});

test.each([
  [
    '# ========\n# hostname : db7\n# os release : 6.1.9-x\n',
    '<title>Kernel memory that is not freed of db7, Linux 6.1.9-x</title>',
  ],
  ['', '<title>Kernel memory that is not freed, trace.txt (host not recorded)</title>'],
])('the page of a recording names its host, or reports that it is not recorded', async (head, title) => {
  const trace = join(folder, 'trace.txt');
  fs.writeFileSync(
    trace,
    `${head}a 1 [000] 10.000000: kmem:mm_page_alloc: page=0x2 pfn=0x2 order=0 migratetype=0\n\tffffffff81000010 f+0x10 ([kernel.kallsyms])\n\na 1 [000] 90.000000: kmem:mm_page_free: page=0x1 pfn=0x1 order=0\n\n`,
  );
  const { stdout } = await kdumpMem('leaks', '--from', trace, '--html', '-');
  expect(stdout).toContain(title);
});
