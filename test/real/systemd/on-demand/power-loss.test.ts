import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { folderFromDisk } from '../../../../scripts/lab-parts/disk.mjs';
import { scratchFolder } from '../../../support/scratch.js';
import { SystemdDisk, type SystemdGuest } from '../systemd-guest.js';

const CRASH = '/var/crash';
const DUMP = 'dump.202611200412';
const ANSWERS = ['kdump-mem.extract', 'kdump-mem.html', 'kdump-mem.json', 'kdump-mem.txt'];
const MIN_MOMENTS = 10;
const UID = 1234;

/**
 * Stops the service whenever the files of the dump's folder change: another name, or a file that has doubled. The guest
 * has one CPU: two are emulated in turn by one thread, so this program would not interrupt the service.
 */
const MOMENTS = `
my $last = '';
chdir '${CRASH}/moments' or die;
sub service { open my $at, '>', '/sys/fs/cgroup/system.slice/kdump-mem-triage.service/cgroup.freeze' or return; print $at shift; close $at }
for (;;) {
  opendir my $folder, '.'; my @names = sort grep { /kdump-mem/ } readdir $folder; closedir $folder;
  my $seen = join ' ', map { /^\\.(.*)\\.\\w+\\.partial$/ ? "$1/" . int(log((-s || 0) + 1) / log 2) : $_ } @names;
  if ($seen ne $last) {
    service(1);
    $last = $seen;
    open my $at, '>', '/moment.new'; print $at $seen; close $at; rename '/moment.new', '/moment';
    select undef, undef, undef, 0.1 while -e '/moment';
    service(0);
  }
  select undef, undef, undef, 0.004;
}
`;

/** A file, and its owner. */
interface Left {
  readonly bytes: Buffer;
  readonly uid: number;
}
type Folder = ReadonlyMap<string, Left>;

const scratch = scratchFolder('power-loss-');
const disks: SystemdDisk[] = [];
afterAll(() => {
  for (const disk of disks) disk.dispose();
});

function disk(files: Record<string, Uint8Array | string>): SystemdDisk {
  const made = new SystemdDisk(files, { journal: true });
  disks.push(made);
  return made;
}

/** Boots with dumps that are not of this moment, and of another owner. */
async function boot(of: SystemdDisk, cpus = 2): Promise<SystemdGuest> {
  const machine = await of.boot({ cpus, append: 'systemd.show_status=no' });
  await machine.inside(`touch -d '1 hour ago' ${CRASH}/*/dump.*; chown ${UID}:${UID} ${CRASH}/*/dump.*; sync`);
  return machine;
}

// systemd forgets a service that nothing refers to as soon as it has ended.
const START = '(systemctl start kdump-mem-triage; touch /ended) > /dev/null 2>&1 &';
const ENDED = '[ -e /ended ] && echo true';

/** The dump's folder as a power failure leaves it. */
function afterFailure(image: string, name: string): Folder {
  const into = join(scratch, name);
  folderFromDisk(image, `${CRASH}/moments`, into);
  const folder = join(into, 'moments');
  const leftOf = (file: string) => ({ bytes: readFileSync(file), uid: statSync(file).uid });
  return new Map(readdirSync(folder).map((file) => [file, leftOf(join(folder, file))]));
}

