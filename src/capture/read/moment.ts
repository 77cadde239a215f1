import { MOST_PROCESS_FILES } from './contents.js';
import type { CapturedFiles } from './files.js';
import { namespacesOf } from './links.js';
import { type LinesOf, PathLines } from './path-lines.js';

/** One moment of a capture. */
export interface Moment {
  readonly beganMs: number;
  readonly endedMs: number;
  /** `NETNS inet|unix|others` → what ss said. */
  readonly ss: ReadonlyMap<string, Buffer>;
  readonly files: ReadonlyMap<string, string>;
  /** Files of processes, many in each. */
  readonly lines: readonly PathLines[];
  /** pid (or `self`) → the inode of its network namespace. */
  readonly namespaces: ReadonlyMap<string, string>;
  /** The network namespaces (inodes) that could not be entered. */
  readonly closed: ReadonlySet<string>;
}

/** So many links and files of cgroups are taken: some hundred bytes each. */
export const MOST_PATHS = 300_000;

const OF_STATES: LinesOf = {
  path: /^(\/proc\/\d{1,10}(?:\/task\/\d{1,10})?\/(?:status|comm|wchan|cgroup|stat|schedstat|oom_score|oom_score_adj|limits)):/,
  head: 64,
  most: MOST_PROCESS_FILES,
};

const OF_MEMORY: LinesOf = {
  path: /^(\/proc\/\d{1,10}(?:\/task\/\d{1,10})?\/(?:smaps_rollup|smaps|stack)):/,
  head: 64,
  most: MOST_PROCESS_FILES,
};

const FIRST = 'sample-1/';

/** Which moment, and what is known of damage. */
interface MomentFacts {
  readonly sample: 1 | 2;
  /** Files of which only the beginning is there. */
  readonly cut: ReadonlySet<string>;
  /** Is told what is wrong with it, in words. */
  readonly damage: string[];
}

export function momentOf(captured: CapturedFiles, { sample, cut, damage }: MomentFacts): Moment {
  const prefix = `sample-${sample}/`;
  const ss = new Map<string, Buffer>();
  const files = new Map<string, string>();
  const closed = new Set<string>();
  for (const name of captured.names()) {
    if (!name.startsWith(prefix)) continue;
    const own = name.slice(prefix.length);
    const text = () => captured.get(name) ?? '';
    if (own.startsWith('proc/')) files.set(`/${own}`, text());
    const [, inode = '', what = ''] = /^netns-(\d{1,15})\/([\w/]+)$/.exec(own) ?? [];
    if (what === 'closed') closed.add(inode);
    else if (what === 'failed')
      damage.push(`ss failed in network namespace ${inode} (listing ${text().trim()})`);
    else if (what === 'inet' || what === 'unix' || what === 'others')
      ss.set(`${inode} ${what}`, captured.bytes(name) ?? Buffer.alloc(0));
    else if (what === 'tcp_max_tw_buckets')
      files.set(insidePath(inode, `/proc/sys/net/ipv4/${what}`), text());
    else if (what.startsWith('net/')) files.set(insidePath(inode, `/proc/${what}`), text());
  }
  const linesOf = (name: string, form: LinesOf): PathLines => {
    const bytes = captured.bytes(`${prefix}${name}`) ?? Buffer.alloc(0);
    const lines = new PathLines(bytes, form, cut.has(`${prefix}${name}`));
    if (lines.cut) damage.push(`it has more than ${MOST_PROCESS_FILES} process files`);
    return lines;
  };
  // What ran between the samples is told from before the first until after the last.
  const [states, clock] = prefix === FIRST ? ['before', 'began'] : ['after', 'ended'];
  const uptime = captured.get(`${prefix}${clock}`);
  if (uptime !== undefined) files.set('/proc/uptime', uptime);
  return {
    beganMs: uptimeMs(captured.get(`${prefix}began`)),
    endedMs: uptimeMs(captured.get(`${prefix}ended`)),
    ss,
    files,
    closed,
    lines: [
      linesOf(states, OF_STATES),
      ...['memory', 'smaps', 'stacks'].map((name) => linesOf(name, OF_MEMORY)),
    ],
    namespaces: namespacesOf(captured, prefix),
  };
}

/** Where a file is kept that reads differently in each network namespace. */
export function insidePath(inode: string, path: string): string {
  return `netns-${inode}${path}`;
}

/** The clock of a host never goes back. */
export function outOfOrder(moments: readonly Moment[]): string[] {
  const times = moments.flatMap(({ beganMs, endedMs }) => [beganMs, endedMs]);
  const good = times.every((time, index) => time > 0 && time >= (times[index - 1] ?? 0));
  return good ? [] : ['the samples have no timestamps'];
}

function uptimeMs(text: string | undefined): number {
  const seconds = Number(/^\d{1,12}(?:\.\d+)?/.exec(text ?? '')?.[0]);
  return Number.isFinite(seconds) ? Math.round(seconds * 1000) : 0;
}

/** The text of a file of a process; undefined: it was not captured. */
export function textOf({ lines }: Moment, path: string): string | undefined {
  for (const each of lines) {
    const text = each.text(path);
    // Its first line, the name, is left out of a status: a reader skips it.
    if (text !== undefined) return path.endsWith('/status') ? `Name:\n${text}` : text;
  }
  return undefined;
}
