import { describe, expect, test } from 'vitest';
import { skcheckReport } from '../../src/answers/skcheck/report.js';
import { formatSkcheckText } from '../../src/answers/skcheck/text.js';
import { HostError } from '../../src/base/errors.js';
import type { OnBytes } from '../../src/host/host-source.js';
import { observe } from '../../src/host/observe.js';
import { diagnose } from '../../src/skcheck/diagnose.js';
import { FakeHost } from '../host/fake-host.js';

const MEMORY = 'skmem:(r1280,rb131072,t0,tb16384,f0,w0,o0,bl0,d0)';
const tcp = (inode: number) =>
  `tcp ESTAB 100 0 10.0.0.1:80 10.0.0.2:9 ino:${inode} sk:${inode} cgroup:/ <-> ${MEMORY} ts rcvmss:536 bytes_received:300 lastrcv:4000`;
const udp = (inode: number, recvQ: number) =>
  `udp UNCONN ${recvQ} 0 10.0.0.1:53 0.0.0.0:* ino:${inode} sk:${inode} cgroup:/ <-> ${MEMORY}`;
const unix = (inode: number, name = '*') => `u_str ESTAB 0 0 ${name} ${inode} * 0 ${MEMORY} <->`;

/** A host with one output of ss per reading; the last one is repeated. */
class Host extends FakeHost {
  #at = new Map<string, number>();
  constructor(
    readonly inet: readonly string[],
    readonly unixes: readonly string[] = [''],
    readonly othersAt: readonly (string | HostError)[] = [''],
  ) {
    super();
  }

  override async ss(args: readonly string[], _: string | null, onBytes: OnBytes) {
    this.clock += 1;
    const [group, texts] = args.includes('-x')
      ? ['unix', this.unixes]
      : args.includes('-A')
        ? ['others', this.othersAt]
        : ['inet', this.inet];
    const at = this.#at.get(group) ?? 0;
    this.#at.set(group, at + 1);
    const text = texts[Math.min(at, texts.length - 1)] ?? '';
    if (text instanceof HostError) throw text;
    onBytes(Buffer.from(text));
    return group === 'others' && at === 0 ? this.unknown : [];
  }
}

async function answer(host: FakeHost) {
  const observation = await observe(host, { intervalMs: 2000 });
  const diagnosis = diagnose(observation);
  const report = skcheckReport(observation, diagnosis, { takenAt: new Date(0), only: null });
  return { report, codes: report.warnings.map(({ code }) => code) };
}

describe('losses in the first sample are reported, and no all-clear', () => {
  test('judge sockets in unreadable lines by the last sample only', async () => {
    const whole = Array.from({ length: 7 }, (_, index) => tcp(500 + index)).join('\n');
    const garbage = 'tcp ESTAB not a row\n'.repeat(70);
    const { report, codes } = await answer(new Host([garbage, whole]));
    expect(codes).toContain('row-unreadable');
    expect(report.warnings).toContainEqual({
      code: 'row-unreadable',
      count: 70,
      message: '70 malformed lines of ss in 2 reads skipped',
    });
    expect(report).toMatchObject({ complete: false, totals: { stalled: 7 } });
    expect(report.sockets[0]?.stalled).toMatchObject({
      certainty: 'likely',
      because: expect.stringContaining('one sample cannot show'),
    });
  });

  test('leave the result undecided without such evidence', async () => {
    const { report } = await answer(new Host(['udp UNCONN torn', udp(600, 1280)]));
    expect(report).toMatchObject({ complete: false, totals: { stalled: 0, undecided: 1 } });
    expect(report.sockets[0]?.stalled.because).toContain('the first sample is incomplete');
    expect(formatSkcheckText(report)).toMatch(
      /^No stalled socket found among 1 socket: 1 undecided, the scan is incomplete\n/,
    );
  });

  test('include a line missing in the first sample only, of a host idle at the last', async () => {
    const { report } = await answer(new Host(['tcp ESTAB 5000 0 cut', '']));
    expect(report).toMatchObject({ complete: false, totals: { sockets: 0, stalled: 0 } });
  });

  test('include unix sockets that claim one inode', async () => {
    const { report, codes } = await answer(new Host([''], [`${unix(700)}\n${unix(700, '@x')}\n`, unix(700)]));
    expect(codes).toContain('row-contested');
    expect(report.complete).toBe(false);
  });

  test('include families that ss failed to list', async () => {
    const failed = new HostError('ss-failed', 'ss failed (SIGKILL)');
    const { report } = await answer(new Host([''], [''], [failed, '']));
    expect(report.complete).toBe(false);
    expect(report.warnings[0]?.message).toMatch(/^ss failed 1 times/);
  });

  test('include tables that it did not support', async () => {
    const host = new Host(['']);
    host.unknown = ['mptcp'];
    expect((await answer(host)).codes).toEqual(['ss-old']);
  });
});

test('do not count as a queue that was read', async () => {
  const waits = udp(600, 1280);
  for (const at of [1, 2, 3, 4]) {
    const texts = [waits, waits, waits, waits, waits, waits];
    texts[at] = 'udp UNCONN 1280 torn';
    const { report } = await answer(new Host(texts));
    expect(report.complete).toBe(false);
    expect(report.totals.verdicts).toMatchObject({ undecided: 1, reading: 0 });
  }
  const { report } = await answer(new Host([waits, waits, waits, '', waits, waits]));
  expect(report).toMatchObject({ complete: true, totals: { verdicts: { reading: 1 } } });
});

test('ss that lists nothing, beside sockets that the kernel counts, is no all-clear', async () => {
  const at = '/proc/self/net/sockstat';
  const silent = new Host(['']);
  silent.files.set(at, 'sockets: used 29\nTCP: inuse 3 orphan 0 tw 0 alloc 9 mem 1\nUDP: inuse 2 mem 0\n');
  silent.files.set(`${at}6`, 'TCP6: inuse 1\nUDP6: inuse 0\n');
  const { report } = await answer(silent);
  expect(report.complete).toBe(false);
  expect(report.warnings).toContainEqual({
    code: 'row-unreadable',
    count: 6,
    message: 'ss lists no TCP and no UDP socket, but /proc/net/sockstat counts 6',
  });
  const empty = new Host(['']);
  empty.files.set(at, 'sockets: used 0\nTCP: inuse 0 orphan 0 tw 0 alloc 0 mem 0\nUDP: inuse 0 mem 0\n');
  expect((await answer(empty)).report.complete).toBe(true);
});

test('a socket that is listed twice counts once', async () => {
  const { report } = await answer(new Host([`${udp(7, 4096)}\n${udp(8, 4096)}\n${udp(7, 8192)}`]));
  expect(report.sockets.map(({ inode, recvQ }) => [inode, recvQ]).toSorted()).toEqual([
    [7, 4096],
    [8, 4096],
  ]);
  expect(report.complete).toBe(true);
});

test.each(['d18446744073709551615', 'd-1', 'd'])(
  'a socket whose skmem is damaged (%s) keeps what is queued, and the answer is incomplete',
  async (drops) => {
    const row = udp(7, 2 ** 28).replace(/,d0\)/, `,${drops})`);
    const { report } = await answer(new Host([row]));
    expect(report.complete).toBe(false);
    expect(report.sockets).toMatchObject([{ skmem: null }]);
    expect(report.sockets[0]?.pinned.likely).toBeGreaterThanOrEqual(2 ** 28);
  },
);
