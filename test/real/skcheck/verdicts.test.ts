import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type SkcheckReport, skcheckSchema } from '../../../src/answers/skcheck/schema.js';
import { freeze, freezers } from './freezer.js';
import { bound, connections, isBlocked, unixEnds } from './queues.js';
import { Stage, skcheck, skcheckJson, until } from './stage.js';
import { judgements, watched } from './watched.js';

const stage = new Stage();
const dir = mkdtempSync(join(tmpdir(), 'skcheck-'));
const thaw: (() => void)[] = [];
afterAll(() => {
  // A frozen process cannot even exit.
  for (const undo of thaw) undo();
  stage.end();
  rmSync(dir, { recursive: true });
});

const pids: Record<string, number> = {};
let report: SkcheckReport;

beforeAll(async () => {
  const spinning = await stage.pair({ spins: true }, { bytes: 4000 });
  const [sending, filled, slowed, dropping, deadTcp, deadUnix, leaker] = await Promise.all([
    stage.pair({}),
    fillBacklog(),
    readSlowly(),
    dropDatagrams(),
    stage.pair({ writes: true }),
    stage.pair({ writes: true, path: DEAD }),
    stage.start('leaker', { comm: 'leaks,"x\n' }),
  ]);
  for (const freezer of FREEZERS) {
    const { server, client } = await stage.pair({ reads: 'healthy' });
    pids[`frozen ${freezer.version}`] = server.pid;
    pids[`sends to frozen ${freezer.version}`] = client.pid;
    thaw.push(await freeze(freezer, server.pid));
    await until(() => connections(server.port).clients.some(isBlocked));
  }
  pids.reader = sending.server.pid;
  pids.sender = sending.client.pid;
  pids.listener = filled.pid;
  pids.slow = slowed.pid;
  pids.drops = dropping.pid;
  pids.deadTcp = deadTcp.server.pid;
  pids.deadTcpPeer = deadTcp.client.pid;
  pids.deadUnix = deadUnix.server.pid;
  pids.deadUnixPeer = deadUnix.client.pid;
  pids.leaker = leaker.pid;
  pids.spins = spinning.server.pid;
  // The queues are filled completely.
  await until(() => connections(sending.server.port).clients.some(isBlocked));
  await until(() => {
    const { servers, clients } = connections(deadTcp.server.port);
    return [...servers, ...clients].filter(isBlocked).length === 2;
  });
  let before = '';
  await until(() => {
    const last = before;
    before = unixEnds(DEAD)
      .map(({ recvQ, sendQ }) => `${recvQ} ${sendQ}`)
      .join();
    return before === last && unixEnds(DEAD).filter(({ recvQ }) => recvQ > 0).length === 2;
  });
  // If the hypervisor withholds CPU time from this machine, no process spins.
  for (let left = 3, spun = false; !spun && left > 0; left--) {
    const [since, before] = [performance.now(), scheduledMs(pids.spins)];
    ({ report } = skcheckJson(['--samples', '3', '--interval', '2']));
    spun = scheduledMs(pids.spins) - before > 0.9 * (performance.now() - since);
  }
  process.kill(pids.spins, 'SIGKILL');
});

/** Time that its main thread ran or waited for a CPU, in ms. */
function scheduledMs(pid: number): number {
  const [ran = 0, waited = 0] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ').map(Number);
  return (ran + waited) / 1e6;
}

const DEAD = join(dir, 'dead.sock');
const FREEZERS = freezers();

/** A listener that never accepts, with a full backlog of connections. */
async function fillBacklog(): Promise<{ pid: number }> {
  const full = await stage.start('server', { reads: 'healthy', backlog: 1 });
  full.stop();
  const client = { port: full.port, bytes: 0, hangs: true };
  await Promise.all([1, 2, 3, 4].map(() => stage.start('client', client)));
  await until(() => bound('-t', full.port)?.recvQ === 2);
  return full;
}

async function readSlowly(): Promise<{ pid: number }> {
  const slow = await stage.perl('slow-reader.pl', 'tcp');
  await stage.start('client', { port: slow.port });
  // Far more than it reads during the test.
  await until(() => connections(slow.port).servers.some(({ recvQ }) => recvQ > 100_000));
  return slow;
}

async function dropDatagrams(): Promise<{ pid: number }> {
  const drops = await stage.perl('slow-reader.pl', 'udp');
  await stage.start('datagrams', { port: drops.port, count: 20, bursts: true });
  await until(() => / skmem:\(.*,d[1-9]\d*\)/.test(bound('-u', drops.port)?.text ?? ''));
  return drops;
}

