import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RING_BYTES } from '../../../../src/base/ring.js';
import { triageSchema } from '../../../../src/contracts/triage.js';
import { kdumpMem } from '../../../support/cli.js';
import { STALLED_READER } from '../../../support/stalled-reader.js';
import { bring } from '../../snapshot/guest-snapshot.js';
import { bootSystemd, type SystemdGuest } from '../systemd-guest.js';

/** Reads none of its data: belongs to another user, in a network namespace of its own. */
const STALLED = {
  'stalled.pl': STALLED_READER,
  'etc/systemd/system/stalled.service':
    '[Service]\nUser=nobody\nPrivateNetwork=true\nExecStart=/usr/bin/perl /stalled.pl\n',
};
/** Allocates more than the limit of its cgroup. */
const EATS = {
  'eats.pl': 'my $x = "x" x (200 << 20); sleep;\n',
  'etc/systemd/system/eats.service': '[Service]\nMemoryMax=40M\nMemorySwapMax=0\nExecStart=/usr/bin/perl /eats.pl\n',
};
/** Sends 4 MiB to sockets that are not read, again and again: few sockets, since a scan of many takes an emulated guest minutes. */
const GROWS = {
  'grows.pl':
    "use Socket; $0 = 'grows'; my @all;\n" +
    'for (;;) { for (1 .. 16) { socketpair(my $to, my $from, AF_UNIX, SOCK_STREAM, 0) or die; setsockopt $from, SOL_SOCKET, SO_SNDBUF, 1 << 20;\n' +
    "$from->blocking(0); syswrite $from, 'x' x (256 << 10); push @all, $to, $from } select undef, undef, undef, 1.5 }\n",
  'etc/systemd/system/grows.service': '[Service]\nUser=nobody\nLimitNOFILE=100000\nExecStart=/usr/bin/perl /grows.pl\n',
};
/** The sockets grow until two lists exist: minutes where a list takes seconds. */
const MEMORY_MIB = 2048;
const RING = '/var/lib/kdump-mem-ring/ring';
const COLLECTOR = '/var/lib/prometheus/node-exporter';
const STORE = '/var/lib/kdump-mem/watch.ndjson';
const OURS = [
  'skcheck',
  'kdump-mem-watch',
  'kdump-mem-ring',
  'kdump-mem-snapshot',
  'kdump-mem-triage',
  'kdump-mem-vmcore',
].map((name) => `${name}.service`);
const EXAMPLE = '/usr/share/doc/kdump-mem/examples/incident.vmcore';

let machine: SystemdGuest;
beforeAll(async () => {
  machine = await bootSystemd({ ...STALLED, ...EATS, ...GROWS, [`${COLLECTOR}/.keep`]: '' }, MEMORY_MIB);
  await machine.until('systemctl is-system-running | grep -qx running');
  await machine.inside('systemctl start stalled');
  // An emulated guest beside other work needs more than the 30 s that a snapshot may take.
  const limited = '/run/systemd/system/kdump-mem-snapshot.service.d';
  await machine.inside(
    `mkdir -p ${limited}; sed -n 's/^ExecStart=.*/[Service]\\nExecStart=\\n& --timeout 300/p' $(systemctl show kdump-mem-snapshot -P FragmentPath) > ${limited}/test.conf; systemctl daemon-reload`,
  );
  // As documented in docs/install.md.
  await machine.inside('systemctl enable --now kdump-mem-watch kdump-mem-snapshot skcheck.timer 2>&1');
});
afterAll(() => machine?.dispose());

/** Messages of a unit's own program in the journal, without those of systemd. */
const wrote = async (unit: string) =>
  (await machine.inside(`journalctl -u ${unit} _TRANSPORT=stdout -o cat --no-pager`))
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('-- '));

/**
 * Runs skcheck.service once, with these additional lines.
 *
 * @returns the metrics that it has written
 */
async function looksWith(lines: string): Promise<string> {
  const folder = '/run/systemd/system/skcheck.service.d';
  await machine.inside(
    `mkdir -p ${folder}; printf '[Service]\\n${lines}' > ${folder}/test.conf; systemctl daemon-reload; rm -f ${COLLECTOR}/*.prom`,
  );
  await machine.inside('systemctl start skcheck', true);
  const metrics = await machine.inside(`cat ${COLLECTOR}/skcheck.prom`);
  await machine.inside(`rm ${folder}/test.conf; systemctl daemon-reload`);
  return metrics;
}

const OWNER = /^skcheck_stale_owner_sockets\{comm="stalled",.*via="descriptor"\} 1$/m;

