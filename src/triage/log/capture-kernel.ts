import { type Finding, found, type LogEvidence } from '../finding.js';
import type { USE_WORDS } from '../findings/memory.js';

/** Why a capture kernel saved no dump, the most specific first. */
const FAILURES = {
  memory: /Can(?:'t|not) allocate (?:\w+ )*memory|System is deadlocked on memory/,
  space: /No space left on device|Disk quota exceeded/,
  network:
    /No route to host|Network is unreachable|[Nn]etwork (?:still isn't ready|not reachable)|[Ff]ailed to get (?:remote IP|IP of)|ssh: .* (?:Connection|resolve hostname)|Host key verification failed|mount\.nfs: |nfs: server \S+ not responding/,
  device:
    /Timed out waiting for device|it's not a mount point|[Ff]ailed to mount (?:rootfs|\/)|Warning: \/dev\/\S+ does not exist/,
  timeout: /dracut-initqueue timeout|[Tt]imed out while|operation timed out/,
  collector: /(?:saving|save) vmcore(?: failed| in )|makedumpfile [Ff]ailed|open_dump_memory: Can't/,
} as const satisfies Readonly<Record<string, RegExp>>;
type Reason = keyof typeof FAILURES;
const REASONS = Object.keys(FAILURES) as Reason[];

/** A capture kernel gets the place of the old kernel's memory; programs of kdump name themselves. */
const CAPTURE = /\belfcorehdr=|\bkdump(?:\.sh|-tools)?(?:\[\d+\])?: (?:\S+: )?(?:saving|saved|failed to save) /;
const SAVED = /saving vmcore complete|saved vmcore in |makedumpfile Completed|The dumpfile is saved to/;

/** Words of all these lines. */
export const CAPTURE_LINES = [CAPTURE, SAVED, ...Object.values(FAILURES)].map(({ source }) => source);

const MAX_EVIDENCE = 4;

/** Recognizes why a capture kernel (kdump) saved no dump, in the log of one boot. */
export class CaptureKernelReader {
  #isCapture = false;
  #isSaved = false;
  readonly #lines = new Map<Reason, LogEvidence[]>();
  /** The last report: its victim was still in memory. */
  #oom: Finding | undefined;
  /** Kills before it. */
  #kills = 0;
  /** Null: a report does not have it. */
  #killedBytes: number | null = 0;

  take(text: string, evidence: () => LogEvidence): void {
    this.#isCapture ||= CAPTURE.test(text);
    // makedumpfile also saves the log, before the dump.
    if (!/dmesg/.test(text)) this.#isSaved ||= SAVED.test(text);
    const reason = REASONS.find((cause) => FAILURES[cause].test(text));
    if (reason === undefined) return;
    const lines = this.#lines.get(reason) ?? [];
    this.#lines.set(reason, lines);
    if (lines.length < MAX_EVIDENCE) lines.push(evidence());
  }

  /** @param finding any finding of this boot */
  takeFinding(finding: Finding): void {
    const { code, figures } = finding;
    if (code !== 'oom-kill' || figures.scope === 'cgroup') return;
    const earlier = this.#oom?.figures;
    this.#oom = finding;
    if (earlier?.outcome !== 'killed') return;
    this.#kills++;
    const bytes = earlier.victimRssBytes;
    this.#killedBytes = this.#killedBytes === null || typeof bytes !== 'number' ? null : this.#killedBytes + bytes;
  }

  /** Ends a boot. Undefined: its kernel is no capture kernel, or saved the dump, or its log does not tell why not. */
  end(): Finding | undefined {
    const [isCapture, isSaved, oom] = [this.#isCapture, this.#isSaved, this.#oom];
    const first = REASONS.find((cause) => this.#lines.has(cause));
    const reason = oom ? 'memory' : first;
    const evidence = reason === undefined ? [] : [...(oom?.evidence ?? []), ...(this.#lines.get(reason) ?? [])];
    const memory = oom && needed(oom, this.#kills, this.#killedBytes);
    this.#isCapture = this.#isSaved = false;
    this.#lines.clear();
    this.#oom = undefined;
    this.#kills = this.#killedBytes = 0;
    if (!isCapture || isSaved || reason === undefined) return undefined;
    const figures = { reason, ...memory };
    return found('no-dump', 'warning', figures, undefined, { evidence: evidence.slice(0, MAX_EVIDENCE) });
  }
}

/** How much memory the capture kernel needed, by its last report of the OOM killer. */
function needed({ figures, oom }: Finding, kills: number, killedBytes: number | null) {
  const number = (name: string): number | null => {
    const figure = figures[name];
    return typeof figure === 'number' ? figure : null;
  };
  const [ramBytes, order, page] = [number('ramBytes'), number('order'), number('pageSizeBytes')];
  // SysRq-f has the order -1.
  const requestBytes = page === null ? null : page * 2 ** Math.max(0, order ?? 0);
  const [free, min] = [number('zoneFreeBytes'), number('zoneMinBytes')];
  const shortBytes =
    requestBytes === null
      ? null
      : free === null || min === null
        ? requestBytes
        : Math.max(requestBytes, min + requestBytes - free);
  const moreThanBytes = ramBytes === null || shortBytes === null ? null : ramBytes + shortBytes;
  const uses = (
    [
      ['anonymous', 'anonBytes'],
      ['shared', 'sharedBytes'],
      ['unevictable', 'unevictableBytes'],
      ['slab', 'slabBytes'],
      ['page-tables', 'pageTableBytes'],
      ['uncounted', 'unattributedBytes'],
    ] as const satisfies (readonly [keyof typeof USE_WORDS, string])[]
  ).map(([use, name]) => ({
    use,
    // Shared memory is on the anonymous lists.
    bytes: (number(name) ?? 0) - (use === 'anonymous' ? (number('sharedBytes') ?? 0) : 0),
  }));
  const [most] = uses.toSorted((a, b) => b.bytes - a.bytes);
  const [site] = oom?.sites.toSorted((a, b) => b.aboutBytes - a.aboutBytes) ?? [];
  return {
    ramBytes,
    reservedBytes: number('reservedBytes'),
    freeBytes: number('freeBytes'),
    shortBytes,
    moreThanBytes,
    kills,
    /** What the processes killed before would also have used: an estimate, since they might have exited. */
    aboutBytes: moreThanBytes === null || killedBytes === null || kills === 0 ? null : moreThanBytes + killedBytes,
    use: most && most.bytes > 0 ? most.use : null,
    useBytes: most && most.bytes > 0 ? most.bytes : null,
    pid: number('largestPid'),
    comm: typeof figures.largestComm === 'string' ? figures.largestComm : null,
    rssBytes: number('largestRssBytes'),
    site: site?.site ?? null,
    siteBytes: site?.aboutBytes ?? null,
  };
}
