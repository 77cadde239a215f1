import type { DrawerName } from './drawers.js';
import type { FlaggedMachine } from './flagged-machine.js';
import { counterSlack, freeCounts, procCounters } from './proc-counters.js';

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

/** A drawer that page flags and the kernel's counter measure differently. */
interface Disagreement {
  readonly drawer: DrawerName | undefined;
  readonly message: string;
}

/** Drawers and counters of the same that differ by more than a look at a running machine explains. */
export function disagreements(
  machine: FlaggedMachine,
  frames: ReadonlyMap<DrawerName, { readonly frames: number }>,
): Disagreement[] {
  const { before, after } = machine;
  const [earlier, later] = [procCounters(before), procCounters(after)];
  const found: Disagreement[] = [];
  for (const { drawer, counts } of COMPARED) {
    const [one, other] = [earlier.get(drawer), later.get(drawer)];
    if (!one || !other || !('bytes' in one) || !('bytes' in other)) continue;
    const [from, to] = [one.bytes, other.bytes]
      .map((bytes) => bytes / after.pageSize)
      .sort((a, b) => a - b) as [number, number];
    const slack = counterSlack(after) / after.pageSize;
    const ours = frames.get(drawer)?.frames ?? 0;
    if (ours < from - slack || (counts === 'all' && ours > to + slack))
      found.push({
        drawer,
        message: `${drawer}: ${ours} pages by their flags, and the kernel counts ${from === to ? to : `${from} to ${to}`}`,
      });
  }
  const unmanaged = ((after.meminfo.get('MemTotal') ?? 0) - (after.managed ?? 0)) / after.pageSize;
  const isUnknown = unmanaged > 0 && !freeCounts(after)?.uninitialized;
  if (found.length > 0 && after.managed !== undefined && isUnknown)
    found.push({
      drawer: undefined,
      message: `zones manage ${unmanaged} pages less than MemTotal counts`,
    });
  return found;
}