describe('skcheck', () => {
  test('its timer writes the owner of the stalled socket', async () => {
    await machine.until(`test -e ${COLLECTOR}/skcheck.prom`);
    const metrics = await machine.inside(`cat ${COLLECTOR}/skcheck.prom`);
    expect(metrics).toMatch(OWNER);
    expect(metrics).toMatch(/^skcheck_scan_complete 1$/m);
    expect(metrics).toMatch(/^skcheck_up 1$/m);
    expect(await wrote('skcheck')).toEqual([]);
    await machine.inside('systemctl stop skcheck.timer');
    // A scan that the timer has started is not one of the next tests.
    await machine.until('systemctl show skcheck -P ActiveState | grep -qx inactive');
  });

  test.each([
    ['CAP_SYS_ADMIN', 'netns-closed', 0],
    ['CAP_SYS_PTRACE', 'netns-hidden', 0],
    ['CAP_DAC_READ_SEARCH', 'owner-unknown', 1],
  ])('reports what is missing without %s: the unit has only what it needs', async (right, code, stale) => {
    const metrics = await looksWith(`CapabilityBoundingSet=~${right}\\n`);
    expect(metrics).not.toMatch(OWNER);
    expect(metrics).toMatch(new RegExp(`^skcheck_warnings\\{code="${code}"\\} [1-9]`, 'm'));
    expect(metrics).toMatch(new RegExp(`^skcheck_stale_sockets ${stale}$`, 'm'));
    if (stale === 0) expect(metrics).toMatch(/^skcheck_scan_complete 0$/m);
  });

  test("without the collector's folder, fails with one line and status 3", async () => {
    await machine.inside(`mv ${COLLECTOR} ${COLLECTOR}-away`);
    await machine.inside('systemctl start skcheck', true);
    const show = 'systemctl show skcheck -p ExecMainStatus -p Result';
    expect(await machine.inside(show)).toBe('Result=exit-code\nExecMainStatus=3\n');
    expect((await wrote('skcheck')).slice(-1)).toEqual([expect.stringContaining(COLLECTOR)]);
    await machine.inside(`mv ${COLLECTOR}-away ${COLLECTOR}; systemctl reset-failed`);
  });
});

test('watch serves its metrics, and continues its store after a kill', async () => {
  const metrics = `exec 3<>/dev/tcp/127.0.0.1/9701; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`;
  const up = `grep -q '^kdump_mem_watch_up 1' <(${metrics})`;
  await machine.until(up);
  const lines = async () => Number(await machine.inside(`wc -l < ${STORE}`));
  const before = await lines();
  expect(before).toBeGreaterThan(0);
  await machine.inside('systemctl kill -s KILL kdump-mem-watch');
  await machine.until('systemctl show kdump-mem-watch -p NRestarts | grep -qx NRestarts=1');
  await machine.until(up);
  expect(await lines()).toBeGreaterThan(before);
  // Each start is one line.
  const words = 'kdump-mem watch: metrics at http://127.0.0.1:9701/metrics';
  expect(await wrote('kdump-mem-watch')).toEqual([words, words]);
  const answer = await machine.inside(`kdump-mem watch --for 0 --store ${STORE} --json`);
  expect(JSON.parse(answer)).toMatchObject({ schema: 'kdump-mem.watch/1' });
});

test('a kill by the OOM killer triggers a snapshot that names the victim', async () => {
  await machine.until('journalctl -u kdump-mem-snapshot _TRANSPORT=stdout | grep -q waiting');
  await machine.inside('systemctl start eats');
  await machine.until('ls /var/lib/kdump-mem/*.tar.gz');
  const folder = mkdtempSync(join(tmpdir(), 'units-'));
  const file = join(folder, 'oom.tar.gz');
  const archives = (await machine.inside('ls /var/lib/kdump-mem/*.tar.gz')).trim();
  await bring(machine.guest, `/proc/1/root${archives}`, file);
  expect((await kdumpMem('snapshot', '--verify', file)).status).toBe(0);
  const { stdout } = await kdumpMem('triage', '--from', file, '--json');
  const killed = triageSchema.parse(JSON.parse(stdout)).findings.map(({ code }) => code);
  expect(killed).toContain('oom-kill');
  const log = await kdumpMem('log', '--from', file);
  expect(log.stdout).toMatch(/Memory cgroup out of memory: Killed process \d+ \(perl\)/);
  rmSync(folder, { recursive: true });
  const group = '/sys/fs/cgroup/system.slice/kdump-mem-snapshot.service';
  expect(await machine.inside(`cat ${group}/memory.events`)).toMatch(/^oom_kill 0$/m);
  const said = await wrote('kdump-mem-snapshot');
  expect(said[0]).toMatch(/^kdump-mem: waiting for memory pressure/);
  expect(said[1]).toMatch(/^\S+Z the OOM killer killed 1 process$/);
  expect(said.slice(2)).toEqual([expect.stringContaining(`${archives}: `)]);
});

