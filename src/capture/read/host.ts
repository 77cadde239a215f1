import { HostError, hostOrNull } from '../../base/errors.js';
import type { HostSource, OnBytes } from '../../host/host-source.js';
import { readPageSize } from '../../host/proc/memory.js';
import { RARE_TABLES } from '../../host/unlisted-sockets.js';
import type { Pasted } from '../../records/pasted.js';
import type { CapturedFiles } from './captured-files.js';
import { LAYOUT_VERSION, SYSV_QUEUES } from './contents.js';
import { contradictionsOf, type MomentFiles } from './contradictions.js';
import { CapturedFailures, type LinesOf, PathLines } from './lines.js';
import { MANIFEST, OWN_LOGS } from './manifest.js';
import { insidePath, linksOf, MAX_PATHS, type Moment, momentOf, outOfOrder, textOf } from './moment.js';
import { auxvOf, pageSizeOf } from './page-size.js';
import { readSosreport, type Sosreport } from './sosreport.js';

/** What a captured host was read from. */
export type CapturedKind = 'capture' | 'sosreport' | 'pasted';

/**
 * A host as recorded in a capture or a sosreport: time does not pass, except that a sleep advances to
 * the next sample. Data that was not captured is `gone`.
 */
export class CapturedHost implements HostSource {
  readonly #moments: readonly Moment[];
  /** The earliest moment, and whether lists of processes may be incomplete: for consistency checks. */
  readonly #earliest: Moment | undefined;
  readonly #isPartial: boolean;
  readonly #files: ReadonlyMap<string, string>;
  readonly #links: ReadonlyMap<string, string>;
  readonly #children = new Map<string, Set<string>>();
  /** Auxiliary vector of the capturing program, which contains the page size. */
  readonly #auxv: Buffer | undefined;
  /** Tables that the captured host's ss did not support. */
  readonly #unknown: readonly string[];
  /** Files of memory cgroups, by paths with line breaks and backslashes as \\ooo. */
  readonly #cgroups: PathLines;
  readonly lacksCgroups: boolean;
  readonly #failures: CapturedFailures;
  readonly #log: string | undefined;
  /** Parts left out on purpose. */
  readonly #leftOut: ReadonlySet<string>;
  /** Name of its own log. */
  readonly logName: string;
  /** Only the beginning of the log was captured. */
  readonly logCut: boolean;
  /** Interfaces, page pools and rings, as netlink.ts lists them. */
  readonly #netlink: string | undefined;
  #hasCgroups = false;
  #index = 0;
  /** Sockets of this moment were read: the time is that of its end. */
  #read = false;
  /** Time of the last sample by the host's clock; null if unknown. */
  readonly capturedAt: Date | null;
  /** Start of the last moment by the host's clock. */
  readonly at: Date | null;
  /** Files in memory, as listed by shared-files.ts. Undefined: not captured. */
  readonly filesInMemory: string | undefined;
  /** Output of `ps aux` in a sosreport. Undefined: it has none, or is a capture. */
  readonly psText: string | undefined;
  /** `capture`: a snapshot of kdump-mem; `sosreport`; `pasted`: outputs of commands in a text. */
  readonly kind: CapturedKind;
  readonly pasted: Pasted | undefined;
  readonly #captured: CapturedFiles;

  /**
   * Missing or damaged parts, in words: no problem may then be ruled out. A capture without a manifest
   * predates them, or has lost it: `unproved` states that.
   */
  readonly damage: readonly string[];
  readonly unproved: boolean;

