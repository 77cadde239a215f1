import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { MAX_MS, SystemdDisk, type SystemdGuest } from '../systemd-guest.js';

const AT = '/var/crash/202611200412';
/** In the order in which the service writes them. */
const WRITTEN = ['kdump-mem.extract', 'kdump-mem.txt', 'kdump-mem.html', 'kdump-mem.json'];
/** Moments at which the power fails: conditions on the files of this boot, and whether answers are still missing then. */
const MOMENTS = [
  ['compgen -G ".kdump-mem.extract.*.partial"', true],
  ['[ kdump-mem.extract -nt /begun ]', true],
  // The page and the JSON follow at once.
  ['[ kdump-mem.txt -nt /begun ]', false],
] as const;
const FREEZE = '/sys/fs/cgroup/system.slice/kdump-mem-triage.service/cgroup.freeze';

let disk: SystemdDisk | undefined;
afterAll(() => disk?.dispose());

/** SHA-256 of the answers that do not have the time of the run in them, by name. */
async function sums({ inside }: SystemdGuest): Promise<Map<string, string>> {
  const lines = (
    await inside(`cd ${AT}; sha256sum kdump-mem.extract kdump-mem.txt kdump-mem.json 2> /dev/null`, true)
  ).trim();
  return new Map(
    lines.split('\n').flatMap((line) => (line === '' ? [] : [line.split('  ').toReversed() as [string, string]])),
  );
}

test(
  'a machine that fails while answers are written has no half file, and its next boot completes them',
  async () => {
    // Its memory fits in a guest, and its answers take seconds there.
    const dump = readFileSync('fixtures/incident.vmcore');
    disk = new SystemdDisk({ [`${AT.slice(1)}/dump.202611200412`]: dump }, { journal: true });
    const found: Map<string, string>[] = [];
    const whole = async (machine: SystemdGuest) => {
      found.push(await sums(machine));
      // An empty file is half of one.
      expect(await machine.inside(`cd ${AT}; find . -name 'kdump-mem.*' -size 0`)).toBe('');
      const page = await machine.inside(`cd ${AT}; [ ! -e kdump-mem.html ] || tail -c 8 kdump-mem.html`);
      expect(['', '</html>\n']).toContain(page);
    };
    for (const [moment, isUnfinished] of MOMENTS) {
      const machine = await disk.boot({ append: 'systemd.show_status=no' });
      await whole(machine);
      await machine.inside(`touch -d '1 hour ago' ${AT}/dump.*; rm -f /stopped; touch /begun; sleep 1`);
      await machine.inside('systemctl start --no-block kdump-mem-triage');
      // The writer stands still while QEMU is killed. It has the CPU only when nothing else wants it.
      await machine.inside(
        `cd ${AT}; (until ${moment}; do sleep 0.3; done; echo 1 > ${FREEZE}; touch /stopped) > /dev/null 2>&1 &`,
      );
      while ((await machine.inside('sleep 2; ls /stopped', true)) !== '/stopped\n');
      if (isUnfinished)
        expect(await machine.inside(`cd ${AT}; ls kdump-mem.json || echo unfinished`)).toContain('unfinished');
      machine.guest.kill();
      await machine.guest.ended;
    }
    const last = await disk.boot({ append: 'systemd.show_status=no' });
    await whole(last);
    await last.inside('systemctl start --no-block kdump-mem-triage');
    while (
      !/=(?:inactive|failed)\n/.test(await last.inside('sleep 2; systemctl show kdump-mem-triage -p ActiveState'))
    );
    const listed = await last.inside(`cd ${AT}; ls -A | sort`);
    expect(listed.trim().split('\n')).toEqual(['dump.202611200412', ...WRITTEN].toSorted());
    const final = await sums(last);
    expect([...final.keys()].toSorted()).toEqual(['kdump-mem.extract', 'kdump-mem.json', 'kdump-mem.txt']);
    // What was there after a failure was there as a whole. A name may be lost: only the content is synced.
    for (const earlier of found)
      for (const [name, sum] of earlier) expect([name, sum]).toEqual([name, final.get(name)]);
  },
  6 * MAX_MS,
);
