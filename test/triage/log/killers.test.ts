import { describe, expect, test } from 'vitest';
import { findingWords } from '../../../src/answers/triage/words.js';
import { TextLogReader } from '../../../src/log/reader.js';
import { LogFindings } from '../../../src/triage/log/log-findings.js';

function read(...lines: readonly string[]) {
  const findings = new LogFindings(4096);
  const reader = new TextLogReader(findings);
  reader.push(Buffer.from(`${lines.join('\n')}\n`));
  return findings.finish(reader.end());
}

const KERNEL = 'Mar  4 09:30:40 host kernel: [    7.000000] eth0: link up';
const EVICTION = 'I0913 15:20:47.884953 104204 eviction_manager.go:309] eviction manager: must evict pod(s) to reclaim';
const POD =
  'I0913 15:20:48.120331 104204 eviction_manager.go:141] eviction manager: pods web-6b_default(0a1b) evicted, waiting for pod to be cleaned up';

describe('kills of programs', () => {
  test.each([
    [
      'Mar  4 09:30:43 host systemd-oomd[735]: Killed /user.slice/app.scope due to memory pressure for /user.slice being 51.07% > 50.00% for > 20s with reclaim activity',
      {
        killer: 'systemd-oomd',
        cgroup: '/user.slice/app.scope',
        pressureOf: '/user.slice',
        pressure: 51.07,
        duration: '20s',
      },
    ],
    [
      'Mar  4 09:30:43 host systemd-oomd[735]: Killed /user.slice/a.scope due to memory used (7) / total (8) and swap used (5) / total (6) being more than 90.00%',
      { cgroup: '/user.slice/a.scope', usedBytes: 7, totalBytes: 8, swapUsedBytes: 5, swapTotalBytes: 6 },
    ],
    [
      'Mar  4 09:30:43 host earlyoom[9]: sending SIGTERM to process 27541 uid 1000 "bash": badness 550, VmRSS 7609 MiB',
      { killer: 'earlyoom', pid: 27_541, comm: 'bash', rssBytes: 7609 * 2 ** 20 },
    ],
    [
      "Mar  4 09:30:43 host kernel: [    8.000000] lowmemorykiller: Killing 'd.play' (2613), adj 1000,",
      { killer: 'lowmemorykiller', pid: 2613, comm: 'd.play' },
    ],
  ])('%s', (line, figures) => {
    for (const text of [[KERNEL, line], [line]])
      expect(read(...text)).toMatchObject([{ code: 'user-space-kill', severity: 'warning', figures }]);
  });

  test('a pod is evicted for memory, not for another resource', () => {
    expect(read(`${EVICTION} memory`, POD)).toMatchObject([{ figures: { killer: 'kubelet', pod: 'web-6b_default' } }]);
    expect(read(`${EVICTION} ephemeral-storage`, POD)).toEqual([]);
  });

  const VICTIM = 'TOP printed in 1ms; process with highest badness:\n  PID: 903300, name: mysqld, badness: 849';
  const SENT = 'Implementing a corrective action:\n  Sending SIGTERM to the victim';

  test('nohang names its victim before the signal, in the journal and in a log of its own', () => {
    const figures = { killer: 'nohang', pid: 903_300, comm: 'mysqld' };
    expect(read(VICTIM, SENT)).toMatchObject([{ code: 'user-space-kill', figures }]);
    const tagged = [VICTIM, '  VmRSS:     6510 MiB  (Anon: 6490 MiB)', SENT]
      .flatMap((text) => text.split('\n'))
      .map((text) => `Aug 10 16:53:26 db nohang[530]: ${text}`);
    expect(read(KERNEL, ...tagged)).toMatchObject([{ figures: { ...figures, rssBytes: 6510 * 2 ** 20 } }]);
  });

  test('nohang without a signal kills nothing, and a signal without nohang is none of its', () => {
    expect(read(VICTIM, 'victim (PID: 903300, Name: mysqld) badness (12) < min_badness (20); nothing to do')).toEqual(
      [],
    );
    expect(read('a test: Sending SIGTERM to the victim')).toEqual([]);
  });

  test('a journal in JSON has the killers of the other forms', () => {
    const killed =
      'Killed /user.slice/app.scope due to memory pressure for /user.slice being 51.07% > 50.00% for > 20s';
    const entry = (identifier: string) =>
      JSON.stringify({ _TRANSPORT: 'syslog', SYSLOG_IDENTIFIER: identifier, _PID: '735', MESSAGE: killed });
    expect(read(entry('systemd-oomd'))).toMatchObject([{ figures: { killer: 'systemd-oomd', pressure: 51.07 } }]);
    expect(read(entry('app'))).toEqual([]);
  });

  test('a program that quotes such a line is not a killer', () => {
    expect(read(KERNEL, 'Mar  4 09:30:43 host app[9]: see "sending SIGTERM to process 7 by earlyoom"')).toEqual([]);
  });

  test('the sentence names killer, victim and reason', () => {
    const [finding] = read(
      "11-08 18:50:37.171 730 730 I lowmemorykiller: Kill 'app' (27311), uid 10557, oom_score_adj 200 to free 1024kB rss, 2048kB swap; reason: min watermark is breached",
    );
    expect(finding && findingWords(finding)).toContain(
      'Killed for lack of memory by lowmemorykiller: pid 27311 (app), RSS 1.00 MiB. Reason: min watermark is breached.',
    );
  });
});

describe('stalled page pools', () => {
  const stalled = (text: string) => `[ 7.000000] page_pool_release_retry() stalled pool shutdown${text}`;

  test('the newest line of each pool counts', () => {
    const [finding] = read(
      stalled(': id 51, 4032 inflight 60 sec'),
      stalled(': id 52, 4032 inflight 60 sec'),
      stalled(': id 51, 4000 inflight 120 sec'),
    );
    expect(finding).toMatchObject({
      code: 'page-pool-stalled',
      figures: { pools: 2, pages: 8032, leastBytes: 8032 * 4096, seconds: 120, firstPages: null },
    });
  });

  test('without ids the number of pools is unknown; a falling number is reported', () => {
    const [finding] = read(stalled(' 199 inflight 60 sec'), stalled(' 170 inflight 181 sec'));
    expect(finding).toMatchObject({ figures: { pools: null, pages: 170, firstPages: 199, seconds: 181 } });
    expect(finding && findingWords(finding)).toContain('Their number falls: it was 199.');
  });

  test('a negative number is no amount', () => {
    expect(read(stalled(' -3 inflight 60 sec'))).toMatchObject([{ figures: { pages: null, leastBytes: null } }]);
  });
});
