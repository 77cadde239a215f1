import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readFromDisk } from '../../../../scripts/lab-parts/disk.mjs';
import { triageSchema } from '../../../../src/contracts/triage.js';
import { kdumpMem } from '../../../support/cli.js';
import { scratchFolder } from '../../../support/scratch.js';
import { captureKernel, SystemdDisk, type SystemdGuest } from '../systemd-guest.js';

const CRASH = '/var/crash';
/** As docs/many-dumps.md documents it. */
const CRASHKERNEL = '336M';
/** Of each guest; every page costs time in an emulated one. */
const ROOTS = [
  ['bookworm-kdump', 1024],
  ['trixie-kdump', 2048],
] as const;
const ANSWERS = ['kdump-mem.extract', 'kdump-mem.html', 'kdump-mem.json', 'kdump-mem.txt'];

/** Holds memory. */
const HOLDS = {
  'holds.pl': '$0 = "nightly-batch"; my $x = "x" x (100 << 20); sleep;\n',
  'etc/systemd/system/holds.service': '[Service]\nExecStart=/usr/bin/perl /holds.pl\n',
};
/** The commands of kdump.sh of kdumpctl, and the names that it gives. */
const AS_KDUMPCTL = {
  'as-kdumpctl': `d=${CRASH}/127.0.0.1-$(date +%F-%T); mkdir -p $d; cd $d
makedumpfile --dump-dmesg /proc/vmcore vmcore-dmesg-incomplete.txt && mv vmcore-dmesg-incomplete.txt vmcore-dmesg.txt
makedumpfile -l --message-level 7 -d 31 /proc/vmcore vmcore-incomplete && sync && mv vmcore-incomplete vmcore
dmesg > kexec-dmesg.log; sync
`,
  'etc/systemd/system/as-kdumpctl.service':
    '[Unit]\nConditionPathExists=/proc/vmcore\nBefore=kdump-tools-dump.service\nAfter=kdump-mem-vmcore.service\n' +
    '[Service]\nType=oneshot\nExecStart=/bin/sh /as-kdumpctl\n[Install]\nWantedBy=kdump-tools-dump.service\n',
};

/** Programs in place of kdump-mem, by what becomes of them. */
const FAILING = {
  absent: undefined,
  failing: 'exit 3',
  killed: 'kill -9 $$',
  hung: 'trap "" TERM; while :; do sleep 1; done',
  'out-of-memory': 'exec perl -e \'my @x; push @x, "x" x (1 << 20) while 1\'',
};
type Failure = keyof typeof FAILING;
const FAILURES = Object.keys(FAILING) as Failure[];
const failingUnit = (name: Failure) => `kdump-mem-vmcore-${name}.service`;

/** The unit once more for each of them, one after the other. */
function failingUnits(): Record<string, string> {
  const text = readFileSync('deploy/systemd/kdump-mem-vmcore.service', 'utf8').replaceAll('/usr/local/', '/usr/');
  const all = FAILURES.flatMap((name, index) => {
    const before = index === 0 ? 'kdump-mem-vmcore.service' : failingUnit(FAILURES[index - 1]!);
    const seconds = name === 'hung' ? 10 : 300;
    const unit = text
      .replace('Before=', `After=${before}\nBefore=`)
      .replace('[Service]\n', `[Service]\nEnvironment=PATH=/failing/${name}:/failing/tools\n`)
      .replace('kdump-mem/kdump-mem-vmcore\n', `kdump-mem/kdump-mem-vmcore /proc/vmcore ${CRASH} ${seconds}\n`);
    const program = FAILING[name];
    return [
      [`etc/systemd/system/${failingUnit(name)}`, unit],
      ...(program === undefined ? [] : [[`failing/${name}/kdump-mem`, `#!/bin/sh\n${program}\n`]]),
    ];
  });
  return Object.fromEntries(all);
}

/** Panics, and waits until the capture kernel has ended the guest. */
async function panic({ guest, inside }: SystemdGuest): Promise<string> {
  await inside('until grep -q 1 /sys/kernel/kexec_crash_loaded; do sleep 1; done; sync');
  const booted = guest.console.length;
  await guest.run('(sleep 0.2; echo c > /proc/sysrq-trigger) > /dev/null 2>&1 &');
  await guest.ended;
  return guest.console.slice(booted);
}

