import { parseNamespaceMounts } from '../../host/namespaces.js';
import type { CapturedFiles } from './captured-files.js';
import { MAX_PROCESS_FILES } from './contents.js';
import { type LinesOf, linesOf, PathLines } from './lines.js';

/** A capture's data for one point in time. */
export interface Moment {
  readonly beganMs: number;
  readonly endedMs: number;
  /** `NETNS inet`, `unix`, `others`, `rare` → output of ss. */
  readonly ss: ReadonlyMap<string, Buffer>;
  readonly files: ReadonlyMap<string, string>;
  /** Files of processes, many in each. */
  readonly lines: readonly PathLines[];
  /** pid (or `self`) → the inode of its network namespace. */
  readonly namespaces: ReadonlyMap<string, string>;
  /** Network namespaces (inodes) that could not be entered. */
  readonly closed: ReadonlySet<string>;
}

/** Maximum number of links and cgroup files to read: some hundred bytes each. */
export const MAX_PATHS = 300_000;

const STATE_LINES: LinesOf = {
  path: /^(\/proc\/\d{1,10}(?:\/task\/\d{1,10})?\/(?:status|comm|wchan|stack|cgroup|stat|schedstat|oom_score|oom_score_adj|limits)):/,
  head: 64,
  limit: MAX_PROCESS_FILES,
};

const MEMORY_LINES: LinesOf = {
  path: /^(\/proc\/\d{1,10}(?:\/task\/\d{1,10})?\/(?:smaps_rollup|smaps|stack)):/,
  head: 64,
  limit: MAX_PROCESS_FILES,
};

const FIRST = 'sample-1/';

/** Identity of the moment, and known damage. */
interface MomentFacts {
  readonly sample: 1 | 2;
  /** Files that are truncated. */
  readonly cut: ReadonlySet<string>;
  /** Receives a message for each problem. */
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
    const [, inode = '', kind = ''] = /^netns-(\d{1,15})\/([\w/]+)$/.exec(own) ?? [];
    if (kind === 'closed') closed.add(inode);
    else if (kind === 'failed') damage.push(`ss failed in network namespace ${inode} (listing ${text().trim()})`);
    else if (kind === 'inet' || kind === 'unix' || kind === 'others' || kind === 'rare')
      ss.set(`${inode} ${kind}`, captured.bytes(name) ?? Buffer.alloc(0));
    else if (kind === 'tcp_max_tw_buckets') files.set(insidePath(inode, `/proc/sys/net/ipv4/${kind}`), text());
    else if (kind.startsWith('net/')) files.set(insidePath(inode, `/proc/${kind}`), text());
  }
  const linesOf = (name: string, form: LinesOf): PathLines => {
    const bytes = captured.bytes(`${prefix}${name}`) ?? Buffer.alloc(0);
    const lines = new PathLines(bytes, form, cut.has(`${prefix}${name}`));
    if (lines.cut) damage.push(`it has more than ${MAX_PROCESS_FILES} process files`);
    return lines;
  };
  // States are recorded before the first sample and after the last, to detect processes that ran in between.
  const [states, clock] = prefix === FIRST ? ['before', 'began'] : ['after', 'ended'];
  const uptime = captured.get(`${prefix}${clock}`);
  if (uptime !== undefined) files.set('/proc/uptime', uptime);
  return {
    beganMs: uptimeMs(captured.get(`${prefix}began`)),
    endedMs: uptimeMs(captured.get(`${prefix}ended`)),
    ss,
    files,
    closed,
    lines: [linesOf(states, STATE_LINES), ...['memory', 'smaps', 'stacks'].map((name) => linesOf(name, MEMORY_LINES))],
    namespaces: namespacesOf(captured, prefix),
  };
}

/** Path in the capture of a file whose contents depend on the network namespace. */
export function insidePath(inode: string, path: string): string {
  return `netns-${inode}${path}`;
}

/** Checks that uptimes increase. */
export function outOfOrder(moments: readonly Moment[]): string[] {
  const times = moments.flatMap(({ beganMs, endedMs }) => [beganMs, endedMs]);
  const good = times.every((time, index) => time > 0 && time >= (times[index - 1] ?? 0));
  return good ? [] : ['the samples have no timestamps'];
}

function uptimeMs(text: string | undefined): number {
  const seconds = Number(/^\d{1,12}(?:\.\d+)?/.exec(text ?? '')?.[0]);
  return Number.isFinite(seconds) ? Math.round(seconds * 1000) : 0;
}

/** Returns the text of a file of a process; undefined: it was not captured. */
export function textOf({ lines }: Moment, path: string): string | undefined {
  for (const pathLines of lines) {
    const text = pathLines.text(path);
    // The first line of a status, the name, is not captured: a placeholder replaces it.
    if (text !== undefined) return path.endsWith('/status') ? `Name:\n${text}` : text;
  }
  return undefined;
}

/** Maximum number of descriptors to read. */
const MAX_LINKS = 300_000;

/** pid (or `self`) → the inode of its network namespace, from `ls -l`. */
function namespacesOf(captured: CapturedFiles, prefix: string): Map<string, string> {
  const text = captured.get(`${prefix}namespaces`) ?? '';
  return new Map(
    [...text.matchAll(/ \/proc\/(\d{1,10}|self)\/ns\/net -> net:\[(\d{1,15})\]$/gm)].map(
      ([, pid = '', inode = '']) => [pid, inode] as const,
    ),
  );
}

/**
 * The links of a sample: namespaces of each captured kind, and descriptors of sockets and pipes from `ls -l`.
 *
 * @param damage receives a message for each problem
 */
export function linksOf(captured: CapturedFiles, sample: number, damage: string[]): Map<string, string> {
  const prefix = `sample-${sample}/`;
  const links = new Map<string, string>();
  for (const { inode, path } of parseNamespaceMounts(captured.get('proc/self/mountinfo') ?? ''))
    links.set(path, `net:[${inode}]`);
  for (const line of linesOf(captured.get(`${prefix}namespaces`) ?? '')) {
    const [, path, kind, target] =
      / (\/proc\/(?:\d{1,10}|self)\/ns\/(\w{1,20})) -> (\w{1,20}:\[\d{1,15}\])$/.exec(line) ?? [];
    if (path !== undefined && target?.startsWith(`${kind}:`)) links.set(path, target);
  }
  const limit = links.size + MAX_LINKS;
  let directory = '';
  for (const line of linesOf(captured.get(`${prefix}descriptors`) ?? '')) {
    if (links.size >= limit) {
      damage.push(`it has more than ${MAX_LINKS} descriptors of sockets and pipes`);
      break;
    }
    const heading = /^(\/proc\/\d{1,10}\/fd):$/.exec(line)?.[1];
    if (heading) directory = heading;
    const link = / (\d{1,10}) -> ((?:socket|pipe):\[\d{1,15}\])$/.exec(line);
    if (link && directory !== '') links.set(`${directory}/${link[1]}`, link[2] ?? '');
  }
  return links;
}
