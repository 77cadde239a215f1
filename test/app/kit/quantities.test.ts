import type { CommandUnknownOpts, Option } from 'commander';
import { expect, test } from 'vitest';
import { ALL_COMMANDS } from '../../../src/app/completion/generated.js';
import { kdumpMemCommand } from '../../../src/app/kdump-mem.js';
import { registerMcp } from '../../../src/app/mcp/command.js';
import { skcheckCommand } from '../../../src/app/skcheck/options.js';
import { bytesOf, nanosecondsOf } from '../../../src/base/quantity.js';

/** Every option of both programs that takes a value. */
const OPTIONS = [kdumpMemCommand(...ALL_COMMANDS, registerMcp), skcheckCommand()].flatMap(optionsOf);

function optionsOf(command: CommandUnknownOpts): [string, Option][] {
  const own = command.options
    .filter(({ required, optional }) => required || optional)
    .map((option): [string, Option] => [`${command.name()} ${option.flags}`, option]);
  return [...own, ...command.commands.flatMap(optionsOf)];
}

const withPlaceholder = (name: string) => OPTIONS.filter(([, { flags }]) => flags.includes(name));

test('the options exist', () => {
  expect(withPlaceholder('<time>').length).toBeGreaterThanOrEqual(14);
  expect(withPlaceholder('<size>').length).toBeGreaterThanOrEqual(6);
});

test('every option that takes a time or a size uses the same placeholder', () => {
  const loose = OPTIONS.filter(
    ([, { flags, description }]) =>
      !/<(time|size)>/.test(flags) &&
      (/<(seconds|bytes|duration|interval|ms|mib)>/i.test(flags) ||
        /--(interval|timeout|since|until|every|apart|for|[\w-]*(age|size|bytes|memory)) </.test(flags) ||
        /\b(seconds|bytes|as 10m|such as 4G)\b/.test(description)),
  );
  expect(loose.map(([name]) => name)).toEqual([]);
});

test.each(withPlaceholder('<time>'))('%s accepts every form of a time', (_, option) => {
  const parsed = ['60', '60s', '1m', '60000ms', '60.0', '1.0m'].map((text) => parse(option, text));
  expect(new Set(parsed.map((value) => format(value))).size).toBe(1);
  for (const text of ['', 'm', '1x', '1 m', '1m30s', '-', '1e3', '0x10', '٣'])
    expect(() => parse(option, text), text).toThrow();
});

test.each(withPlaceholder('<size>'))('%s accepts every form of a size', (_, option) => {
  const parsed = ['268435456', '256M', '256m', '256MiB', '256MB', '0.25G', '0x10000000', '262144k', '256 MiB'];
  expect(new Set(parsed.map((text) => parse(option, text)))).toEqual(new Set([2 ** 28]));
  for (const text of ['', 'k', '0.5', '0.5B', '1x', '1ki', '-1', '1e3', '1k1', '٣', '99999999T'])
    expect(() => parse(option, text), text).toThrow();
});

function parse({ parseArg }: Option, text: string): unknown {
  if (!parseArg) throw new Error('it takes whatever is written');
  return parseArg(text, undefined as never);
}

function format(value: unknown): string {
  return JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? String(part) : part));
}

test('parses a time exactly to the nanosecond, and a size to the byte', () => {
  expect(nanosecondsOf('0.000000001')).toBe(1n);
  expect(nanosecondsOf('1.5d')).toBe(129_600_000_000_000n);
  expect(nanosecondsOf('0.5ms')).toBe(500_000n);
  expect(bytesOf('4503599627370496')).toBe(2 ** 52);
  expect(bytesOf('4503599627370497')).toBeUndefined();
  expect(bytesOf('0x1b')).toBe(27);
  expect(bytesOf('1.5')).toBeUndefined();
  expect(bytesOf('1.5k')).toBe(1536);
});
