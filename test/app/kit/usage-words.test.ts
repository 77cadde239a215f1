import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { escapeUsage, usageSentences } from '../../../src/app/kit/called-as.js';
import { commandPath } from '../../support/cli.js';

const HOSTILE = '\u001b]0;t\u0007\n\u202ex';
const INERT = '\\x1b]0;t\\x07\\x0a\\u{202e}x';

describe.each([
  ['kdump-mem', [HOSTILE]],
  ['kdump-mem', ['help', HOSTILE]],
  ['kdump-mem', ['info', `--${HOSTILE}`]],
  ['kdump-mem', ['read', HOSTILE]],
  ['kdump-mem', ['read', '0', '--length', HOSTILE]],
  ['kdump-mem', ['info', '--engine', HOSTILE]],
  ['kdump-mem', ['skb', '--pid', HOSTILE]],
  ['skcheck', [HOSTILE]],
  ['skcheck', [`--${HOSTILE}`]],
  ['skcheck', ['--pid', HOSTILE]],
] as const)('%s %j', (name, args) => {
  test('is reported as escaped text', async () => {
    const { exitCode, stderr } = await execa(process.execPath, [commandPath(name), ...args], {
      reject: false,
      stdin: 'ignore',
    });
    expect(exitCode).toBe(2);
    expect(stderr).toContain(INERT);
    expect(stderr).toMatch(new RegExp(`^${name}: [^\\n\\x00-\\x1f\\u202e]+$`));
  });
});

test('a suggestion of commander keeps its own line', () => {
  expect(escapeUsage("error: unknown option '--x\n'\n(Did you mean --y?)\n")).toBe(
    "error: unknown option '--x\\x0a'\n(Did you mean --y?)\n",
  );
});

test('skcheck suggests a similar option', async () => {
  const { stderr } = await execa(process.execPath, [commandPath('skcheck'), '--stal'], {
    reject: false,
    stdin: 'ignore',
  });
  expect(stderr).toBe("skcheck: unknown option '--stal'. Did you mean --stale? Try skcheck --help.");
});

test.each([
  ['--vmcoer', '--vmcore', '. Did you mean --vmcore?'],
  ['--al', 'one of --all, --as', '. Did you mean one of --all, --as?'],
  ['--sort', 'one of --source, --strict', ''],
  ['--list', 'one of --limit, --live', ''],
  ["--a'b", '--from', ''],
  ['sock', 'one of sockets, stacks', '. Did you mean sockets?'],
])('suggests only similar names for %s', (wanted, names, words) => {
  const text = `error: unknown option '${wanted}'\n(Did you mean ${names}?)\n`;
  expect(usageSentences(text)).toBe(`unknown option '${wanted}'${words}`);
});
