import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, test } from 'vitest';
import { triageSchema, triageWatchEndSchema } from '../../../../src/contracts/triage.js';
import { commandPath, kdumpMem } from '../../../support/cli.js';
import { McpClient } from '../../../support/mcp.js';

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0))
    if (child.stdin) child.stdin.end();
    else child.kill('SIGKILL');
});

/** A process that reaps its 15 exited children only on request. */
const ZOMBIES = `
import os, sys
for _ in range(15):
    child = os.fork()
    if child == 0: os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(15): os.wait()
`;

async function zombies(): Promise<ChildProcess> {
  const child = spawn('python3', ['-c', ZOMBIES], { stdio: ['pipe', 'pipe', 'inherit'] });
  started.push(child);
  await once(child.stdout, 'data');
  return child;
}

function watching(...args: readonly string[]) {
  const child = spawn(process.execPath, [commandPath('kdump-mem'), 'triage', '--watch', '--interval', '0.5', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  started.push(child);
  return { child, exit: once(child, 'exit'), lines: createInterface(child.stdout) };
}

describe('triage of this machine', () => {
  test('waits until a finding of --fail-on begins: status 1', async () => {
    const { child, exit, lines } = watching('--fail-on', 'zombies');
    const seen: string[] = [];
    let parent: ChildProcess | undefined;
    for await (const line of lines) {
      seen.push(line);
      if (line !== '' || parent) continue;
      // No check is amid their exits.
      child.kill('SIGSTOP');
      parent = await zombies();
      child.kill('SIGCONT');
    }
    expect(await exit).toEqual([1, null]);
    expect(seen[0]).toMatch(/^sample 1, \S+Z$/);
    expect(seen.at(-3)).toMatch(/^sample \d+, \S+Z$/);
    expect(seen.at(-2)).toBe(
      `new       NOTE      Zombies: 15 exited children of pid ${parent?.pid} (python3) are not reaped. [zombies]`,
    );
  });

  test('reports a finding that is gone, and prints nothing without a change', async () => {
    const parent = await zombies();
    const { child, exit, lines } = watching();
    const seen: string[] = [];
    for await (const line of lines) {
      if (!line.includes(` of pid ${parent.pid} `)) continue;
      seen.push(line.split(' ')[0]!);
      if (seen.length === 1) parent.stdin?.end();
      // Only once: a second interrupt ends it at once.
      if (seen.length === 2) child.kill('SIGINT');
    }
    expect(seen).toEqual(['new', 'gone']);
    expect(await exit).toEqual([0, null]);
  });

  test('--json prints a line for each check, and a last line', async () => {
    const { stdout, status } = await kdumpMem('triage', '--watch', '--interval', '0.5', '--count', '2', '--json');
    const [first, second, end, ...others] = stdout.trimEnd().split('\n');
    expect({ status, others }).toEqual({ status: 0, others: [] });
    for (const line of [first, second]) expect(triageSchema.parse(JSON.parse(line ?? '')).captured).toBeNull();
    expect(triageWatchEndSchema.parse(JSON.parse(end ?? ''))).toEqual({
      schema: 'kdump-mem.triage-watch-end/1',
      samples: 2,
      interrupted: false,
    });
  });

  test('with few descriptors the other checks run, and --strict exits with 5', async () => {
    const command = `ulimit -n 26; exec "$@"`;
    const args = [commandPath('kdump-mem'), 'triage', '--json', '--strict'];
    const child = spawn('bash', ['-c', command, 'bash', process.execPath, ...args]);
    const exit = once(child, 'exit');
    const pieces: Buffer[] = [];
    for await (const piece of child.stdout) pieces.push(piece as Buffer);
    const { unread, checked, complete, warnings } = triageSchema.parse(JSON.parse(Buffer.concat(pieces).toString()));
    expect(complete).toBe(false);
    expect(warnings).toContainEqual({
      code: 'unreadable',
      message: expect.stringContaining('ss cannot be started: too many open files (EMFILE)'),
    });
    expect(unread.map(({ why }) => why)).toContain('ss cannot be started: too many open files (EMFILE)');
    expect(checked).toContain('cgroups');
    expect(await exit).toEqual([5, null]);
  });

  test.skipIf(process.geteuid?.() !== 0)('another user has no all-clear, also by mcp (needs root)', async () => {
    const [home, node] = [mkdtempSync(join(tmpdir(), 'user-')), process.execPath];
    chmodSync(home, 0o755);
    const program = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', node] as const;
    try {
      const cli = join(home, 'dist', 'bin', 'kdump-mem.js');
      cpSync(dirname(dirname(commandPath('kdump-mem'))), join(home, 'dist'), { recursive: true });
      const { stdout } = spawnSync(program[0], [...program.slice(1), cli, 'triage', '--json'], { encoding: 'utf8' });
      const { complete, unread, checked, warnings } = triageSchema.parse(JSON.parse(stdout));
      const lacking = [...new Set(unread.map(({ check }) => check))];
      expect(lacking).toEqual(expect.arrayContaining(['sockets', 'inotify']));
      expect(complete).toBe(false);
      for (const { why } of unread) expect(warnings.some(({ message }) => message.includes(why))).toBe(true);
      for (const check of lacking) expect(checked).not.toContain(check);
      await using client = await McpClient.connectTo([...program, cli], '--live');
      const { text, structured } = await client.call('triage', { source: 'live' });
      expect(structured).toMatchObject({ answer: { complete: false } });
      expect(text).toContain('Not checked:');
    } finally {
      rmSync(home, { recursive: true });
    }
  });

  test.each([
    [['triage', '--interval', '3s'], '--interval requires --watch'],
    [['triage', '--count', '3'], '--count requires --watch'],
    [['triage', '--watch', '--count', '0'], '--count must be at least 1'],
    [['triage', '--watch', process.execPath], '--watch checks this machine'],
    [['triage', '--watch', '--from', 'x.tar.gz'], '--watch checks this machine'],
    [['triage', '--watch', '--html', 'x.html'], "option '--watch' cannot be used with option"],
  ])('%j is refused', async (args, why) => {
    const { stdout, stderr, status } = await kdumpMem(...args);
    expect({ stdout, status }).toEqual({ stdout: '', status: 2 });
    expect(stderr).toContain(why);
  });
});