function saidOf(name: string) {
  const pid = pids[name];
  expect(pid).toBeGreaterThan(0);
  return report.sockets.filter(({ holders }) => holders.some((holder) => holder.pid === pid));
}

describe('each verdict, on real sockets', () => {
  test('stalled-sender: the peer has closed its window', () => {
    const [socket, ...more] = saidOf('sender');
    expect(more).toEqual([]);
    expect(socket?.stalled).toMatchObject({ verdict: 'stalled-sender', certainty: 'proved' });
    expect(socket?.stalled.because).toMatch(/nothing acknowledged in .*the peer's window is closed/);
    expect(socket?.unsentBytes).toBeGreaterThan(50_000);
    // Unsent data is charged in `w`, not in `t`: the estimate must include it.
    expect(socket?.pinned.low).toBeGreaterThanOrEqual(socket?.unsentBytes ?? Infinity);
  });

  test('never-accepting, with a full backlog', () => {
    const [socket] = saidOf('listener').filter(({ state }) => state === 'LISTEN');
    expect(socket?.stalled).toMatchObject({ verdict: 'never-accepting', certainty: 'proved' });
    expect(socket?.stalled.because).toMatch(/^accepted no connection in .*; 2 pending; stopped/);
    expect(socket?.also.map(({ verdict }) => verdict)).toEqual(['backlog-full']);
  });

  test('slow-reader: with input and output rates', () => {
    const [socket] = saidOf('slow').filter(({ state }) => state !== 'LISTEN');
    expect(socket?.stalled).toMatchObject({ verdict: 'slow-reader', certainty: 'proved' });
    expect(socket?.stalled.because).toMatch(/^read .* of the data queued .* ago.* out, .* in\)/);
  });

  test('udp-dropping: it reads, but its queue is full', () => {
    const [socket] = saidOf('drops');
    expect(socket?.stalled.verdict).toBe('udp-dropping');
    expect(socket?.stalled.because).toMatch(/packets dropped in .*: its queue is full/);
  });

  test.each([
    ['TCP', 'deadTcp', 'deadTcpPeer', 'proved'],
    ['unix', 'deadUnix', 'deadUnixPeer', 'likely'],
  ])('deadlocked-pair, %s: both ends, each naming the other', (_, one, other, certainty) => {
    for (const [name, peer] of [
      [one, other],
      [other, one],
    ] as const) {
      const [socket, ...more] = saidOf(name);
      expect(more).toEqual([]);
      expect(socket?.stalled).toMatchObject({ verdict: 'deadlocked-pair', certainty });
      expect(socket?.stalled.because).toContain(`pid ${pids[peer]} `);
    }
  });

  test('fd-leak: the process whose descriptors grow, and no other', () => {
    const leak = report.processes.find(({ pid }) => pid === pids.leaker);
    expect(leak).toMatchObject({ comm: 'leaks,"x\n' });
    expect(leak?.because).toMatch(/grew in each of 3 samples/);
    expect((leak?.to ?? 0) - (leak?.from ?? 0)).toBeGreaterThanOrEqual(100);
    const ours = new Set(Object.values(pids));
    expect(report.processes.filter(({ pid }) => ours.has(pid) && pid !== pids.leaker)).toEqual([]);
  });

  test('the reason: its process spins', () => {
    const [socket] = saidOf('spins').filter(({ state }) => state !== 'LISTEN');
    expect(socket?.stalled).toMatchObject({ verdict: 'stalled-reader', certainty: 'proved' });
    expect(socket?.stalled.because).toMatch(/^read nothing in .*; its process spins: it used \d+ % of a CPU/);
  });

  test('this machine can freeze processes', () => {
    expect(FREEZERS.length).toBeGreaterThan(0);
  });

  test.each(FREEZERS)('the reason: frozen by its cgroup, $version', ({ version }) => {
    const [socket] = saidOf(`frozen ${version}`).filter(({ state }) => state !== 'LISTEN');
    expect(socket?.stalled).toMatchObject({ verdict: 'stalled-reader', certainty: 'proved' });
    expect(socket?.stalled.because).toMatch(/^read nothing in .*; frozen by its cgroup$/);
  });

  test('--verdict selects listed sockets, and the exit status', () => {
    const { report: one, status } = skcheckJson(['--interval', '1', '--verdict', 'never-accepting']);
    expect(status).toBe(1);
    expect(new Set(one.sockets.map(({ stalled }) => stalled.verdict))).toEqual(new Set(['never-accepting']));
  });

  test('the text names the other verdicts above the table', () => {
    const [first, second] = skcheck(['--interval', '1']).stdout.split('\n');
    expect(first).toMatch(/ pins? about .* of it in the send queues? of /);
    expect(second).toMatch(/^Other verdicts: \d+ stalled-sender.*, \d+ never-accepting, /);
  });

  test('--min-age excludes newer ones', () => {
    const { report: old } = skcheckJson(['--interval', '1', '--stale', '--min-age', '2h']);
    expect(old.sockets.filter(({ pid }) => pid === pids.reader)).toEqual([]);
  });

  test('filters of ss: state, port, address; --top', () => {
    const { report: listening } = skcheckJson(['--interval', '1', '--state', 'listening', '--address', '127.0.0.0/8']);
    expect(listening.sockets.map(({ pid }) => pid)).toContain(pids.listener);
    expect(new Set(listening.sockets.map(({ state }) => state))).toEqual(new Set(['LISTEN']));
    expect(skcheckJson(['--interval', '1', '--address', '10.99.0.0/16']).report.sockets).toEqual([]);
    expect(skcheckJson(['--interval', '1', '--top', '1']).report.sockets.length).toBe(1);
  });

  test('--by process: sums of ss for each process’s sockets, in one row', () => {
    const { report: answer } = skcheckJson(['--interval', '1', '--by', 'process']);
    const rows = answer.groups?.rows ?? [];
    for (const pid of [pids.reader, pids.sender, pids.deadTcp]) {
      const row = rows.find((each) => each.pid === pid);
      const ends = answer.sockets.filter((each) => each.pid === pid);
      expect(row).toMatchObject({
        sockets: ends.length,
        unreadBytes: ends.reduce((sum, { recvQ, state }) => sum + (state === 'LISTEN' ? 0 : recvQ), 0),
      });
    }
    expect(new Set(rows.map(({ pid }) => pid)).size).toBe(rows.length);
    const text = skcheck(['--interval', '1', '--stale', '--by', 'process']).stdout;
    expect(text).toMatch(new RegExp(`^pid ${pids.reader} .* +1 +1 +[\\d.]+ [KM]iB `, 'm'));
  });
});

