import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { commandPath } from '../../support/cli.js';
import { fixture } from '../../support/fixtures.js';
import { kdumpMem } from '../../support/in-process.js';
import { scratchFolder } from '../../support/scratch.js';

const { vmcore, truth } = fixture('6.1');
const starver = truth.roles.find(({ comm }) => comm === 'starver');
const pid = String(starver?.pid);
const folder = scratchFolder('usage-');

async function refused(status: number, line: string | RegExp, ...args: readonly string[]) {
  const ran = await kdumpMem(...args);
  expect(ran).toMatchObject({ status, stdout: '' });
  expect(ran.stderr).toMatch(/^kdump-mem: [^\n]{1,399}\n$/);
  if (typeof line === 'string') expect(ran.stderr).toBe(`kdump-mem: ${line}\n`);
  else expect(ran.stderr).toMatch(line);
  return ran.stderr;
}

/** Runs a printed command line in a shell, with this build of kdump-mem. */
async function runPrinted(line: string, cwd: string) {
  const script = `kdump-mem() { "$NODE" "$CLI" "$@"; }; ${line}`;
  const env = { NODE: process.execPath, CLI: commandPath('kdump-mem') };
  return execa('bash', ['-c', script], { cwd, env, reject: false, stdin: 'ignore' });
}

describe('a command without a source', () => {
  test.each(['memory', 'procs', 'blocked'])('%s reads this machine', async (command) => {
    const { status, stdout } = await kdumpMem(command, '--json');
    expect([status, JSON.parse(stdout).schema]).toEqual([0, `kdump-mem.${command}/1`]);
    expect((await kdumpMem(command, '--help')).stdout).toContain('read this machine (default without a dump)');
  });

  test.each([
    ['--vmlinux', 'vmlinux'],
    ['--crash', 'crash'],
    ['--engine', 'crash'],
  ])('is refused with %s, which is of a dump', async (...options) => {
    await refused(2, /use either --vmcore FILE or --live/, 'memory', ...options);
  });
});

