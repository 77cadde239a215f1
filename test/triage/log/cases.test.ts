import { describe, expect, test } from 'vitest';
import { TextLogReader } from '../../../src/log/reader.js';
import { causesOf } from '../../../src/triage/causes.js';
import { LogFindings } from '../../../src/triage/log/log-findings.js';
import { sharedCaseText } from '../../support/shared-logs.js';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** Findings and summary of a case; each has its right value in its `expect.md`. */
function read(file: string) {
  const findings = new LogFindings(4096);
  const reader = new TextLogReader(findings);
  reader.push(Buffer.from(sharedCaseText(file) ?? ''));
  const log = reader.end();
  return { log, findings: findings.finish(log) };
}

const about = (bytes: number, unit: number, digits = 1) => Number((bytes / unit).toFixed(digits));

describe.skipIf(sharedCaseText('dmesg-decode/dmesg-x.txt') === undefined)(
  'public cases (skipped without ../shared/cases)',
  () => {
    test.each(['console-clock', 'container-timestamps', 'no-host', 'quoted-mail'])(
      'log-with-another-prefix/%s',
      (name) => {
        const { findings, log } = read(`log-with-another-prefix/${name}.txt`);
        expect(log).toMatchObject({ messages: 21, unknownLines: 0 });
        expect(findings).toMatchObject([{ code: 'oom-kill', figures: { invokedBy: 'dnsmasq', zone: 'Normal' } }]);
        const { zoneFreeBytes, zoneMinBytes, unattributedBytes } = findings[0]?.figures ?? {};
        expect(Number(zoneFreeBytes)).toBeLessThan(Number(zoneMinBytes));
        expect(about(Number(unattributedBytes), MIB)).toBe(95.5);
        expect(findings[0]?.evidence[0]).toMatchObject({ timestamp: 1_771_244_287_000n });
      },
    );

    test('log-with-another-prefix/openwrt-logread', () => {
      const { findings } = read('log-with-another-prefix/openwrt-logread.txt');
      const figures = { invokedBy: 'ntpd', pid: 3000, comm: 'uhttpd' };
      expect(findings).toMatchObject([{ code: 'oom-kill', figures }]);
      expect(about(Number(findings[0]?.figures.unattributedBytes), MIB)).toBe(78.4);
    });

    test('dmesg-decode', () => {
      const { findings, log } = read('dmesg-decode/dmesg-x.txt');
      expect(log).toMatchObject({
        format: 'dmesg',
        messages: 5,
        boots: [{ fromStart: true, release: '6.1.0-18-amd64' }],
      });
      expect(findings).toMatchObject([
        { code: 'oom-kill', severity: 'critical', figures: { pid: 4711, comm: 'java' } },
        { code: 'hung-task', severity: 'warning', figures: { pid: 963 } },
      ]);
      expect(about(Number(findings[0]?.figures.victimAnonBytes), GIB, 2)).toBe(3.43);
    });

    test('page-pool-stalled', () => {
      expect(read('page-pool-stalled/since-6.7.txt').findings).toMatchObject([
        { code: 'page-pool-stalled', severity: 'warning', figures: { pools: 3, pages: 12_096, seconds: 26_885 } },
      ]);
      expect(read('page-pool-stalled/before-6.7.txt').findings).toMatchObject([
        { figures: { pools: null, pages: 170, firstPages: 199, seconds: 241 } },
      ]);
    });

    test('kernel-says-memory-is-short', () => {
      const { findings } = read('kernel-says-memory-is-short/log.txt');
      expect(findings.map(({ code, figures }) => figures.resource ?? figures.killer ?? code)).toEqual([
        'cma',
        'resource-exhausted',
        'network-memory',
        'network-memory',
        'pids',
        'balloon',
        'lowmemorykiller',
      ]);
    });

    test('killed-by-systemd-oomd', () => {
      expect(read('killed-by-systemd-oomd/journal.txt').findings).toMatchObject([
        { code: 'user-space-kill', severity: 'warning', figures: { killer: 'systemd-oomd', pressure: 51.07 } },
      ]);
    });

    test('slab-objects-remaining, rust-panic-is-one-fault, same-failure-on-every-cpu', () => {
      expect(read('slab-objects-remaining/log.txt').findings).toMatchObject([{ code: 'memory-leak' }]);
      const rust = read('rust-panic-is-one-fault/log.txt').findings;
      expect(rust).toMatchObject([{ code: 'oops', title: expect.stringContaining('called `Option::unwrap()`') }]);
      expect(read('same-failure-on-every-cpu/log.txt').findings).toMatchObject([
        { code: 'allocation-failure', figures: { comm: 'swapper', symbol: '__napi_alloc_skb', times: 60 } },
      ]);
    });

    test('scope-from-the-stack', () => {
      expect(read('scope-from-the-stack/memcg.txt').findings).toMatchObject([
        { severity: 'warning', figures: { scope: 'cgroup', cgroup: null } },
      ]);
      expect(read('scope-from-the-stack/pagefault.txt').findings).toMatchObject([
        { figures: { scope: null, reason: 'page-fault' } },
      ]);
    });

    test('oom-with-slab-list-only, oom-lowmem-and-cma', () => {
      const [slab] = read('oom-with-slab-list-only/log.txt').findings;
      expect(slab).toMatchObject({ code: 'oom-kill', figures: { slabCache: 'btrfs_extent_map', scope: 'machine' } });
      const [lowmem] = read('oom-lowmem-and-cma/log.txt').findings;
      expect(lowmem?.figures).toMatchObject({ shortage: 'watermark', zone: 'DMA', unusable: 'zone HighMem, CMA' });
    });

    test('soft-lockups-wait-for-one-cpu', () => {
      const { findings } = read('soft-lockups-wait-for-one-cpu/log.txt');
      const { links, conclusion } = causesOf(findings, { uptimeSeconds: undefined, complete: false });
      const hard = findings.findIndex(({ code }) => code === 'hard-lockup');
      expect(links).toHaveLength(3);
      for (const link of links) expect(link).toMatchObject({ cause: hard, relation: 'waits-for-cpu' });
      expect(conclusion).toMatchObject({ confidence: 'likely', cause: hard });
    });

    test('printk-with-cpu-and-task/samsung', () => {
      const { findings, log } = read('printk-with-cpu-and-task/samsung.txt');
      expect(log).toMatchObject({ messages: 10, boots: [{ fromStart: true, release: '4.19.113' }] });
      const panic = { cpu: 7, pid: 1, comm: 'swapper/0' };
      expect(findings).toContainEqual(
        expect.objectContaining({ code: 'panic', severity: 'critical', figures: expect.objectContaining(panic) }),
      );
      const { figures, report } = findings.find(({ code }) => code === 'panic') ?? {};
      expect(figures).toMatchObject({ reason: 'Asynchronous SError Interrupt' });
      expect(report?.stack.map(({ symbol }) => symbol)).toContain('msm_pinmux_set_mux');
    });

    test('printk-with-cpu-and-task/mediatek', () => {
      const { findings } = read('printk-with-cpu-and-task/mediatek.txt');
      const figures = { reason: 'Fatal', cpu: 1, pid: 10_406, comm: 'Thread-6' };
      expect(findings).toMatchObject([{ code: 'panic', severity: 'critical', figures }]);
    });

    test.each([
      ['de', 'Mär 27 01:23:30'],
      ['fr', 'avril 16 01:23:30'],
      ['ru', 'апр 28 01:23:30'],
      ['zh', '12月 07 01:23:30'],
    ])('journal-local-months/%s', (language, printedTime) => {
      const { findings, log } = read(`journal-local-months/${language}.txt`);
      expect(log).toMatchObject({ format: 'syslog or journal', messages: 3 });
      const figures = { pid: 27_541, comm: 'bash', invokedBy: 'bash' };
      expect(findings).toMatchObject([{ code: 'oom-kill', severity: 'critical', figures }]);
      expect(findings[0]?.evidence.at(-1)).toMatchObject({ printedTime });
      expect(about(Number(findings[0]?.figures.victimAnonBytes), GIB, 2)).toBe(7.72);
    });

    test('journal-local-months: a log with only the lines of the kill', () => {
      const lines = (sharedCaseText('journal-local-months/fr.txt') ?? '').split('\n').slice(1).join('\n');
      const findings = new LogFindings(4096);
      const reader = new TextLogReader(findings);
      reader.push(Buffer.from(lines));
      expect(reader.end()).toMatchObject({ messages: 2 });
      expect(findings.finish()).toMatchObject([{ code: 'oom-kill', figures: { pid: 27_541 } }]);
    });

    test('first-line-without-prefix', () => {
      const journal = read('first-line-without-prefix/journal.txt');
      const figures = { order: 0, gfp: 'GFP_ATOMIC|__GFP_COLD|__GFP_COMP', comm: 'java' };
      expect(journal.findings).toMatchObject([{ code: 'allocation-failure', figures }]);
      const { findings, log } = read('first-line-without-prefix/dmesg.txt');
      expect(log.messages).toBe(3);
      expect(findings).toMatchObject([{ code: 'memory-corruption', severity: 'critical' }]);
      // Digits may be missing before those that are left.
      expect(findings[0]?.evidence[0]).toMatchObject({ timestamp: null });
      expect(JSON.stringify(findings[0]?.figures)).toContain('zabbix_agentd');
    });

    test('pass-*', () => {
      const envoy = { pid: 21_301, comm: 'envoy', scope: 'cgroup', limitBytes: GIB };
      expect(read('pass-cgroup-anonymous/log.txt').findings).toMatchObject([{ code: 'oom-kill', figures: envoy }]);
      const [leak] = read('pass-driver-leak-openwrt/log.txt').findings;
      expect(about(Number(leak?.figures.unattributedBytes), MIB)).toBe(95.5);
      const oops = { cpu: 0, pid: 32, comm: 'kworker/u2:1', symbol: 'number' };
      expect(read('pass-oops-s390/log.txt').findings).toMatchObject([{ code: 'oops', figures: oops }]);
    });
  },
);
