import { describe, expect, test } from 'vitest';
import { reasonsOf } from '../../../src/answers/skcheck/reasons.js';
import { skcheckReport } from '../../../src/answers/skcheck/report.js';
import { because } from '../../../src/answers/skcheck/words.js';
import { observe } from '../../../src/host/observe.js';
import { diagnose } from '../../../src/skcheck/diagnose.js';
import type { Finding } from '../../../src/skcheck/finding.js';
import { FakeHost } from '../../host/fake-host.js';

const MEMORY = 'skmem:(r8000,rb131072,t0,tb16384,f0,w0,o0,bl0,d0)';
const ROW = `tcp ESTAB 500 0 10.0.0.1:80 10.0.0.2:40999 ino:500 sk:5 <-> ${MEMORY} rcvmss:536 bytes_received:500 lastrcv:9000`;

/** A socket with 500 bytes queued, of which `left` remain from the second sample on. */
function hostWith(state: string, waitsIn: string | null, left = 500): FakeHost {
  let looks = 0;
  const host = new FakeHost((args) =>
    args.includes('-x') ? '' : looks++ === 0 ? ROW : ROW.replace(' 500 0 ', ` ${left} 0 `),
  );
  host.addProcess(20, { threads: [[20, state, 1]], fds: { 3: 500 } });
  if (waitsIn !== null) host.files.set('/proc/20/wchan', waitsIn);
  return host;
}

async function stalled(host: FakeHost): Promise<Finding> {
  const [finding] = diagnose(await observe(host, { intervalMs: 2000 })).findings;
  if (!finding) throw new Error('nothing was found');
  return finding;
}

const becauseOf = (finding: Finding) => because(reasonsOf(finding), finding.acceptQueue);

describe('activity of the owner of a stalled socket', () => {
  test.each([
    ['T', null, 'stopped (SIGSTOP)'],
    ['T', 'do_signal_stop', 'stopped (SIGSTOP)'],
    // do_signal_stop may also be inlined into get_signal.
    ['T', 'get_signal', 'stopped (SIGSTOP)'],
    ['t', null, 'stopped by a debugger'],
    ['D', '__refrigerator', 'frozen by its cgroup'],
    ['S', 'do_freezer_trap', 'frozen by its cgroup'],
    ['S', 'get_signal', 'frozen by its cgroup'],
    ['S', 'do_epoll_wait', 'its main thread is sleeping in do_epoll_wait'],
    ['D', 'folio_wait_bit', 'its main thread is in uninterruptible sleep (D) in folio_wait_bit'],
    ['R', null, 'its main thread is running'],
  ])('state %s, in %s: %s', async (state, waitsIn, words) => {
    expect(becauseOf(await stalled(hostWith(state, waitsIn)))).toBe(`read nothing in 2.0 s; ${words}`);
  });

  // Ticks of 10 ms: fields 14 and 15 of stat; nanoseconds of waiting: field 2 of schedstat.
  test.each([
    [190, 0, 'its process spins: it used 95 % of a CPU'],
    [40, 1.5e9, 'its process spins: it used 20 % of a CPU, and waited for a CPU 75 % of the time'],
    [20, 2.5e9, 'its process spins: it used 10 % of a CPU, and waited for a CPU 100 % of the time'],
    [40, 0.2e9, 'its main thread is running'],
  ])('%d ticks of CPU and %d ns of waiting in two seconds: %s', async (ticks, waited, words) => {
    const host = hostWith('R', null);
    const stat = (used: number) => `20 (a) b) R ${'0 '.repeat(10)}${used} 7 0 0`;
    host.files.set('/proc/20/stat', stat(5));
    host.files.set('/proc/20/schedstat', '1000 1000 10\n');
    const sleep = host.sleep.bind(host);
    host.sleep = async (ms) => {
      await sleep(ms);
      host.files.set('/proc/20/stat', stat(5 + ticks));
      host.files.set('/proc/20/schedstat', `1000 ${1000 + waited} 20\n`);
    };
    expect(becauseOf(await stalled(host))).toBe(`read nothing in 2.0 s; ${words}`);
  });

  test.each([
    [150, 0.3e9, 'its process is busy: it used 75 % of a CPU, and waited for a CPU 15 % of the time'],
    [20, 1.7e9, 'its process lacks CPU time: it used 10 % of a CPU, and waited for a CPU 85 % of the time'],
  ])('explains a slow reader, with %d ticks and %d ns: %s', async (ticks, waited, words) => {
    const host = hostWith('R', null, 400);
    const stat = (used: number) => `20 (a) R ${'0 '.repeat(10)}${used} 0 0 0`;
    host.files.set('/proc/20/stat', stat(0));
    host.files.set('/proc/20/schedstat', '0 0 10\n');
    const sleep = host.sleep.bind(host);
    host.sleep = async (ms) => {
      await sleep(ms);
      host.files.set('/proc/20/stat', stat(ticks));
      host.files.set('/proc/20/schedstat', `0 ${waited} 20\n`);
    };
    expect(becauseOf(await stalled(host))).toMatch(new RegExp(`^read 100 B of .*; ${words}$`));
  });

  test('on a busy host, CPU time that is read late is not a larger share', async () => {
    const host = hostWith('R', null);
    const stat = (ms: number) => `20 (a) R ${'0 '.repeat(11)}${Math.floor(ms / 10)} 0 0 0`;
    let reads = 0;
    host.onRead = (path) => {
      if (path !== '/proc/20/stat') return;
      if (reads++ > 0) host.clock += 3000;
      host.files.set(path, stat(host.clock));
    };
    host.files.set('/proc/20/stat', stat(0));
    const { cpuShare } = await stalled(host);
    expect(cpuShare?.used).toBeGreaterThan(0.95);
    expect(cpuShare?.used).toBeLessThanOrEqual(1);
  });
});

test.each([
  ['lives', 'feedd', /from 1 to 41 in \d/],
  ['has ended', null, /; it has exited, so its name is unknown$/],
])('reports a process that leaks descriptors and %s', async (how, comm, words) => {
  const host = new FakeHost(() => '');
  host.addProcess(20, {});
  let next = 1;
  const sleep = host.sleep.bind(host);
  host.sleep = async (ms) => {
    await sleep(ms);
    for (const end = next + 20; next < end; next++) host.links.set(`/proc/20/fd/${next}`, '/dev/null');
  };
  // Its descriptor directory is counted after each of the three samples.
  let counted = 0;
  const size = host.size.bind(host);
  host.size = (path) => {
    const count = size(path);
    if (path === '/proc/20/fd' && ++counted === 3 && how === 'has ended') host.removeProcess(20);
    return count;
  };
  const observation = await observe(host, { intervalMs: 2000, samples: 3 });
  const { processes } = skcheckReport(observation, diagnose(observation), { takenAt: new Date(0), only: null });
  expect(processes).toMatchObject([{ verdict: 'fd-leak', pid: 20, comm }]);
  expect(processes[0]?.because).toMatch(words);
});
