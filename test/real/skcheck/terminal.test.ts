import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CLI, Stage, skcheck, until } from './stage.js';

// In real terminals: tmux shows what a user would see.

const stage = new Stage();
const dir = mkdtempSync(join(tmpdir(), 'skcheck-'));
const tmux = (...args: string[]) => {
  const run = spawnSync('tmux', ['-S', join(dir, 'tmux'), ...args], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`tmux ${args.join(' ')}: ${run.stderr}`);
  return run.stdout;
};
const COUNT = 12;
let pid: number;
let port: number;
beforeAll(async () => {
  const server = await stage.start('server', { reads: 'never', comm: 'never-reads' });
  ({ pid, port } = server);
  for (let count = 0; count < COUNT; count++) await stage.start('client', { port, bytes: 1000 + count, hangs: true });
});
afterAll(() => {
  spawnSync('tmux', ['-S', join(dir, 'tmux'), 'kill-server']);
  stage.end();
  rmSync(dir, { recursive: true });
});

let count = 0;

/**
 * A terminal of a given size, whose shell runs skcheck and then prints its status and the terminal
 * settings.
 */
class Terminal {
  readonly name = `t${count++}`;

  constructor(columns: number, rows: number, args: string, redirect = '') {
    const program = `${process.execPath} ${CLI} ${args} ${redirect}; s=$?; stty -a; echo "status $s"; exec cat`;
    const size = ['-x', `${columns}`, '-y', `${rows}`];
    tmux('-f', '/dev/null', 'new-session', '-d', '-s', this.name, ...size, `sh -c '${program}'`);
    tmux('set-option', '-t', this.name, 'status', 'off');
    tmux('resize-window', '-t', this.name, ...size);
  }

  lines(): string[] {
    return tmux('capture-pane', '-p', '-t', this.name).replace(/\n$/, '').split('\n');
  }

  press(...keys: string[]): void {
    tmux('send-keys', '-t', this.name, ...keys);
  }

  async shows(what: RegExp): Promise<string[]> {
    await until(() => what.test(this.lines().join('\n')));
    return this.lines();
  }

  /** The process of skcheck: the shell's child. */
  child(): number {
    const shell = tmux('display-message', '-p', '-t', this.name, '#{pane_pid}').trim();
    return Number(spawnSync('pgrep', ['-P', shell, 'node'], { encoding: 'utf8' }).stdout);
  }
}

const isRow = (line: string) => line.trimStart().startsWith(`${pid} `);

const ours = () => `--pid ${pid}`;

describe('the answer', () => {
  test.each([80, 160])('with -v has one unbroken line per socket in %d columns', async (columns) => {
    const terminal = new Terminal(columns, 90, `-v --interval 1 ${ours()}`);
    const lines = await terminal.shows(/status 1/);
    const rows = lines.filter(isRow);
    expect(rows.length).toBe(COUNT);
    for (const row of rows) expect(row).toMatch(/stalled.* B +\d[\d.]*[a-z] +[\d.]+ KiB/);
    expect(lines.join(' ').includes('PINNED: kernel')).toBe(true);
    // 80 columns have room for these if pids and ports are short.
    if (columns === 160) expect(lines.join('\n')).toMatch(/PINNED +BOUNDS$/m);
  });

  test('is not truncated in a pipe', () => {
    const { stdout } = skcheck(['-v', '--interval', '1', '--pid', `${pid}`], [], { COLUMNS: '40' });
    expect(stdout).not.toContain('…');
    expect(stdout.split('\n').filter((line) => /\d ← /.test(line)).length).toBe(COUNT);
  });

  test('has one line for sockets that are alike, with their number and sums', () => {
    const { stdout } = skcheck(['--interval', '1', '--pid', `${pid}`]);
    const rows = stdout.split('\n').filter(isRow);
    expect(rows).toEqual([expect.stringMatching(/ × 12 .* 11\.8 KiB /)]);
  });

  test('explains verdicts with -v, and for a single socket', () => {
    const args = ['--interval', '1', '--pid', `${pid}`];
    expect(skcheck(args).stdout).not.toContain('read nothing');
    expect(skcheck([...args, '-v']).stdout.split('read nothing').length).toBe(COUNT + 1);
    expect(skcheck([...args, '--top', '1']).stdout).toContain('read nothing');
  });
});

describe('--watch', () => {
  test.each([
    [80, 14],
    [160, 12],
    [60, 10],
  ])('in %d columns and %d rows keeps its headline and its keys', async (columns, rows) => {
    const terminal = new Terminal(columns, rows, `--watch -v --interval 1 ${ours()}`);
    const lines = await terminal.shows(/q: quit/);
    expect(lines[0]).toMatch(/^12 (?:sockets of pid|of \d+ sockets) /);
    expect(lines.at(-1)).toContain('q: quit  s: sort (worst)');
    // Scan after scan.
    const before = lines.at(-1);
    await until(() => columns < 80 || terminal.lines().at(-1) !== before);
    expect(terminal.lines()[0]).toMatch(/^12 (?:sockets of pid|of \d+ sockets) /);
    terminal.press('q');
    await terminal.shows(/status 1/);
  });

  test('scrolls and sorts by keys', async () => {
    const terminal = new Terminal(80, 12, `--watch -v --interval 1 ${ours()}`);
    await terminal.shows(/ 1-\d+ of 12/);
    terminal.press('Down');
    await terminal.shows(/ 2-\d+ of 12/);
    terminal.press('End');
    await terminal.shows(/ \d+-12 of 12/);
    terminal.press('Up');
    await terminal.shows(/ \d+-11 of 12/);
    terminal.press('s', 's');
    const lines = await terminal.shows(/sort \(unread\)[\s\S]* 1-\d+ of 12/);
    expect(lines.find(isRow)).toContain(' 1011 B ');
    terminal.press('C-c');
    await terminal.shows(/status 1/);
  });

  test.each([
    ['q', (terminal: Terminal) => terminal.press('q'), 1],
    ['SIGINT', (terminal: Terminal) => process.kill(terminal.child(), 'SIGINT'), 1],
    ['SIGTERM', (terminal: Terminal) => process.kill(terminal.child(), 'SIGTERM'), 1],
    // The requested process is gone then, which is an error.
    ['an error', () => process.kill(doomed, 'SIGKILL'), 3],
  ])('%s restores the terminal settings', async (how, end, status) => {
    const target = how === 'an error' ? await startDoomed() : pid;
    const terminal = new Terminal(120, 30, `--watch --interval 1 --pid ${target}`);
    await terminal.shows(/q: quit[\s\S]*UTC/);
    end(terminal);
    const text = (await terminal.shows(/status \d/)).join('\n');
    expect(text).toContain(`status ${status}`);
    expect(text).toMatch(/ icanon/);
    expect(text).toMatch(/ echo /);
    expect(tmux('display-message', '-p', '-t', terminal.name, '#{cursor_flag} #{wrap_flag}')).toBe('1 1\n');
  });

  test('reads no keys if stdin is not a terminal', async () => {
    const terminal = new Terminal(80, 12, `--watch --interval 1 ${ours()}`, '< /dev/null');
    const lines = await terminal.shows(/Ctrl-C: quit/);
    expect(lines.join('\n')).not.toContain('q: quit');
    terminal.press('C-c');
  });
});

let doomed: number;

async function startDoomed(): Promise<number> {
  doomed = (await stage.start('server', { reads: 'healthy' })).pid;
  return doomed;
}