describe('a dump without --vmcore', () => {
  test.each([
    ['info', ['--json']],
    ['sockets', ['--json', '--limit', '1']],
    ['skb', ['--pid', pid, '--json']],
  ])('is read by %s as with --vmcore', async (command, options) => {
    const [plain, named] = await Promise.all([
      kdumpMem(command, ...options, vmcore),
      kdumpMem(command, ...options, '--vmcore', vmcore),
    ]);
    expect(plain.status).toBe(0);
    expect(plain).toEqual(named);
    expect(await kdumpMem(command, vmcore, ...options)).toEqual(named);
  });

  test('is read by extract', async () => {
    const output = join(folder, 'small.vmcore');
    expect((await kdumpMem('extract', vmcore, '-o', output, '--pid', pid)).status).toBe(0);
    expect((await kdumpMem('info', output)).status).toBe(0);
  });

  test('may be a folder', async () => {
    const crash = join(folder, 'crash');
    mkdirSync(crash);
    copyFileSync(vmcore, join(crash, 'vmcore'));
    expect((await kdumpMem('info', crash)).stdout).toContain(truth.release);
  });

  test('is reported by name if it is not a dump', async () => {
    const line = 'skb accepts only options and a dump: nowhere: not found';
    await refused(2, line, 'skb', '--pid', pid, 'nowhere');
    await refused(2, /--live and .* cannot be combined/, 'skb', '--pid', pid, '--live', vmcore);
  });

  test.each([
    ['read', ['linux_banner', '--length', '16']],
    ['struct', ['list_head']],
    ['struct', ['list_head', 'init_task']],
  ])('is reported to %s, with a command to copy', async (command, own) => {
    const odd = join(folder, "init_task 'x'");
    copyFileSync(vmcore, odd);
    for (const args of [
      [...own, odd],
      [odd, ...own],
    ]) {
      const said = await refused(2, / needs --vmcore before the dump .*\. Run: /, command, ...args);
      const ran = await runPrinted(said.split('Run: ')[1] ?? 'false', folder);
      const right = await kdumpMem(command, ...own, '--vmcore', vmcore);
      expect(right.status).toBe(0);
      expect(`${ran.stdout}\n`).toBe(right.stdout);
    }
  });

  test('before a command, or with an option there, is reported with the correct command', async () => {
    const said = await refused(2, /^kdump-mem: missing command before /, vmcore);
    expect(said).toContain(`Run: kdump-mem info ${vmcore} (`);
    await refused(2, /Run: kdump-mem info --vmcore x \(/, '--vmcore', 'x');
  });

  test('in addition to the arguments of a command is refused', () =>
    refused(2, 'unexpected argument more (read accepts PLACE)', 'read', 'init', 'more', '--vmcore', vmcore));
});

test.each(['triage', 'memory'])('%s requires a file name for the page', async (command) => {
  const line = '--html: the file name is empty';
  await refused(2, line, command, vmcore, '--html', '');
});

describe('each error is one line', () => {
  test.each([
    [/argument 'abc' is invalid\. It must be a whole number\.$/m, ['--pid', 'abc']],
    [/argument '0x10' is invalid\. It must be a whole number, in decimal: 16\.$/m, ['--pid', '0x10']],
    [/argument '-1' is invalid\. It must be a whole number\.$/m, ['--pid', '1', '--fd', '-1']],
    [/argument '--vmcore' is invalid\. Its value is missing/, ['--pid', '--vmcore', 'x']],
    [/argument '--pid' is invalid\. The file name is missing/, ['--vmcore', '--pid', '4']],
    [/option '--pid <pid>' argument missing$/m, ['--pid']],
    [/unknown option '--vmcoer'\. Did you mean --vmcore\?$/m, ['--vmcoer', 'x']],
    [/It must be hex with 0x, as kdump-mem sockets prints it: 0x/, ['--sock', '1234']],
    [/It must be hex with 0x/, ['--sock', 'tcp']],
  ])('%s', async (line, args) => {
    await refused(2, line, 'skb', ...args);
  });

  test.each([
    ["unknown command 'nope'", ['help', 'nope']],
    ["unknown command 'skbs'. Did you mean skb?", ['skbs']],
    ["unknown command 'skbs'. Did you mean skb?", ['help', 'skbs']],
    ["unknown option '--vmcore'. Options: kdump-mem leaks --help", ['leaks', '--vmcore', 'x']],
    ["too many arguments for 'leaks'. Expected 0 arguments but got 1. Options: kdump-mem leaks --help", ['leaks', 'x']],
  ])('%s', async (line, args) => {
    await refused(2, line, ...args);
  });
});

test('an address may be written as crash prints it', async () => {
  const bare = ['skb', '--sock', 'ffff000000000000', '--vmcore', vmcore];
  expect((await kdumpMem(...bare)).stderr).toContain('0xffff000000000');
});

describe('an unknown name is reported with similar names', () => {
  test.each([
    ['the kernel has no symbol linux_baner; did you mean linux_banner', ['read', 'linux_baner']],
    ['the kernel has no type sk_buf; did you mean sk_buff', ['struct', 'sk_buf']],
    ['the kernel has no type struct sk_buf; did you mean sk_buff', ['struct', 'struct sk_buf']],
    ['struct sk_buff has no member trusize; did you mean truesize', ['struct', 'sk_buff.trusize']],
    ['struct sk_buff has no member zzzzzzz\n', ['struct', 'sk_buff.zzzzzzz']],
    ['struct list_head has no member zzz; it has next, prev', ['struct', 'list_head.zzz']],
  ])('%s', async (words, args) => {
    expect(await refused(4, /has no/, ...args, '--vmcore', vmcore)).toContain(words);
  });

  test('a descriptor: the sockets of the process', async () => {
    const said = `; its sockets: fd ${starver?.fd}`;
    const closed = ['--pid', pid, '--fd', '99', '--vmcore', vmcore];
    await refused(4, `fd 99 of pid ${pid} is not open${said}`, 'skb', ...closed);
    const other = ['--pid', pid, '--fd', '0', '--vmcore', vmcore];
    await refused(4, `fd 0 of pid ${pid} is open but is not a socket${said}`, 'skb', ...other);
  });
});

describe('a folder', () => {
  test('without a dump reports the names that it searched for', async () => {
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    writeFileSync(join(empty, 'core'), '');
    await refused(
      3,
      /^kdump-mem: \S*empty: no dump found \(no vmcore, vmcore\.\*, \*\.vmcore or dump\.YYYYMMDDHHMM there/,
      'info',
      empty,
    );
  });

  test('with several dumps names one as it must be written', async () => {
    const several = join(folder, 'two of them');
    mkdirSync(several);
    for (const name of ['a.vmcore', 'b.vmcore']) writeFileSync(join(several, name), '');
    const said = await refused(3, /several dumps found \(/, 'info', several);
    expect(said).toContain(`. Name one: --vmcore '${several}/a.vmcore'\n`);
  });
});

describe('parts of a memory answer', () => {
  test.each([
    ['--caches', '--vmalloc'],
    ['--vmalloc', '--nodes'],
    ['--prometheus', '--nodes'],
  ])('%s together with %s is refused', async (one, other) => {
    const words = new RegExp(`option '${one}' cannot be used with option '${other}'`);
    await refused(2, words, 'memory', one, other, vmcore);
  });
});

describe('procs ignores no argument', () => {
  test.each([
    [['--vmcore', vmcore], '--live and --vmcore exclude each other'],
    [['--vmlinux', 'x'], '--live does not support --vmlinux, because it reads /proc'],
    [['--map', 'x'], '--live does not support --map, because it reads /proc'],
    [['--container', ''], '--container: the id is empty'],
    [['--prometheus', ''], 'a file’s name is empty'],
    [['--pid', '1', '--stacks', '1', '--speedscope', ''], 'a file’s name is empty'],
    [['--pid', '1', '--sort', 'swap'], "option '--pid <pid>' cannot be used with option '--sort <column>'"],
  ])('%j with --live', async (args, line) => {
    await refused(2, line, 'procs', '--live', ...args);
  });

  test('its help fits 80 columns', async () => {
    const { stdout } = await kdumpMem('procs', '--help');
    expect(stdout.split('\n').filter((text) => [...text].length > 80)).toEqual([]);
    expect(stdout).toContain('kdump-mem procs --from-samples FILE');
  });
});