  /**
   * @param only use only one of its moments
   * @throws {HostError} `not-a-capture`: it has no sample
   */
  constructor(captured: CapturedFiles, only?: 'first' | 'last') {
    const damage = [...captured.damage];
    this.damage = damage;
    this.#captured = captured;
    this.unproved = !captured.has(MANIFEST);
    // A copy of /proc has a file of this name too.
    this.pasted = captured.pasted;
    this.kind = this.pasted ? 'pasted' : /^\d/.test(captured.get('version') ?? '') ? 'capture' : 'sosreport';
    this.#failures = new CapturedFailures(captured.get('errors') ?? '');
    this.#leftOut = new Set((captured.get('left-out') ?? '').split('\n'));
    const cut = new Set([...captured.cut, ...this.#failures.cut()]);
    // Files that are truncated here are already listed as damage.
    for (const path of this.#failures.cut())
      if (!OPTIONAL_FILES.test(path)) damage.push(`${path} is truncated in this capture`);
    this.logName = OWN_LOGS.find((name) => captured.bytes(name)?.length) ?? 'log';
    this.#log = captured.get(this.logName) || undefined;
    this.logCut = cut.has(this.logName);
    this.#isPartial = captured.cut.size > 0;
    const files = new Map<string, string>();
    for (const name of captured.names())
      if (/^(?:proc|sys)\//.test(name)) files.set(`/${name}`, captured.get(name) ?? '');
      else if (/^ipc-\d/.test(name)) files.set(insidePath(name.slice(4), SYSV_QUEUES), captured.get(name) ?? '');
    let auxv = captured.bytes(AUXV.slice(1));
    const date = new Date(captured.get('taken')?.trim() ?? Number.NaN);
    this.capturedAt = Number.isNaN(date.getTime()) ? null : date;
    if (this.kind !== 'capture') {
      const report = readSosreport(captured);
      this.capturedAt = report.capturedAt;
      this.psText = report.psText;
      for (const [path, text] of report.files) files.set(path, text);
      this.#links = report.links;
      this.#moments = [reportedMoment(report)];
      this.#earliest = undefined;
      this.at = this.capturedAt;
    } else {
      damage.push(...newerThanKnown(captured));
      const begunSamples = ([1, 2] as const).filter((sample) => captured.has(`sample-${sample}/began`));
      const all = begunSamples.map((sample) => momentOf(captured, { sample, cut, damage }));
      damage.push(...outOfOrder(all), ...lostSockets(all));
      for (const sample of [1, 2] as const)
        if (!begunSamples.includes(sample)) damage.push(`sample ${sample} is missing`);
      this.#earliest = all.length > 1 ? all[0] : undefined;
      const count = only === undefined ? all.length : only === 'first' ? 1 : all.length;
      this.#moments = only === undefined ? all : all.slice(count - 1, count);
      this.#links = linksOf(captured, count, damage);
      this.at = momentAt(this.capturedAt, all[0], this.#moments.at(-1));
    }
    auxv ??= auxvOf(pageSizeOf(captured));
    if (this.#moments.length === 0) throw new HostError('not-a-capture', 'the capture contains no socket sample');
    for (const [name, form] of [
      ['fdinfo', FDINFO_LINES],
      ['message-queues', QUEUE_LINES],
    ] as const) {
      const lines = new PathLines(captured.bytes(name) ?? Buffer.alloc(0), form);
      for (const path of lines.paths()) files.set(unescaped(path), lines.text(path) ?? '');
    }
    this.#netlink = captured.get('netlink');
    this.#files = files;
    this.filesInMemory = captured.get('files-in-memory');
    this.#cgroups = new PathLines(captured.bytes('cgroups') ?? Buffer.alloc(0), CGROUP_LINES);
    if (this.#cgroups.cut) damage.push(`it has more than ${MAX_PATHS} cgroup files`);
    this.lacksCgroups = this.kind !== 'capture' || this.#cgroups.cut || cut.has('cgroups');
    this.#auxv = auxv;
    this.#unknown = (captured.get('unknown-tables') ?? '').split(/\s+/).filter((word) => /^\w{1,20}$/.test(word));
    this.#noteAll();
  }

  #noteAll(): void {
    const last = this.#moments.at(-1);
    const paths = [this.#files.keys(), this.#links.keys(), last?.files.keys() ?? []];
    for (const list of paths) for (const path of list) this.#note(path);
    for (const lines of last?.lines ?? []) for (const path of lines.paths()) this.#note(path);
  }

  /** Files that the captured host had and that could not be read completely; the message is `PATH: REASON`. */
  unread(): readonly HostError[] {
    return this.#failures.unread();
  }

  /** Inconsistent facts in the capture, in words. */
  contradictions(): string[] {
    const last = this.#moments.at(-1);
    if (!last) return [];
    const isOfStates = (list: string) =>
      this.#isPartial || this.#failures.has(list) || this.#failures.has(`sample-2/${list}`);
    const isPartial = ['before', 'after', 'memory', '/proc'].some(isOfStates);
    return contradictionsOf({
      first: this.#earliest ? this.#filesOf(this.#earliest) : null,
      last: this.#filesOf(last),
      firstBegan: this.#earliest ? this.#earliest.beganMs / 1000 : null,
      isExcused: (pid) => isPartial || EACH_PROCESS.some((file) => this.#failures.has(`/proc/${pid}${file}`)),
      isExited: (pid) => this.#failures.isGone(`/proc/${pid}/status`),
      pageSize: this.kind === 'capture' ? this.#pageSize() : null,
    });
  }

  #pageSize(): number | null {
    return hostOrNull(() => readPageSize(this));
  }

  #filesOf(moment: Moment): MomentFiles {
    const pidsOf = (lines: PathLines | undefined) =>
      new Set([...(lines?.paths() ?? [])].map((path) => path.split('/')[2] ?? ''));
    const [states, memory] = moment.lines;
    return {
      text: (path) => moment.files.get(path) ?? textOf(moment, path) ?? this.#files.get(path),
      states: pidsOf(states),
      memory: pidsOf(memory),
      namespaces: new Set(moment.namespaces.keys()),
    };
  }

  /** The first sample, if this is the last one alone. */
  get earlier(): HostSource | undefined {
    return this.samples === 1 && this.#earliest ? new CapturedHost(this.#captured, 'first') : undefined;
  }

  /** Number of samples: 1 or 2. */
  get samples(): number {
    return this.#moments.length;
  }

  /** Milliseconds between the samples. */
  get intervalMs(): number {
    const [first, last] = this.#moments;
    return first && last ? Math.max(1, last.beganMs - first.endedMs) : 0;
  }

  async ss(args: readonly string[], netns: string | null, onBytes: OnBytes): Promise<readonly string[]> {
    this.#read = true;
    const inode = /\d+/.exec(this.#links.get(netns ?? '/proc/self/ns/net') ?? '')?.[0] ?? 'own';
    if (this.#moment.closed.has(inode))
      throw new HostError('netns-closed', `the network namespace ${netns} could not be entered`);
    const tables = args.indexOf('-A') < 0 ? undefined : args[args.indexOf('-A') + 1];
    const group = args.includes('-x') ? 'unix' : tables === RARE_TABLES ? 'rare' : tables ? 'others' : 'inet';
    const text = this.#moment.ss.get(`${inode} ${group}`);
    const unknown = group === 'others' ? this.#unknown : [];
    if (text === undefined && group === 'rare')
      throw new HostError('unreadable', `tables ${RARE_TABLES} of ss were not captured`);
    if (text === undefined) {
      if (this.kind !== 'capture' && this.#moment.ss.size === 0)
        throw new HostError('not-a-capture', `the ${this.pasted ? 'text' : 'capture'} contains no output of ss`, {
          next: 'Its memory and log can be read: kdump-mem triage --from FILE.',
        });
      if (group === 'inet' && this.#index > 0 && !hasSockets(this.#moment))
        if (this.#moments.some(hasSockets)) throw new HostError('gone', 'sample 2 of the capture has no sockets');
      if (group !== 'inet' || this.#index > 0) return unknown;
      if (netns !== null && [...this.#moment.ss.keys()].some((key) => key.endsWith(' inet')))
        throw new HostError('gone', `the network namespace ${netns} was not captured`);
      throw new HostError('ss-missing', 'ss was not available on the captured host');
    }
    onBytes(text);
    return unknown;
  }

  readText(path: string): string {
    const text =
      this.#moment.files.get(path) ??
      textOf(this.#moment, path) ??
      this.#files.get(path) ??
      this.#cgroup(path) ??
      this.#netTable(path);
    if (text === undefined) throw this.#failures.of(path);
    return text;
  }

  #cgroup(path: string): string | undefined {
    if (!path.startsWith('/sys/fs/cgroup/')) return undefined;
    return this.#cgroups.text(path.replaceAll('\\', '\\134').replaceAll('\n', '\\012'));
  }

  /**
   * Returns the kernel log in the format of /dev/kmsg or dmesg.
   *
   * @throws {HostError} `gone`, `denied`, `unreadable`: it was not captured
   */
  logText(): string {
    if (this.#log === undefined) {
      // Failures name either the source file or the file in the capture.
      const named = this.#failures.has(KMSG) ? KMSG : 'log';
      throw this.#failures.of(named, this.#leftOut.has('log'));
    }
    return this.#log;
  }

  /** Time at which a machine-wide file was read: the selected moment, or the start of the capture. */
  timeOf(path: string): Date | null {
    return this.#moment.files.has(path) ? this.at : this.capturedAt;
  }

  /** A table of /proc/PID/net is stored once per namespace. */
  #netTable(path: string): string | undefined {
    const [, pid = '', table = ''] = /^\/proc\/(\d{1,10}|self)\/net\/(\w+)$/.exec(path) ?? [];
    const inode = this.#moment.namespaces.get(pid);
    return inode === undefined ? undefined : this.#moment.files.get(insidePath(inode, `/proc/net/${table}`));
  }

  async readSlowText(path: string): Promise<string> {
    return this.readText(path);
  }

  readTextIn(netns: string, path: string): string {
    const inode = /\d+/.exec(this.readLink(netns))?.[0] ?? '';
    return this.readText(insidePath(inode, path));
  }

  /** Namespaces are those that the snapshot entered. */
  netlink(): string | null {
    if (this.#netlink === undefined && this.#failures.has('netlink')) throw this.#failures.of('netlink');
    return this.#netlink ?? null;
  }

  readBytes(path: string, onBytes: OnBytes): void {
    if (path !== AUXV || this.#auxv === undefined) throw new HostError('gone', `${path} was not captured`);
    onBytes(this.#auxv);
  }

  readLink(path: string): string {
    const target = this.#links.get(path);
    if (target === undefined) throw this.#failures.of(path);
    return target;
  }

  list(path: string): readonly string[] {
    if (path.startsWith('/sys/fs/cgroup')) this.#noteCgroups();
    const names = this.#children.get(path);
    if (!names) throw this.#failures.of(path);
    return [...names];
  }

  size(path: string): number {
    return this.list(path).length;
  }

  inode(path: string): number {
    throw new HostError('denied', `the inode of ${path} was not captured`);
  }

  now(): number {
    return this.#read ? this.#moment.endedMs : this.#moment.beganMs;
  }

  async sleep(): Promise<void> {
    if (this.#index + 1 >= this.#moments.length) return;
    this.#index++;
    this.#read = false;
  }

  /** Cgroups are many, and few commands list them. */
  #noteCgroups(): void {
    if (this.#hasCgroups) return;
    this.#hasCgroups = true;
    for (const path of this.#cgroups.paths()) this.#note(unescaped(path));
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

/** Files of a process whose read failure excuses its absence from lists. */
const EACH_PROCESS = ['', '/stat', '/status', '/smaps_rollup'];

/** fdinfo of GPUs, dma-bufs, BPF maps and io_uring, and mappings of perf's rings. */
const FDINFO_LINES: LinesOf = { path: /^(\/proc\/\d{1,10}\/(?:fdinfo\/\d{1,10}|maps)):/, head: 64, limit: MAX_PATHS };

/** Mounts of mqueue, and their files. A name may contain anything but a line break: the value begins with a fixed word. */
const QUEUE_LINES: LinesOf = {
  path: /^(\/proc\/\d{1,10}\/mountinfo(?=:)|\/.*?(?=:QSIZE:)):/,
  head: 8192,
  limit: MAX_PATHS,
};

const unescaped = (path: string) => path.replaceAll('\\011', '\t').replaceAll('\\012', '\n').replaceAll('\\134', '\\');

const AUXV = '/proc/self/auxv';
const KMSG = '/dev/kmsg';

/** Queries for these report what they lack; no other result depends on them. */
const OPTIONAL_FILES = /^(?:log|sample-2\/(?:smaps|stacks|arguments))$/;

/** A cgroup's name may contain anything but a line break: the value follows the last file name in the line. */
const CGROUP_LINES: LinesOf = {
  path: /^(\/sys\/fs\/cgroup\/.*(?<=\/)(?:memory\.[a-z_.]{1,40}|cgroup\.(?:procs|events|stat)|pids\.(?:current|max))):/,
  head: 8192,
  limit: MAX_PATHS,
};

/** Whether at least one network namespace was read by ss. */
function hasSockets({ ss }: Moment): boolean {
  return [...ss.keys()].some((key) => key.endsWith(' inet'));
}

/** Outputs of ss that the first sample has and the last lacks, for network namespaces that still existed. */
function lostSockets(all: readonly Moment[]): string[] {
  const [first, last] = [all[0], all.at(-1)];
  if (!first || !last) return [];
  const listed = new Set(last.namespaces.values());
  return [...first.ss.keys()].flatMap((key) => {
    const [inode = '', group = ''] = key.split(' ');
    // Only the first has the rare tables.
    return group === 'rare' || last.ss.has(key) || last.closed.has(inode) || !listed.has(inode)
      ? []
      : [`sample 2 has no sockets (${group}) of network namespace ${inode}`];
  });
}

function newerThanKnown(captured: CapturedFiles): string[] {
  const version = Number(/^\d{1,6}/.exec(captured.get('version') ?? '')?.[0]);
  return version > LAYOUT_VERSION
    ? [`unsupported capture format ${version} (this program supports up to ${LAYOUT_VERSION})`]
    : [];
}

/** The host's time is recorded once, at the start of a capture; uptimes give the other times. */
function momentAt(taken: Date | null, first: Moment | undefined, last: Moment | undefined): Date | null {
  if (!taken || !first || !last) return taken;
  return new Date(taken.getTime() + Math.max(0, last.endedMs - first.beganMs));
}

function reportedMoment({ ss }: Sosreport): Moment {
  return {
    beganMs: 0,
    endedMs: 0,
    files: new Map(),
    lines: [],
    namespaces: new Map(),
    ss: new Map([...ss].map(([key, text]) => [key, Buffer.from(text)])),
    closed: new Set(),
  };
}