/** A sum of what is the same in each run and folder; null: a page has the time of its run. */
function sumOf(name: string, bytes: Buffer): string | null {
  if (name.endsWith('.html')) return null;
  const own = name.endsWith('.extract') ? bytes : bytes.toString().replaceAll(/\/var\/crash\/\w+\//g, '');
  return createHash('sha256').update(own).digest('hex');
}

test('a machine that fails while answers are written has no half file, and its next boot completes them', async () => {
  // Its memory fits in a guest, and its answers take seconds there.
  const dump = readFileSync('fixtures/incident.vmcore');
  const failing = disk({ [`${CRASH.slice(1)}/moments/${DUMP}`]: dump, 'moments.pl': MOMENTS });
  const machine = await boot(failing, 1);
  await machine.inside('perl /moments.pl > /moments.log 2>&1 &');
  await machine.inside(START);
  const found: { readonly seen: string; readonly left: Folder }[] = [];
  for (;;) {
    const wait = 'for i in {1..20}; do [ -e /moment ] && cat /moment && break; sleep 1; done';
    const seen = await machine.inside(wait, true);
    if (seen !== '') {
      // Every second time the disk has all that was written by then, synced by kdump-mem or not.
      if (found.length % 2 === 1) await machine.inside('sync');
      const copy = join(scratch, 'copy');
      machine.guest.copyDisk(failing.path, copy);
      found.push({ seen, left: afterFailure(copy, `moment-${found.length}`) });
      await machine.inside('rm /moment');
    } else if ((await machine.inside(ENDED, true)) !== '') break;
  }
  await machine.inside('sync');
  machine.guest.kill();
  await machine.guest.ended;
  const whole = afterFailure(failing.path, 'whole');
  expect([...whole.keys()].toSorted()).toEqual([DUMP, ...ANSWERS]);
  const expected = new Map([...whole].map(([name, { bytes }]) => [name, sumOf(name, bytes)]));
  const isHalf = (name: string) => name.endsWith('.partial');

  expect(new Set(found.map(({ seen }) => seen)).size).toBeGreaterThanOrEqual(MIN_MOMENTS);
  // Half files and missing answers were among them, otherwise nothing was tested.
  expect(found.some(({ left }) => [...left].some(([name, { bytes }]) => isHalf(name) && bytes.length > 0))).toBe(true);
  expect(found.filter(({ left }) => !left.has('kdump-mem.json')).length).toBeGreaterThanOrEqual(MIN_MOMENTS - 1);
  // What is there after a failure is whole. A name may be lost: only the content is synced.
  for (const { seen, left } of [...found, { seen: 'end', left: whole }])
    for (const [name, { bytes, uid }] of left) {
      if (isHalf(name)) continue;
      expect([seen, name, sumOf(name, bytes)]).toEqual([seen, name, expected.get(name)]);
      if (name.endsWith('.html')) expect(bytes.toString()).toMatch(/<\/html>\n$/);
      // No later run comes back to an answer that has its last file.
      if (left.has('kdump-mem.json')) expect([seen, name, uid]).toEqual([seen, name, UID]);
    }

  // One boot completes what was left: half of an extract, and the most without JSON. Each takes its guest minutes.
  const sizeOf = (name: RegExp, left: Folder) => [...left].find((one) => name.test(one[0]))?.[1].bytes.length ?? 0;
  const completed = [
    found.find(({ left }) => sizeOf(/extract\..*\.partial$/, left) > 0)!,
    found.findLast(({ left }) => left.has('kdump-mem.extract') && !left.has('kdump-mem.json'))!,
  ];
  const files = completed.flatMap(({ left }, moment) =>
    [...left].map(([name, { bytes }]) => [`${CRASH.slice(1)}/${moment}/${name}`, bytes] as const),
  );
  const next = await boot(disk(Object.fromEntries(files)));
  await next.inside(START);
  await next.until(ENDED);
  await next.inside('sync');
  next.guest.kill();
  await next.guest.ended;
  folderFromDisk(disks[1]!.path, CRASH, join(scratch, 'next'));
  for (const [moment, { seen }] of completed.entries()) {
    const folder = join(scratch, 'next/crash', `${moment}`);
    expect([seen, readdirSync(folder).toSorted()]).toEqual([seen, [DUMP, ...ANSWERS]]);
    for (const name of ANSWERS) {
      const sum = sumOf(name, readFileSync(join(folder, name)));
      expect([seen, name, sum]).toEqual([seen, name, expected.get(name)]);
    }
  }
});