/** Where each layout has its dump. */
const DUMPS = { 'kdump-tools': '2*/dump.*', kdumpctl: '127.*/vmcore', extract: 'extract-*/vmcore' } as const;

describe.each(ROOTS)('after a panic of %s with %i MiB', (root, memoryMiB) => {
  const folder = scratchFolder('kdump-guest-');
  let disk: SystemdDisk;
  let machine: SystemdGuest;
  /** What the capture kernel printed. */
  let capture: string;
  beforeAll(async () => {
    disk = new SystemdDisk(
      { ...captureKernel(root), ...HOLDS, ...AS_KDUMPCTL, ...failingUnits() },
      { root, mebibytes: 2048, journal: true },
    );
    const boot = () => disk.boot({ memoryMiB, append: `crashkernel=${CRASHKERNEL} systemd.show_status=no` });
    const first = await boot();
    await first.until('systemctl is-system-running | grep -qx running');
    await first.inside('chmod +x /failing/*/kdump-mem; mkdir /failing/tools; systemctl start holds');
    await first.inside('ln -s /usr/bin/{stat,sed,date,mkdir,rm,sync,timeout,sleep,perl} /failing/tools');
    await first.inside(`systemctl enable as-kdumpctl kdump-mem-vmcore ${FAILURES.map(failingUnit).join(' ')} 2>&1`);
    await first.inside('systemctl enable kdump-mem-triage.path kdump-mem-triage.timer 2>&1');
    capture = await panic(first);
    machine = await boot();
    // Its first run answers all three dumps, one after the other.
    await machine.until('systemctl show kdump-mem-triage -P ExecMainExitTimestampMonotonic | grep -qvx 0');
  });
  afterAll(() => disk?.dispose());

  const dumpOf = async (layout: keyof typeof DUMPS) => (await machine.inside(`ls -d ${CRASH}/${DUMPS[layout]}`)).trim();

  test.each(['kdump-tools', 'kdumpctl', 'extract'] as const)(
    'the service writes its answers beside the dump as %s names it',
    async (layout) => {
      const dump = await dumpOf(layout);
      const listed = await machine.inside(`cd ${dump.replace(/\/[^/]*$/, '')}; ls`);
      // Of an extract no other one is made.
      const answers = ANSWERS.filter((name) => layout !== 'extract' || !name.endsWith('.extract'));
      expect(listed.split('\n').filter((name) => name.startsWith('kdump-mem.'))).toEqual(answers);
      const at = (name: string) => machine.inside(`cat ${dump.replace(/[^/]*$/, name)}`);
      const json: unknown = JSON.parse(await at('kdump-mem.json'));
      const { findings, complete, crashTime } = triageSchema.parse(json);
      expect(crashTime).not.toBeNull();
      expect(findings[0]).toMatchObject({ code: 'panic' });
      expect(await at('kdump-mem.html')).toMatch(/<\/html>\n$/i);
      // The dump is read here as it was read there.
      await machine.inside('sync');
      readFromDisk(disk.path, dump.slice(1), join(folder, layout));
      const here = await kdumpMem('triage', '--json', join(folder, layout));
      expect(triageSchema.parse(JSON.parse(here.stdout))).toMatchObject({ findings, complete, crashTime });
    },
  );

  test('whatever becomes of the program in the capture kernel, the dump follows', async () => {
    expect(await dumpOf('kdump-tools')).toMatch(/\/dump\.\d{12}$/);
    // Of the failing ones nothing is left.
    expect(await machine.inside(`ls -d ${CRASH}/extract-* | wc -l`)).toBe('1\n');
    const statuses = [...capture.matchAll(/kdump-mem: no extract: status (\d+)/g)].map(([, status]) => Number(status));
    expect(statuses).toEqual([127, 3, 137, 137, 137]);
  });

  test('its extract is written before the dump, and has a few megabytes', async () => {
    const extract = await dumpOf('extract');
    const bytes = Number(await machine.inside(`stat -c %s ${extract}`));
    console.info(`extract | ${root} | ${memoryMiB} MiB | ${bytes}`);
    // With the types and symbols of all modules of a generic kernel.
    expect(bytes).toBeLessThanOrEqual(5_500_000);
    expect(capture.indexOf(`${extract}: `)).toBeGreaterThan(0);
    expect(capture.indexOf(`${extract}: `)).toBeLessThan(capture.indexOf('running makedumpfile'));
  });
});
