import { basename, dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import { registerCompletion } from '../../../src/app/completion/command.js';
import { lineWords } from '../../../src/app/completion/command-line.js';
import { ALL_COMMANDS } from '../../../src/app/completion/generated.js';
import { suggest } from '../../../src/app/completion/suggest.js';
import { kdumpMemCommand } from '../../../src/app/kdump-mem.js';
import { registerMcp } from '../../../src/app/mcp/command.js';
import { kdumpMem } from '../../support/cli.js';
import { COMMAND_NAMES } from '../../support/commands.js';
import { fixture } from '../../support/fixtures.js';

const program = kdumpMemCommand(...ALL_COMMANDS, registerMcp, registerCompletion);

test('completes every command', () => {
  const known = [...program.commands.map((each) => each.name())];
  expect(known.toSorted()).toEqual([...COMMAND_NAMES, 'help'].toSorted());
});

describe('a line', () => {
  const words = (line: string) => suggest(program, line.split(' ')).candidates.map(({ value }) => value);

  test.each([
    ['stru', ['struct']],
    ['help stru', ['struct']],
    ['completion ', ['bash', 'zsh', 'fish']],
    ['memory --sour', ['--source']],
    ['memory --source ', ['kcore', 'pageflags', 'counters']],
    ['memory --source=c', ['--source=counters']],
    ['memory --source = c', ['counters']],
    // An option that was given is not completed again; a repeatable one is.
    ['memory --live --liv', []],
    ['triage --fail-on x --fail', ['--fail-on']],
    ['no-such-command --x', []],
    ['memory --no-such-option=x', []],
  ])('%s', (line, expected) => {
    expect(words(line)).toEqual(expected);
  });

  test.each([
    ['memory ', { files: true }],
    ['memory --html ', { files: true }],
    ['skb --pid ', { files: false, values: { of: 'pid', prefix: '' } }],
    ['skb --pid=', { files: false, values: { of: 'pid', prefix: '--pid=' } }],
    ['struct sk', { files: false, values: { of: 'type', prefix: '' } }],
    ['struct --vmcore x sk_buff ', { files: false, values: { of: 'symbol', prefix: '' } }],
    ['struct sk_buff init_task ', { files: false }],
    ['explain hung', { files: false, values: { of: 'code', prefix: '' } }],
  ])('%s', (line, expected) => {
    expect(suggest(program, line.split(' '))).toEqual({ candidates: [], ...expected });
  });
});

test('completes symbols of the given dump', async () => {
  const args = ['read', '--vmcore', fixture('6.1').vmcore, 'init_tas'];
  const { stdout, status } = await kdumpMem('completion', '--of', 'kdump-mem', '--', ...args);
  expect({ stdout, status }).toEqual({ stdout: 'init_task\t\n', status: 0 });
});

describe('pids', () => {
  const ask = async (...words: readonly string[]) => {
    const { stdout } = await kdumpMem('completion', '--of', 'kdump-mem', ...words);
    return stdout.split('\n').map((line) => line.split('\t')[0]);
  };
  const { vmcore } = fixture('6.1');

  test('are from the dump beside the options', async () => {
    expect(await ask('--', 'skb', vmcore, '--pid', '122')).toEqual(['122', '']);
    expect(await ask('--', 'procs', '--by', 'user', vmcore, '--pid', '122')).toEqual(['122', '']);
  });

  test('are from this machine, and not from the machine of a snapshot', async () => {
    const mine = `${process.pid}`;
    expect(await ask('--', 'procs', '--live', '--pid', mine)).toContain(mine);
    expect(await ask('--', 'procs', '--from', 'x.tar.gz', '--pid', mine)).toEqual(['']);
    expect(await ask('--', 'procs', '--from=x.tar.gz', '--pid', mine)).toEqual(['']);
  });

  test('are from a dump with a quoted name, in the line that bash passes', async () => {
    const [folder = '', name = ''] = [dirname(vmcore), basename(vmcore)];
    for (const quoted of [`'${vmcore}'`, `${folder}/"${name}"`, `${folder}/\\${name}`])
      expect(await ask('--line', `kdump-mem skb --vmcore ${quoted} --pid 122`, '--', 'skb', '--pid', '122')).toEqual([
        '122',
        '',
      ]);
  });
});

test.each([
  ['a  b\tc', ['a', 'b', 'c']],
  ['my\\ dump\\:1 x', ['my dump:1', 'x']],
  [`'a b'"c \\" $d"'' e`, ['a bc " $d', 'e']],
  [`$'a\\'b\\nc' ''`, ["a'b\nc", '']],
  [`open 'a b`, ['open', 'a b']],
  ['a$(touch x)`y` \\', ['a$(touch', 'x)`y`', '']],
  ['', []],
])('splits the words of %j', (line, words) => {
  expect(lineWords(line)).toEqual(words);
});

test.each([
  [['read', '--vmcore', '/no/such/file', 'init'], ''],
  [['struct', '--vmcore', '/etc/passwd', 'sk'], ''],
])('%j: prints no error for an unreadable dump', async (args, expected) => {
  const { stdout, stderr, status } = await kdumpMem('completion', '--of', 'kdump-mem', '--', ...args);
  expect({ stdout, stderr, status }).toEqual({ stdout: expected, stderr: '', status: 0 });
});

test('refuses an unknown shell', async () => {
  for (const args of [['tcsh'], ['bash', 'zsh'], []]) {
    const { stdout, stderr, status } = await kdumpMem('completion', ...args);
    expect({ stdout, status }).toEqual({ stdout: '', status: 2 });
    expect(stderr).toMatch(/^kdump-mem: [^\n]+\n$/);
  }
});
