import { HostError } from '../error.js';
import type { HostSource, OnBytes } from '../host-source.js';
import { parseNamespaceMounts } from '../namespaces.js';
import type { CapturedFiles } from './files.js';
import { MANIFEST } from './manifest.js';
import { readSosreport } from './sosreport.js';

/** One moment of a capture. */
interface Moment {
  readonly beganMs: number;
  readonly endedMs: number;
  /** `NETNS inet|unix|others` → what ss said. */
  readonly ss: ReadonlyMap<string, Buffer>;
  readonly files: ReadonlyMap<string, string>;
  /** pid (or `self`) → the inode of its network namespace. */
  readonly namespaces: ReadonlyMap<string, string>;
  /** The network namespaces (inodes) that could not be entered. */
  readonly closed: ReadonlySet<string>;
}

/**
 * A host as a capture or a sosreport shows it: time stands still, and goes on to the next sample when it
 * is slept. What was not captured is `gone`.
 */
export class CapturedHost implements HostSource {
  readonly #moments: readonly Moment[];
  readonly #files: ReadonlyMap<string, string>;
  readonly #links: ReadonlyMap<string, string>;
  readonly #children = new Map<string, Set<string>>();
  /** What the kernel told the program that captured, the size of a page among it. */
  readonly #auxv: Buffer | undefined;
  /** What the ss there did not know. */
  readonly #unknown: readonly string[];
  #index = 0;
  /** Something of this moment's sockets was read: it is as late as its end. */
  #read = false;
  /** When the last sample was taken, as the host's clock said; null when it is not told. */
  readonly taken: Date | null;
  /** `capture`: our own; `sosreport`. */
  readonly kind: 'capture' | 'sosreport';

  /**
   * What is missing or damaged, in words: never an all-clear then. A capture without a manifest is older
   * than those, or has lost it: `unproved` says so.
   */
  readonly damage: readonly string[];
  readonly unproved: boolean;

