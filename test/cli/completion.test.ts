import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ALL_COMMANDS } from '../../src/cli/all-commands.js';
import { registerCompletion } from '../../src/cli/commands/completion.js';
import { suggest } from '../../src/cli/completion/suggest.js';
import { kdumpMemCommand } from '../../src/cli/kdump-mem.js';
import { kdumpMem } from '../support/cli.js';
import { fixture } from '../support/fixtures.js';

const program = kdumpMemCommand(...ALL_COMMANDS, registerCompletion);

test('every command is completed', () => {
  const files = readdirSync(new URL('../../src/cli/commands/', import.meta.url));
  const known = [...program.commands.map((each) => each.name())];
  expect(known.toSorted()).toEqual(
    [...files.map((file) => file.replace('.ts', '')), 'help'].toSorted(),
  );
});

describe('a line', () => {
  const words = (line: string) =>
    suggest(program, line.split(' ')).candidates.map(({ value }) => value);

  test.each([
    ['stru', ['struct']],
    ['help stru', ['struct']],
    ['completion ', ['bash', 'zsh', 'fish']],
    ['memory --sour', ['--source']],
    ['memory --source ', ['kcore', 'pageflags', 'counters']],
    ['memory --source=c', ['--source=counters']],
    ['memory --source = c', ['counters']],
    // Told already; one that is told again for more.
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

test('symbols of the dump that is named', async () => {
  const args = ['read', '--vmcore', fixture('6.1').vmcore, 'init_tas'];
  const { stdout, status } = await kdumpMem('completion', '--of', 'kdump-mem', '--', ...args);
  expect({ stdout, status }).toEqual({ stdout: 'init_task\t\n', status: 0 });
});

test.each([
  [['read', '--vmcore', '/no/such/file', 'init'], ''],
  [['struct', '--vmcore', '/etc/passwd', 'sk'], ''],
])('%j: a dump that cannot be read is no complaint', async (args, expected) => {
  const { stdout, stderr, status } = await kdumpMem(
    'completion',
    '--of',
    'kdump-mem',
    '--',
    ...args,
  );
  expect({ stdout, stderr, status }).toEqual({ stdout: expected, stderr: '', status: 0 });
});

test('another shell is refused', async () => {
  for (const args of [['tcsh'], ['bash', 'zsh'], []]) {
    const { stdout, stderr, status } = await kdumpMem('completion', ...args);
    expect({ stdout, status }).toEqual({ stdout: '', status: 2 });
    expect(stderr).toMatch(/^kdump-mem: [^\n]+\n$/);
  }
});
