import type { DrawerName } from './drawers.js';
import type { FlaggedMachine } from './flagged-machine.js';
import { procCounters } from './proc-counters.js';
import { MOST_ON_CPU } from './split-frames.js';

/** Drawers whose frames say what they are, and that the kernel counts; of some it counts only a part. */
const COMPARED: readonly { readonly drawer: DrawerName; readonly counts: 'all' | 'some' }[] = [
  { drawer: 'free-buddy', counts: 'all' },
  { drawer: 'shared', counts: 'all' },
  { drawer: 'swap-cache', counts: 'all' },
  { drawer: 'hugetlb', counts: 'all' },
  // What is mapped; and pages of files that are truncated stay where they are.
  { drawer: 'anonymous', counts: 'some' },
  { drawer: 'page-cache', counts: 'some' },
];

/** So much of RAM may come and go during a look without a counter showing it before or after. */
const MOVES = 1 / 200;

/** Drawers and counters of the same that differ by more than a look at a running machine explains. */
export function disagreements(
  machine: FlaggedMachine,
  frames: ReadonlyMap<DrawerName, { readonly frames: number }>,
): string[] {
  const { before, after } = machine;
  const [earlier, later] = [procCounters(before), procCounters(after)];
  const ram = (after.present ?? 0) / after.pageSize;
  const found: string[] = [];
  for (const { drawer, counts } of COMPARED) {
    const [one, other] = [earlier.get(drawer), later.get(drawer)];
    if (!one || !other || !('bytes' in one) || !('bytes' in other)) continue;
    const [from, to] = [one.bytes, other.bytes]
      .map((bytes) => bytes / after.pageSize)
      .sort((a, b) => a - b) as [number, number];
    const slack = Math.ceil(Math.max(MOST_ON_CPU * after.cpus, ram * MOVES));
    const ours = frames.get(drawer)?.frames ?? 0;
    if (ours < from - slack || (counts === 'all' && ours > to + slack))
      found.push(
        `${drawer}: ${ours} pages by their flags, and the kernel counts ${from === to ? to : `${from} to ${to}`}`,
      );
  }
  const unmanaged = ((after.meminfo.get('MemTotal') ?? 0) - (after.managed ?? 0)) / after.pageSize;
  if (found.length > 0 && after.managed !== undefined && unmanaged > 0)
    found.push(
      `zones manage ${unmanaged} pages less than MemTotal has: the kernel may not have set up their struct pages yet`,
    );
  return found;
}
