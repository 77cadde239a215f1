import { describe, expect, test } from 'vitest';
import { formatPrometheus } from '../../src/answers/skcheck/prometheus.js';
import { skcheckReport } from '../../src/answers/skcheck/report.js';
import { skcheckSchema } from '../../src/answers/skcheck/schema.js';
import { formatSkcheckText } from '../../src/answers/skcheck/text.js';
import { observe } from '../../src/host/observe.js';
import { diagnose } from '../../src/skcheck/diagnose.js';
import { socketFilter } from '../../src/skcheck/filter.js';
import { FakeHost } from '../host/fake-host.js';

// Connections that are not accepted have no inode: the process of their listener can read them.

const MEMORY = 'skmem:(r800,rb131072,t0,tb16384,f0,w0,o0,bl0,d0)';
const HOSTILE = 'a\u001b[1m';

function host(listeners: readonly number[], recvQ = 2): FakeHost {
  const rows = [
    ...listeners.map((inode) => `tcp LISTEN ${recvQ} 9 0.0.0.0:80 0.0.0.0:* ino:${inode} sk:${inode} <-> ${MEMORY}`),
    ...[1, 2].map(
      (each) =>
        `tcp ESTAB 500 0 10.0.0.1:80 10.0.0.2:4000${each} ino:0 sk:a${each} <-> ${MEMORY} rcvmss:536 bytes_received:500 lastrcv:9000`,
    ),
    `tcp ESTAB 90 0 10.0.0.1:99 10.0.0.2:40003 ino:600 sk:b <-> ${MEMORY} rcvmss:536 bytes_received:90 lastrcv:9000`,
  ];
  const made = new FakeHost((args) => (args.includes('-x') ? '' : rows.join('\n')));
  listeners.forEach((inode, index) => {
    made.addProcess(20 + index, { comm: index === 0 ? HOSTILE : `worker ${index}`, fds: { 7: inode } });
    made.files.set(`/proc/${20 + index}/cgroup`, '0::/system.slice/web.service\n');
  });
  made.addProcess(60, { comm: 'other', fds: { 3: 600 } });
  return made;
}

async function reportOf(from: FakeHost, options: { pid?: number; states?: string[] } = {}) {
  const accepts = socketFilter(options.states ? { states: options.states } : {});
  const observation = await observe(from, {
    intervalMs: 2000,
    accepts,
    ...(options.pid === undefined ? {} : { pid: options.pid }),
  });
  const report = skcheckReport(observation, diagnose(observation, { accepts }), { takenAt: new Date(0), only: null });
  return { ...skcheckSchema.parse(report), text: formatSkcheckText(report, { verbose: true }) };
}

const unaccepted = (sockets: Awaited<ReturnType<typeof reportOf>>['sockets']) =>
  sockets.filter(({ inode, state }) => inode === 0 && state === 'ESTABLISHED');

describe('one listener', () => {
  test('is reported with its process, the kind of link, and its descriptor', async () => {
    const { sockets, text, totals } = await reportOf(host([70]));
    expect(unaccepted(sockets)).toHaveLength(2);
    for (const socket of unaccepted(sockets))
      expect(socket).toMatchObject({
        pid: 20,
        comm: HOSTILE,
        fds: [7],
        via: 'accept-queue',
        listeners: [{ inode: 70, local: '0.0.0.0:80' }],
        cgroup: '/system.slice/web.service',
        stalled: { verdict: 'stalled-reader' },
      });
    expect(text).toContain('pending in the accept queue of pid 20 (a\\x1b[1m) fd 7 (listening on tcp 0.0.0.0:80)');
    expect(text).toMatch(/^ 20 .* \(7\) +tcp 10.0.0.1:80 ← 10.0.0.2:4000[12] /m);
    expect(text).toMatch(/when pid 20 \(a\\x1b\[1m\) accepts and reads its pending connections/);
    expect(totals.worstOwner).toMatchObject({ pid: 20, sockets: 2, unaccepted: 2 });
    expect(sockets.find(({ inode }) => inode === 600)).toMatchObject({ pid: 60, via: 'descriptor' });
  });

  test('is reported in the metrics, too', async () => {
    expect(formatPrometheus(await reportOf(host([70])), 0)).toMatch(
      /^skcheck_stale_owner_sockets\{comm="a\\\\x1b\[1m",container="",pod="",via="accept-queue"\} 2$/m,
    );
  });

  test('is reported even if its own row is not requested', async () => {
    const { sockets } = await reportOf(host([70]), { states: ['established'] });
    expect(unaccepted(sockets).map(({ pid }) => pid)).toEqual([20, 20]);
  });

  test('is included in --pid with its pending connections, which are counted', async () => {
    const { sockets, totals } = await reportOf(host([70]), { pid: 20 });
    expect(unaccepted(sockets)).toHaveLength(2);
    expect(sockets.map(({ inode }) => inode)).not.toContain(600);
    expect(totals).toMatchObject({ sockets: 3, stalled: 2, countedBy: 'descriptor' });
    expect((await reportOf(host([70]), { pid: 60 })).sockets.map(({ inode }) => inode)).toEqual([600]);
  });

  test('is named by its address if its process is unknown', async () => {
    const lonely = host([70]);
    lonely.removeProcess(20);
    const { sockets, text } = await reportOf(lonely);
    expect(unaccepted(sockets)[0]).toMatchObject({ pid: null, holders: [], via: 'accept-queue' });
    expect(text).toContain('pending in the accept queue of tcp 0.0.0.0:80, a listener with no known owner');
  });
});

describe('listeners that share a port', () => {
  test('have no single owner, but are all named', async () => {
    const { sockets, text, totals } = await reportOf(host([70, 71]));
    expect(unaccepted(sockets)[0]).toMatchObject({
      pid: null,
      via: 'accept-queue',
      listeners: [{ inode: 70 }, { inode: 71 }],
    });
    expect(text).toContain(
      'pending in the accept queue of one of the 2 listeners on tcp 0.0.0.0:80, unknown which (pid 20 (a\\x1b[1m) fd 7, pid 21 (worker 1) fd 7)',
    );
    expect(totals.worstOwner?.pid).toBe(60);
  });
});