test('the ring records the owner of growing sockets in its sandbox, and continues after a kill', async () => {
  const main = 'systemctl show kdump-mem-ring -P MainPID';
  const count = (text: string) => `grep -aoF '${text}' ${RING} | wc -l`;
  await machine.inside('systemctl enable --now kdump-mem-ring 2>&1');
  await machine.until(`[ $(${count('recorded-holders/1')}) -ge 1 ]`);
  expect(await machine.inside(`stat -c '%a %s' ${RING} /var/lib/kdump-mem-ring | head -1`)).toBe(`600 ${RING_BYTES}\n`);
  expect(await machine.inside(`cat /proc/$(${main})/oom_score_adj`)).toBe('-900\n');
  await machine.inside('systemctl start grows');
  // Two lists show what grew.
  await machine.until(`[ $(${count('"scans":["sockets"]')}) -ge 2 ]`);
  await machine.inside('systemctl stop grows');
  // There it would be a log of this boot, to which the ring does not belong.
  await machine.inside(`dmesg > /tmp/dmesg.txt; gzip -c ${RING} > /tmp/ring.gz`);
  const folder = mkdtempSync(join(tmpdir(), 'units-'));
  for (const name of ['dmesg.txt', 'ring.gz'])
    await bring(machine.guest, `/proc/1/root/tmp/${name}`, join(folder, name));
  writeFileSync(join(folder, 'ring'), gunzipSync(readFileSync(join(folder, 'ring.gz'))), { mode: 0o600 });
  const answer = await kdumpMem('triage', '--json', '--ring', join(folder, 'ring'), join(folder, 'dmesg.txt'));
  rmSync(folder, { recursive: true });
  const { findings } = triageSchema.parse(JSON.parse(answer.stdout));
  const owners = findings.filter(({ code }) => code === 'recorded-growth').map(({ figures }) => figures.owner);
  expect(owners).toContainEqual(expect.stringMatching(/^grows \(\d+ sockets\)$/));
  const samples = count('watch-sample/1');
  const before = Number(await machine.inside(samples));
  await machine.inside(`kill -9 $(${main})`);
  await machine.until('systemctl show kdump-mem-ring -P NRestarts | grep -qx 1');
  await machine.until(`[ $(${samples}) -gt ${before} ]`);
  expect(await wrote('kdump-mem-ring')).toEqual([]);
  await machine.inside('systemctl stop kdump-mem-ring');
});

test('dumps get their answers after the boot, and when they arrive', async () => {
  const crash = '/var/crash';
  const arrives = (folder: string) =>
    machine.inside(`mkdir -p /tmp/new && cp ${EXAMPLE} /tmp/new/vmcore && touch -d '1 hour ago' /tmp/new/vmcore &&
        mkdir -p ${crash} && mv /tmp/new ${crash}/${folder}`);
  await arrives('127.0.0.1-2026-11-20-04:12:00');
  await machine.inside('systemctl enable --now kdump-mem-triage.path kdump-mem-triage.timer 2>&1');
  await machine.inside('systemctl start kdump-mem-triage.service');
  await arrives('127.0.0.1-2026-11-21-04:12:00');
  await machine.until(`test -e ${crash}/127.0.0.1-2026-11-21-04:12:00/kdump-mem.json`);
  const listed = 'kdump-mem.extract kdump-mem.html kdump-mem.json kdump-mem.txt vmcore';
  for (const day of [20, 21]) {
    const folder = `${crash}/127.0.0.1-2026-11-${day}-04:12:00`;
    expect((await machine.inside(`cd ${folder}; echo *`)).trim()).toBe(listed);
    expect(await machine.inside(`cat ${folder}/kdump-mem.txt`)).toContain('pid 177 (report-worker)');
  }
  await machine.until('systemctl show kdump-mem-triage -p ActiveState | grep -qx ActiveState=inactive');
  expect(await machine.inside('systemctl show kdump-mem-triage -p Result')).toBe('Result=success\n');
  const lines = await wrote('kdump-mem-triage');
  expect(lines.map((line) => line.split('/vmcore: ')[0])).toEqual(
    [20, 21].map((day) => `${crash}/127.0.0.1-2026-11-${day}-04:12:00`),
  );
});

test('the sandboxes restrict the units', async () => {
  for (const unit of OURS) {
    const table = await machine.inside(`systemd-analyze security --no-pager ${unit}`);
    const score = Number(/ exposure level for \S+: ([\d.]+) /.exec(table)?.[1]);
    expect(score, unit).toBeLessThan(4);
  }
});
