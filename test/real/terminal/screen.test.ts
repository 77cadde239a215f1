import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { commandPath } from '../../support/cli.js';
import { until } from '../skcheck/stage.js';

const folder = mkdtempSync(join(tmpdir(), 'screen-'));
const SERVER = ['-S', join(folder, 'tmux'), '-f', '/dev/null'];
const COLUMNS = 80;
const tmux = (...args: string[]) => execFileSync('tmux', [...SERVER, ...args], { encoding: 'utf8' });

afterAll(() => {
  tmux('kill-server');
  rmSync(folder, { recursive: true });
});

/** Contents of a terminal of 80 columns after the command has drawn a line that matches. */
async function screenOf(command: readonly string[], drawn: RegExp): Promise<string[]> {
  const quoted = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  const size = ['-x', String(COLUMNS), '-y', '24'];
  const pane = tmux('new-session', '-d', '-P', '-F', '#{pane_id}', ...size, quoted).trim();
  const shown = () => tmux('capture-pane', '-p', '-t', pane).trimEnd().split('\n');
  await until(() => shown().some((line) => drawn.test(line)));
  return shown();
}

test('a line of full width keeps its last character', async () => {
  const module = new URL('../app/kit/screen.js', `file://${commandPath('kdump-mem')}`).href;
  const full = [`${'first '.padEnd(COLUMNS - 7)}132 KiB`, `${'last '.padEnd(COLUMNS - 7)}102 MiB`];
  const script = `const { WatchScreen } = await import('${module}');
    const frame = (lines) => ({ lines, mostSkipped: 0 });
    const screen = new WatchScreen({ waiting: 'watching', quit: () => process.exit(), frame });
    screen.show(['x'.repeat(${COLUMNS}), 'x', 'x']);
    screen.show(${JSON.stringify(full)});
    setInterval(() => {}, 1000);`;
  const command = [process.execPath, '--input-type=module', '-e', script];
  expect(await screenOf(command, /^last /)).toEqual(full);
});

test.each([
  ['kdump-mem', ['memory', '--live', '--source', 'counters', '--watch'], /^q: quit .*sample \d/],
  ['kdump-mem', ['procs', '--live', '--watch'], /^q: quit .*sample \d/],
  ['skcheck', ['--watch'], /^q: quit .* UTC, every 2 s$/],
] as const)('%s %j draws its table there', async (name, args, drawn) => {
  const lines = await screenOf([process.execPath, commandPath(name), ...args], drawn);
  expect(lines).toHaveLength(24);
  // A figure is followed by its unit, in its line or at the start of the next.
  expect(lines.join('\n')).not.toMatch(/\d (?:[KMGT]i?)(?!\w)/);
});
