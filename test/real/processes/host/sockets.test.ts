import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { procsSchema } from '../../../../src/contracts/procs.js';
import { commandPath, kdumpMem } from '../../../support/cli.js';

/**
 * Connects to itself, writes until the buffers are full, and never reads. Prints the accepted
 * bytes.
 */
const UNREAD = `
import socket, sys, time
listener = socket.create_server(('127.0.0.1', 0))
writer = socket.create_connection(listener.getsockname())
reader, _ = listener.accept()
writer.setblocking(False)
sent = 0
try:
    while True: sent += writer.send(b'x' * 4096)
except BlockingIOError: pass
print(sent, flush=True)
time.sleep(240)
`;
const IDLE = `
import socket, time
quiet = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print(0, flush=True)
time.sleep(240)
`;

const children: ChildProcess[] = [];
const sent: number[] = [];

async function start(command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const [output] = await once(child.stdout!, 'data');
  sent.push(Number(output));
}

beforeAll(async () => {
  await start('python3', ['-c', UNREAD]);
  await start('python3', ['-c', IDLE]);
  // A separate network namespace with its loopback up. unshare(1) becomes python.
  const script = `ip link set lo up; exec python3 -c "$0"`;
  await start('unshare', ['-n', 'sh', '-c', script, UNREAD]);
});

afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
});

const rowsOf = (stdout: string) => {
  const { processes, ...answer } = procsSchema.parse(JSON.parse(stdout));
  const rows = children.map(({ pid }) => processes.find((process) => process.pid === pid));
  return { rows, ...answer };
};

test('unread data is attributed to its process, in other network namespaces too', async () => {
  const { rows } = rowsOf((await kdumpMem('procs', '--live', '--sockets', '--json')).stdout);
  for (const index of [0, 2]) {
    const { networkPinnedBytes = null, networkEstimate = null } = rows[index] ?? {};
    // Sent data is in one of two queues, and is stored somewhere.
    expect(sent[index]).toBeGreaterThan(100_000);
    expect(networkEstimate?.leastBytes).toBeGreaterThanOrEqual(sent[index] ?? Number.NaN);
    expect(networkPinnedBytes).toBe(networkEstimate?.likelyBytes);
    expect(networkPinnedBytes).toBeLessThan(3 * (sent[index] ?? Number.NaN));
  }
  expect(rows[1]).toMatchObject({
    networkPinnedBytes: 0,
    networkEstimate: { leastBytes: 0, likelyBytes: 0, mostBytes: 0 },
  });
});

test('sockets are included on request', async () => {
  const { rows, total } = rowsOf((await kdumpMem('procs', '--live', '--json')).stdout);
  for (const row of rows) expect(row).toMatchObject({ networkPinnedBytes: null, networkEstimate: null });
  expect(total).toMatchObject({ networkPinnedBytes: null, networkEstimated: false });
});

test('sockets that are not visible are unknown, not zero', () => {
  const powerless = ['--reuid=65534', '--regid=65534', '--clear-groups', '--', process.execPath];
  const command = [...powerless, commandPath('kdump-mem'), 'procs', '--live', '--sockets', '--json'];
  const { rows, complete, warnings } = rowsOf(execFileSync('setpriv', command, { encoding: 'utf8' }));
  for (const row of rows) expect(row?.networkPinnedBytes).toBeNull();
  expect(complete).toBe(false);
  expect(warnings.map(({ message }) => message).join()).toMatch(/sockets of \d+ processes are not available/);
});
