import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Actor, Stage, skcheck, skcheckJson, together } from './stage.js';

/** One second between samples is enough for these tests. */
const SOON = ['--interval', '1'];

const HOSTILE = '\u001b[31mx\n,"\u009by\\';
const stage = new Stage();
afterAll(() => stage.end());

let server: Actor;
let child: number;
beforeAll(async () => {
  server = await stage.start('server', { reads: 'never', share: true, comm: HOSTILE });
  await stage.start('client', { port: server.port, bytes: 5000 });
  child = await server.child;
});

test('a socket that a fork holds twice is one socket, with both processes and all descriptors', () => {
  const { report } = skcheckJson([...SOON, '--stale', '--pid', `${server.pid}`]);
  expect(report.sockets.length).toBe(1);
  const [socket] = report.sockets;
  const holders = socket?.holders.map(({ pid, fds }) => ({ pid, fds: fds.length }));
  expect(holders).toEqual(
    [
      { pid: server.pid, fds: 1 },
      { pid: child, fds: 2 },
    ].sort((a, b) => a.pid - b.pid),
  );
  expect(socket?.holders.find(({ pid }) => pid === child)).toMatchObject({ comm: 'sleep', fds: [3, 4] });
});

test('--pid of the fork finds the same socket', async () => {
  const [of, by] = await together(...[server.pid, child].map((pid) => [...SOON, '--stale', '--pid', `${pid}`]));
  expect(by?.report.sockets.map(({ inode }) => inode)).toEqual(of?.report.sockets.map(({ inode }) => inode));
});

test('a hostile name is unchanged in JSON and escaped in both outputs', () => {
  const { report, stdout: json } = skcheckJson([...SOON, '--stale', '--pid', `${server.pid}`]);
  const comm = report.sockets[0]?.holders.find(({ pid }) => pid === server.pid)?.comm;
  expect(comm).toBe(HOSTILE);
  const { stdout: text } = skcheck([...SOON, '--stale', '--pid', `${server.pid}`]);
  expect(text).toContain('\\x1b[31mx\\x0a');
  expect(json.split('\n').length).toBe(2);
  for (const output of [json, text]) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
    expect(output).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  }
  // A headline, an empty line, the heading, the row: the newline in the name added none.
  expect(text.split('\n')[3]).toMatch(/^ *\d+ {2}\\x1b\[31mx\\x0a.* 4\.88 KiB/);
  expect(text).toMatch(/tcp 127\.0\.0\.1:\d+ ← 127\.0\.0\.1:\d+/);
});

test('prints colours only on a terminal, and not with NO_COLOR', () => {
  const onTerminal = (env: NodeJS.ProcessEnv) =>
    // `script` runs the command on a terminal and passes its output on.
    skcheck(['--interval', '0', '--pid', `${server.pid}`], inTerminal, { TERM: 'xterm', ...env }).stdout;
  // A CI's terminal is one too.
  for (const CI of [undefined, 'true']) expect(onTerminal({ NO_COLOR: undefined, CI })).toContain('\u001b[31m');
  expect(onTerminal({ NO_COLOR: '1' }).replaceAll('\r\u001b[K', '')).not.toContain('\u001b');
});

const inTerminal = ['sh', '-c', 'script -qec "$*" /dev/null', 'sh'];
