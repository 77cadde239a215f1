import {
  closeSync,
  constants,
  createReadStream,
  type Dirent,
  fstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  statSync,
} from 'node:fs';
import { join, posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { HostError } from '../../base/errors/host.js';
import { shellPath } from '../../base/shell-word.js';
import { asExhausted, startGroup } from '../../host/child.js';
import type { LogFile } from '../../host/logs.js';
import { archiveKind, looksLikeDump } from '../../host/recognise.js';
import { CAPTURE_LIMIT, LimitedPieces, type UnpackLimit } from '../../host/unpack-limit.js';
import { cksum } from './cksum.js';
import { MOST_PROCESS_BYTES } from './contents.js';
import { type CapturedFile, checkManifest, MANIFEST } from './manifest.js';
import { TarReader } from './tar.js';
import { isOfLogs, isOfMappings, isOfProcesses, type WantedParts, wantedName } from './wanted.js';

/** Of one file, and of all large ones together, no more than this is read. */
const MAX_FILE_BYTES = 48 * 1024 * 1024;
const MAX_BYTES = 96 * 1024 * 1024;
/** The small ones have room of their own, so that a large one does not displace the facts of the host. */
const SMALL_BYTES = 64 * 1024;
const MAX_SMALL_BYTES = 32 * 1024 * 1024;
/** Lists of processes, of both samples: states, memory, links. */
const MAX_PROCESSES_BYTES = 3 * MOST_PROCESS_BYTES;
/** What processes map, where that is asked for. */
const MAX_MAPPINGS_BYTES = 256 * 1024 * 1024;
/** Logs beside the capture's own, where they are asked for. */
const MAX_LOGS_BYTES = 192 * 1024 * 1024;
const MAX_ENTRIES = 200_000;
const MAX_DEPTH = 12;
/** Links of a sosreport, their text, and how many lead to each other. */
const MAX_LINKS = 10_000;
const MAX_LINK_BYTES = 256;
const MAX_HOPS = 8;

/** What a capture or a sosreport holds that is of use here, by path below its top directory. */
export class CapturedFiles {
  readonly #bytes: ReadonlyMap<string, Buffer>;

  constructor(
    files: Iterable<readonly [string, Buffer | string]>,
    /** What is known to be missing or damaged, in words. */
    readonly damage: readonly string[] = [],
    /** Those of which only the beginning is there. */
    readonly cut: ReadonlySet<string> = new Set(),
    /** Logs that lie in a folder, by their paths: they are read part by part. */
    private readonly logPaths: ReadonlyMap<string, string> = new Map(),
  ) {
    this.#bytes = new Map(
      [...files].map(([name, content]) => [
        name,
        typeof content === 'string' ? Buffer.from(content) : content,
      ]),
    );
  }

  has(name: string): boolean {
    return this.#bytes.has(name);
  }

  names(): string[] {
    return [...this.#bytes.keys()];
  }

  /** Logs beside the capture's own. */
  logs(): LogFile[] {
    const read = this.names().filter(isOfLogs);
    return [
      ...read.map((name) => ({ name, content: this.#bytes.get(name) ?? '' })),
      ...[...this.logPaths].map(([name, content]) => ({ name, content })),
    ];
  }

  /** It contains nothing else. */
  get hasLogsAlone(): boolean {
    return this.names().every(isOfLogs);
  }

  bytes(name: string): Buffer | undefined {
    return this.#bytes.get(name);
  }

  /** A file as text, made anew each time. Bytes that are not UTF-8 come out as U+FFFD. */
  get(name: string): string | undefined {
    return this.#bytes.get(name)?.toString('utf8');
  }
}

/**
 * The files of a directory or of a tar archive (plain, gzip; xz and zstd by their own commands).
 * Throws `HostError`: `gone`, `denied`, `unreadable`.
 *
 * @param limit where reading an archive stops; what follows is missing then, and reported as damage
 */
export async function readCapture(
  path: string,
  wish: WantedParts = {},
  limit: UnpackLimit = CAPTURE_LIMIT,
): Promise<CapturedFiles> {
  const innerName = (name: string) => wantedName(name, wish);
  const files = new Map<string, Buffer>();
  const seen = new Map<string, CapturedFile>();
  let left = MAX_BYTES;
  let leftForSmall = MAX_SMALL_BYTES;
  let leftForMappings = MAX_MAPPINGS_BYTES;
  let leftForProcesses = MAX_PROCESSES_BYTES;
  let leftForLogs = MAX_LOGS_BYTES;
  /** How much of a file is read; null: it is not wanted. */
  const room = (name: string) => {
    const inner = innerName(name);
    if (inner === null) return null;
    if (isOfMappings(inner)) return leftForMappings;
    if (isOfProcesses(inner)) return Math.min(leftForProcesses, MOST_PROCESS_BYTES);
    if (isOfLogs(inner)) return Math.min(leftForLogs, MAX_FILE_BYTES);
    return Math.max(Math.min(left, MAX_FILE_BYTES), Math.min(leftForSmall, SMALL_BYTES));
  };
  const add = (name: string, bytes: Buffer, size: number) => {
    const inner = innerName(name);
    if (inner === null) return;
    const times = (seen.get(inner)?.times ?? 0) + 1;
    if (seen.size === MAX_ENTRIES && times === 1)
      throw new HostError('not-a-capture', `${path} has too many files`);
    seen.set(inner, { size, read: bytes.length, sum: cksum(bytes), times });
    if (isOfMappings(inner)) leftForMappings -= bytes.length;
    else if (isOfProcesses(inner)) leftForProcesses -= bytes.length;
    else if (isOfLogs(inner)) leftForLogs -= bytes.length;
    else if (size <= SMALL_BYTES) leftForSmall -= bytes.length;
    else left = Math.max(0, left - bytes.length);
    files.set(inner, bytes);
  };
  let met: string | null = null;
  const links = new Map<string, string>();
  const addLink = (name: string, target: string) => {
    const inner = innerName(name);
    if (inner !== null && links.size < MAX_LINKS) links.set(inner, target);
  };
  const logPaths = new Map<string, string>();
  const addPath = (name: string, at: string) => {
    const inner = innerName(name);
    const isLog = inner !== null && isOfLogs(inner);
    if (isLog) logPaths.set(inner, at);
    return isLog;
  };
  const budget = { left: MAX_ENTRIES, room, addPath };
  if (isDirectory(path)) readDirectory(path, '', 0, budget, add, addLink);
  else met = await readArchive(path, new TarReader(room, add, addLink), limit);
  const stopped = met === null ? [] : [`reading stopped after ${met}, the remainder is missing`];
  if (files.size + logPaths.size === 0)
    throw new HostError(
      'not-a-capture',
      `${path} is neither a capture nor a sosreport${stopped.map((why) => ` (${why})`).join('')}`,
    );
  // A snapshot has no links: its manifest lists files.
  if (!files.has(MANIFEST)) followLinks(files, links);
  const cut = [...seen].filter(([, { read, size }]) => read < size).map(([name]) => name);
  const damage = [...stopped, ...damageOf(files, seen, innerName)];
  return new CapturedFiles(files, damage, new Set(cut), logPaths);
}

/**
 * Gives each link the bytes of the file of the capture that it leads to; a file that has a path of the capture alone is
 * a link that was unpacked where there are none. Nothing outside is opened.
 */
function followLinks(files: Map<string, Buffer>, links: ReadonlyMap<string, string>): void {
  const targets = new Map(links);
  for (const [name, bytes] of files)
    if (bytes.length < MAX_LINK_BYTES) {
      const target = bytes.toString('latin1').trim();
      if (target.startsWith('sos_commands/') && files.has(target)) targets.set(name, target);
    }
  for (const [name, target] of targets) {
    let path = posix.join(posix.dirname(name), target);
    for (let hops = 0; hops < MAX_HOPS && targets.has(path); hops++)
      path = posix.join(posix.dirname(path), targets.get(path) ?? '');
    const bytes = target.startsWith('/') ? undefined : files.get(path);
    if (bytes) files.set(name, bytes);
  }
}

function damageOf(
  files: ReadonlyMap<string, Buffer>,
  seen: ReadonlyMap<string, CapturedFile>,
  innerName: (name: string) => string | null,
): string[] {
  const damage: string[] = [];
  for (const [name, { size, read, times }] of seen) {
    if (read < size) damage.push(`${name} is too large: only its first ${read} bytes were read`);
    if (times > 1) damage.push(`${name} occurs ${times} times`);
  }
  const manifest = files.get(MANIFEST);
  const wanted = (name: string) => innerName(name) !== null;
  return manifest
    ? [
        ...damage,
        ...checkManifest(manifest.toString('utf8'), seen, wanted).map(({ words }) => words),
      ]
    : damage;
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw asHostError(path, cause);
  }
}

/** Links are told and not opened: they may lead out of the capture, to files of this host. */
function readDirectory(
  root: string,
  inside: string,
  depth: number,
  budget: {
    left: number;
    readonly room: (name: string) => number | null;
    /** @returns whether its path is enough */
    readonly addPath: (name: string, path: string) => boolean;
  },
  add: (name: string, bytes: Buffer, size: number) => void,
  addLink: (name: string, target: string) => void,
): void {
  for (const entry of entriesOf(join(root, inside))) {
    if (--budget.left < 0) throw new HostError('not-a-capture', `${root} has too many files`);
    const name = inside === '' ? entry.name : `${inside}/${entry.name}`;
    if (entry.isDirectory() && depth < MAX_DEPTH)
      readDirectory(root, name, depth + 1, budget, add, addLink);
    else if (entry.isSymbolicLink()) addLink(name, targetOf(join(root, name)));
    else if (entry.isFile()) {
      if (budget.addPath(name, join(root, name))) continue;
      const room = budget.room(name);
      if (room === null) continue;
      const { bytes, size } = readSome(join(root, name), room);
      add(name, bytes, size);
    }
  }
}

function targetOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch (cause) {
    throw asHostError(path, cause);
  }
}

function entriesOf(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (cause) {
    throw asHostError(path, cause);
  }
}

/** The beginning of a file, no more than so many bytes; never of a fifo or a device. */
function readSome(path: string, most: number): { bytes: Buffer; size: number } {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = fstatSync(file);
      if (!stat.isFile())
        throw new HostError('not-a-capture', `${path} is neither a file nor a directory`);
      const bytes = Buffer.alloc(Math.min(stat.size, most));
      let read = 0;
      for (let more = 1; more > 0 && read < bytes.length; read += more)
        more = readSync(file, bytes, read, bytes.length - read, read);
      return { bytes: bytes.subarray(0, read), size: stat.size };
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    throw asHostError(path, cause);
  }
}

/** @returns at which limit it stopped; null: it was read to its end */
async function readArchive(
  path: string,
  reader: TarReader,
  limit: UnpackLimit,
): Promise<string | null> {
  const limited = new LimitedPieces(limit);
  /** Why it was not read on. A pipeline may tell in its place that its first stage was aborted. */
  let refusal: HostError | undefined;
  const sink = async (pieces: AsyncIterable<Buffer>) => {
    try {
      for await (const piece of limited.of(pieces)) {
        reader.push(piece);
        if (reader.ended) break;
      }
      if (limited.met === null) reader.end();
    } catch (cause) {
      if (cause instanceof HostError) refusal = cause;
      throw cause;
    }
  };
  const begin = readSome(path, 16).bytes;
  if (looksLikeDump(begin))
    throw new HostError('not-a-capture', `${path} is a kernel dump, not a capture`, {
      next: `Read it with: kdump-mem memory --vmcore ${shellPath(path)}`,
    });
  const kind = archiveKind(begin);
  try {
    if (kind === 'gzip') await pipeline(createReadStream(path), createGunzip(), sink);
    else if (kind === 'xz' || kind === 'zstd') await unpack(kind, path, sink);
    else await pipeline(createReadStream(path), sink);
  } catch (cause) {
    if (refusal) throw refusal;
    // What follows the end, or the limit, was not waited for.
    if (
      !(
        (reader.ended || limited.met !== null) &&
        cause instanceof Error &&
        cause.name === 'AbortError'
      )
    )
      throw asHostError(path, cause);
  }
  return reader.ended ? null : limited.met;
}

async function unpack(
  command: 'xz' | 'zstd',
  path: string,
  sink: (pieces: AsyncIterable<Buffer>) => Promise<void>,
): Promise<void> {
  const child = startGroup(command, ['-dc', '--', path], { stdio: ['ignore', 'pipe', 'ignore'] });
  const started = new Promise<never>((_, reject) => {
    child.on('error', (cause) =>
      reject(
        asExhausted(command, cause) ??
          new HostError('not-a-capture', `${command} is not installed`, { cause }),
      ),
    );
  });
  if (child.stdout) await Promise.race([pipeline(child.stdout, sink), started]);
}

function asHostError(path: string, cause: unknown): unknown {
  if (cause instanceof HostError || !(cause instanceof Error) || !('code' in cause)) return cause;
  if (cause.code === 'ENOENT')
    return new HostError('not-a-capture', `${path}: not found`, { cause });
  if (cause.code === 'EACCES')
    return new HostError('denied', `${path}: permission denied`, { cause });
  return new HostError('not-a-capture', `${path}: read failed (${String(cause.code)})`, {
    cause,
  });
}