  constructor(captured: CapturedFiles) {
    const damage = [...captured.damage];
    this.damage = damage;
    this.unproved = !captured.has(MANIFEST);
    this.kind = captured.has('version') ? 'capture' : 'sosreport';
    const files = new Map<string, string>();
    for (const name of captured.names())
      if (name.startsWith('proc/')) files.set(`/${name}`, captured.get(name) ?? '');
    if (this.kind === 'sosreport') {
      const report = readSosreport(captured);
      for (const [path, text] of report.files) files.set(path, text);
      this.#links = report.links;
      this.#moments = [
        {
          beganMs: 0,
          endedMs: 0,
          ss: new Map([...report.ss].map(([key, text]) => [key, Buffer.from(text)])),
          files: new Map(),
          namespaces: new Map(),
          closed: new Set(),
        },
      ];
    } else {
      this.#moments = [FIRST, 'sample-2/']
        .filter((prefix) => captured.has(`${prefix}began`))
        .map((prefix) => momentOf(captured, prefix, damage));
      this.#links = linksOf(captured, this.#moments.length, damage);
      damage.push(...outOfOrder(this.#moments));
    }
    if (this.#moments.length === 0)
      throw new HostError('not-a-capture', 'the capture holds no sample of sockets');
    this.#files = files;
    this.#auxv = captured.bytes(AUXV.slice(1));
    this.#unknown = (captured.get('unknown-tables') ?? '')
      .split(/\s+/)
      .filter((word) => /^\w{1,20}$/.test(word));
    const date = new Date(captured.get('taken')?.trim() ?? Number.NaN);
    this.taken = Number.isNaN(date.getTime()) ? null : date;
    const last = this.#moments.at(-1)?.files ?? new Map<string, string>();
    for (const path of [...files.keys(), ...this.#links.keys(), ...last.keys()]) this.#note(path);
  }

  /** How many samples there are: 1 or 2. */
  get samples(): number {
    return this.#moments.length;
  }

  /** Milliseconds between the samples. */
  get intervalMs(): number {
    const [first, last] = this.#moments;
    return first && last ? Math.max(1, last.beganMs - first.endedMs) : 0;
  }

  async ss(
    args: readonly string[],
    netns: string | null,
    onBytes: OnBytes,
  ): Promise<readonly string[]> {
    this.#read = true;
    const inode = /\d+/.exec(this.#links.get(netns ?? '/proc/self/ns/net') ?? '')?.[0] ?? 'own';
    if (this.#moment.closed.has(inode))
      throw new HostError('netns-closed', `the network namespace ${netns} could not be entered`);
    const group = args.includes('-x') ? 'unix' : args.includes('-A') ? 'others' : 'inet';
    const text = this.#moment.ss.get(`${inode} ${group}`);
    const unknown = group === 'others' ? this.#unknown : [];
    if (text === undefined) {
      if (group !== 'inet' || this.#index > 0) return unknown;
      if (netns !== null && [...this.#moment.ss.keys()].some((key) => key.endsWith(' inet')))
        throw new HostError('gone', `the network namespace ${netns} was not captured`);
      throw new HostError('ss-missing', 'there was no ss where this was captured');
    }
    onBytes(text);
    return unknown;
  }

  readText(path: string): string {
    const text = this.#moment.files.get(path) ?? this.#files.get(path) ?? this.#netTable(path);
    if (text === undefined) throw new HostError('gone', `${path} was not captured`);
    return text;
  }

  /** A table of /proc/PID/net is kept once for each namespace. */
  #netTable(path: string): string | undefined {
    const [, pid = '', table = ''] = /^\/proc\/(\d{1,10}|self)\/net\/(\w+)$/.exec(path) ?? [];
    const inode = this.#moment.namespaces.get(pid);
    return inode === undefined
      ? undefined
      : this.#moment.files.get(insidePath(inode, `/proc/net/${table}`));
  }

  readTextIn(netns: string, path: string): string {
    const inode = /\d+/.exec(this.readLink(netns))?.[0] ?? '';
    return this.readText(insidePath(inode, path));
  }

  readBytes(path: string, onBytes: OnBytes): void {
    if (path !== AUXV || this.#auxv === undefined)
      throw new HostError('gone', `${path} was not captured`);
    onBytes(this.#auxv);
  }

  readLink(path: string): string {
    const target = this.#links.get(path);
    if (target === undefined) throw new HostError('gone', `${path} was not captured`);
    return target;
  }

  list(path: string): readonly string[] {
    const names = this.#children.get(path);
    if (!names) throw new HostError('gone', `${path} was not captured`);
    return [...names];
  }

  size(path: string): number {
    return this.list(path).length;
  }

  now(): number {
    return this.#read ? this.#moment.endedMs : this.#moment.beganMs;
  }

  async sleep(): Promise<void> {
    if (this.#index + 1 >= this.#moments.length) return;
    this.#index++;
    this.#read = false;
  }

  get #moment(): Moment {
    const moment = this.#moments[this.#index];
    if (!moment) throw new RangeError('no such moment');
    return moment;
  }

  #note(path: string): void {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      const parent = path.slice(0, at);
      const rest = path.slice(at + 1);
      const end = rest.indexOf('/');
      const name = end < 0 ? rest : rest.slice(0, end);
      const known = this.#children.get(parent);
      if (known) {
        if (known.has(name)) return;
        known.add(name);
      } else this.#children.set(parent, new Set([name]));
    }
  }
}

const FIRST = 'sample-1/';
const AUXV = '/proc/self/auxv';

/** Where a file is kept that reads differently in each network namespace. */
function insidePath(inode: string, path: string): string {
  return `netns-${inode}${path}`;
}

function momentOf(captured: CapturedFiles, prefix: string, damage: string[]): Moment {
  const ss = new Map<string, Buffer>();
  const files = new Map<string, string>();
  const closed = new Set<string>();
  for (const name of captured.names()) {
    if (!name.startsWith(prefix)) continue;
    const [, inode = '', what = ''] =
      /^netns-(\d{1,15})\/([\w/]+)$/.exec(name.slice(prefix.length)) ?? [];
    const text = () => captured.get(name) ?? '';
    if (what === 'closed') closed.add(inode);
    else if (what === 'failed')
      damage.push(`ss failed in network namespace ${inode} (asked for ${text().trim()})`);
    else if (what === 'inet' || what === 'unix' || what === 'others')
      ss.set(`${inode} ${what}`, captured.bytes(name) ?? Buffer.alloc(0));
    else if (what === 'tcp_max_tw_buckets')
      files.set(insidePath(inode, `/proc/sys/net/ipv4/${what}`), text());
    else if (what.startsWith('net/')) files.set(insidePath(inode, `/proc/${what}`), text());
  }
  // What ran between the samples is told from before the first until after the last.
  const states = captured.get(`${prefix}${prefix === FIRST ? 'before' : 'after'}`) ?? '';
  for (const line of linesOf(states)) {
    if (files.size >= MOST_PATHS) {
      damage.push(`it has more than ${MOST_PATHS} files of processes`);
      break;
    }
    const found =
      /^(\/proc\/\d{1,10}(?:\/task\/\d{1,10})?\/(?:status|comm|wchan|cgroup|stat|schedstat)):(.*)$/s.exec(
        line,
      );
    if (!found?.[1]) continue;
    // Its first line, the name, is left out of a status: a reader skips it.
    const before = files.get(found[1]) ?? (found[1].endsWith('/status') ? 'Name:\n' : '');
    files.set(found[1], `${before}${found[2]}\n`);
  }
  return {
    beganMs: uptimeMs(captured.get(`${prefix}began`)),
    endedMs: uptimeMs(captured.get(`${prefix}ended`)),
    ss,
    files,
    namespaces: namespacesOf(captured, prefix),
    closed,
  };
}

/** So many files of processes, and links, are taken: some hundred bytes each. */
const MOST_PATHS = 300_000;

/** The lines of a text one by one, not all of them at once. */
function* linesOf(text: string): Generator<string> {
  for (let from = 0; from < text.length; ) {
    const end = text.indexOf('\n', from);
    const to = end < 0 ? text.length : end;
    yield text.slice(from, to);
    from = to + 1;
  }
}

/** The clock of a host never goes back. */
function outOfOrder(moments: readonly Moment[]): string[] {
  const times = moments.flatMap(({ beganMs, endedMs }) => [beganMs, endedMs]);
  const good = times.every((time, index) => time > 0 && time >= (times[index - 1] ?? 0));
  return good ? [] : ['its samples do not say when they were taken'];
}

function uptimeMs(text: string | undefined): number {
  const seconds = Number(/^\d{1,12}(?:\.\d+)?/.exec(text ?? '')?.[0]);
  return Number.isFinite(seconds) ? Math.round(seconds * 1000) : 0;
}

/** pid (or `self`) → the inode of its network namespace, from `ls -l`. */
function namespacesOf(captured: CapturedFiles, prefix: string): Map<string, string> {
  const text = captured.get(`${prefix}namespaces`) ?? '';
  return new Map(
    [...text.matchAll(/ \/proc\/(\d{1,10}|self)\/ns\/net -> net:\[(\d{1,15})\]$/gm)].map(
      ([, pid = '', inode = '']) => [pid, inode] as const,
    ),
  );
}

/** The links of the last sample: namespaces, and descriptors of sockets from `ls -l`. */
function linksOf(captured: CapturedFiles, number: number, damage: string[]): Map<string, string> {
  const prefix = `sample-${number}/`;
  const links = new Map<string, string>();
  for (const { inode, path } of parseNamespaceMounts(captured.get('proc/self/mountinfo') ?? ''))
    links.set(path, `net:[${inode}]`);
  for (const [pid, inode] of namespacesOf(captured, prefix))
    links.set(`/proc/${pid}/ns/net`, `net:[${inode}]`);
  let directory = '';
  for (const line of linesOf(captured.get(`${prefix}descriptors`) ?? '')) {
    if (links.size >= MOST_PATHS) {
      damage.push(`it has more than ${MOST_PATHS} descriptors of sockets`);
      break;
    }
    const heading = /^(\/proc\/\d{1,10}\/fd):$/.exec(line)?.[1];
    if (heading) directory = heading;
    const link = / (\d{1,10}) -> (socket:\[\d{1,15}\])$/.exec(line);
    if (link && directory !== '') links.set(`${directory}/${link[1]}`, link[2] ?? '');
  }
  return links;
}
