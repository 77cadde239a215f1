import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, expect, test } from 'vitest';
import { memoryEndSchema, memorySchema } from '../../../src/contracts/memory.js';
import { commandPath, kdumpMem } from '../../support/cli.js';

const COUNTERS = ['memory', '--live', '--source', 'counters'];

const linesOf = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { schema: string });

test('--watch --json prints a line for each sample, and a last line', async () => {
  const { stdout, status } = await kdumpMem(...COUNTERS, '--watch', '--interval', '0.5', '--count', '2', '--json');
  expect(status).toBe(0);
  const [first, second, end, ...others] = linesOf(stdout);
  expect(others).toEqual([]);
  expect(memorySchema.parse(first).sample?.changes[0]).toEqual({
    category: 'memory',
    sinceFirstBytes: null,
    sinceLastBytes: null,
  });
  const seen = memorySchema.parse(second);
  expect(seen.sample?.number).toBe(2);
  // The size of the machine did not change.
  expect(seen.sample?.changes[0]).toEqual({ category: 'memory', sinceFirstBytes: 0, sinceLastBytes: 0 });
  expect(memoryEndSchema.parse(end)).toMatchObject({ samples: 2, interrupted: false });
});

test('in a pipe prints a block for each sample', async () => {
  const { stdout } = await kdumpMem(...COUNTERS, '--watch', '--interval', '0.5', '--count', '2');
  expect(stdout.match(/^sample \d, \S+Z$/gm)).toHaveLength(2);
  expect(stdout.match(/^CATEGORY +BYTES +SINCE LAST +SINCE FIRST +SHARE/gm)).toHaveLength(2);
});

describe.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s', (signal) => {
  test('ends it with a complete last line', async () => {
    const args = [...COUNTERS, '--watch', '--interval', '3600', '--json'];
    const child = spawn(process.execPath, [commandPath('kdump-mem'), ...args]);
    const exit = once(child, 'exit');
    const lines: string[] = [];
    for await (const line of createInterface(child.stdout)) {
      lines.push(line);
      if (lines.length === 1) child.kill(signal);
    }
    expect(await exit).toEqual([0, null]);
    expect(memoryEndSchema.parse(JSON.parse(lines.at(-1) ?? ''))).toMatchObject({ samples: 1, interrupted: true });
  });
});

test('a reader that closes the pipe ends it without an error message', () => {
  const command = `${process.execPath} ${commandPath('kdump-mem')} ${COUNTERS.join(' ')} --watch --interval 0.5`;
  const { stdout, stderr } = spawnSync(
    'bash',
    ['-c', `${command} --json | head -n 1 | cut -c 1-30; echo "\${PIPESTATUS[0]}"`],
    { encoding: 'utf8' },
  );
  expect(stderr).toBe('');
  expect(stdout).toBe('{"schema":"kdump-mem.memory/1"\n141\n');
});

test.each([
  [['--interval', '2'], '--interval requires --watch'],
  [['--count', '2'], '--count requires --watch'],
  [['--watch', '--count', '0'], '--count must be at least 1'],
  [['--watch', '--caches'], "option '--watch' cannot be used with option '--caches'"],
  [['--watch', '--interval', '0'], 'It must be 0.5 to 3600 seconds'],
])('%j is refused', async (args, message) => {
  const { status, stderr, stdout } = await kdumpMem(...COUNTERS, ...args);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toContain(message);
});

test('refuses to watch a dump', async () => {
  const { status, stderr } = await kdumpMem('memory', '--watch', '--vmcore', '/dev/null');
  expect(status).toBe(2);
  expect(stderr).toBe('kdump-mem: --watch requires --live: a dump does not change\n');
});