describe('--watch', () => {
  test('piped: one object for each scan, with a growing age', async () => {
    const { stdout } = await watched(['--watch', '--stale', '--samples', '4', '--interval', '1']);
    const looks = stdout.trimEnd().split('\n');
    const forMs = looks.map((line) => {
      const look = skcheckSchema.parse(JSON.parse(line));
      return look.sockets.find(({ pid }) => pid === pids.reader)?.stalled.forMs ?? -1;
    });
    expect(forMs.length).toBe(3);
    expect(forMs[1]).toBeGreaterThan((forMs[0] ?? 0) + 800);
    expect(forMs[2]).toBeGreaterThan((forMs[1] ?? 0) + 800);
  });

  test('on a terminal: a table that is redrawn in place, and the cursor is restored', () => {
    const terminal = ['sh', '-c', 'script -qec "$*" /dev/null', 'sh'];
    const args = ['--watch', '--stale', '--samples', '3', '--interval', '1'];
    const { stdout } = skcheck(args, terminal, { TERM: 'xterm' });
    expect(stdout.split('\u001b[H').length).toBeGreaterThanOrEqual(3);
    expect(stdout).toMatch(/not being read.*\. (?:It pins|Together they pin)\b/);
    expect(stdout.trimEnd().endsWith('\u001b[?25h')).toBe(true);
  });
});

// For minutes, with iperf3's traffic: on-demand/healthy.test.ts.
test('healthy connections under load are never flagged', async () => {
  const load = new Stage();
  try {
    const pairs = await Promise.all(
      [{}, { path: join(dir, 'load.sock') }, { host: '::1' }].map((where) => load.pair({ reads: 'healthy', ...where })),
    );
    const pids = pairs.flatMap(({ server, client }) => [server.pid, client.pid]);
    const { stdout } = await watched(['--watch', '--samples', '6', '--interval', '2']);
    const { looks, seen, flagged } = judgements(stdout, pids);
    expect(flagged).toEqual([]);
    expect(looks).toBe(5);
    // The scans saw active connections, with queued data.
    expect(seen).toBeGreaterThan(0);
  } finally {
    load.end();
  }
});
