import {
  accessSync,
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
import { HostError } from '../../base/errors.js';
import { shellPath } from '../../base/shell.js';
import { asExhausted, startGroup } from '../../host/child.js';
import { findLogs, folderLimit, type LogFile, OWN_ANSWER } from '../../host/logs.js';
import {
  CAPTURE_LIMIT,
  type Compression,
  compressionOf,
  LimitedStream,
  looksLikeDump,
  type UnpackLimit,
} from '../../host/recognise.js';
import { firstBytes, isText, openText, utf16Of } from '../../host/text-input.js';
import type { Pasted, PastedPart } from '../../records/pasted.js';
import { MAX_PROCESS_BYTES } from './contents.js';
import {
  BARE_TOP,
  type CapturedFile,
  checkManifest,
  isOfLogs,
  isOfMappings,
  isOfProcesses,
  type Located,
  located,
  MANIFEST,
  NODE,
  NODE_LOG,
  SUPPORTCONFIG,
  type WantedParts,
  wantedName,
} from './manifest.js';
import { PASTED, type PastedText, readPasted } from './pasted.js';
import { supportconfigFiles } from './supportconfig.js';
import { cksum, TarReader } from './tar.js';

/** Maximum bytes to read of one file, and of all large ones together. */
const MAX_FILE_BYTES = 48 * 1024 * 1024;
const MAX_BYTES = 96 * 1024 * 1024;
/** Small files have a separate limit, so that large ones do not displace the host's facts. */
const SMALL_BYTES = 64 * 1024;
const MAX_SMALL_BYTES = 32 * 1024 * 1024;
/** Limit for lists of processes, for both samples: states, memory, links. */
const MAX_PROCESSES_BYTES = 3 * MAX_PROCESS_BYTES;
/** Limit for mappings of processes, if requested. */
const MAX_MAPPINGS_BYTES = 256 * 1024 * 1024;
/** Limit for logs besides the capture's own, if requested. */
const MAX_LOGS_BYTES = 192 * 1024 * 1024;
const MAX_ENTRIES = 200_000;
const MAX_DEPTH = 12;
/** Limits on symlinks of a sosreport: their number, text, and chain length. */
const MAX_LINKS = 10_000;
const MAX_LINK_BYTES = 256;
const MAX_HOPS = 8;
/** Maximum number of texts of a folder. */
const MAX_TEXTS = 1000;

/** Relevant files of a capture or a sosreport, by path below its top directory. */
export class CapturedFiles {
  readonly #bytes: ReadonlyMap<string, Buffer>;

  constructor(
    files: Iterable<readonly [string, Buffer | string]>,
    /** Known missing or damaged parts, in words. */
    readonly damage: readonly string[] = [],
    /** Files that are truncated. */
    readonly cut: ReadonlySet<string> = new Set(),
    /** Logs in a folder, by path: read in pieces later. */
    private readonly logPaths: ReadonlyMap<string, string> = new Map(),
    /** What the text of these files was copied from; undefined: they are whole files. */
    readonly pasted?: Pasted,
  ) {
    this.#bytes = new Map(
      [...files].map(([name, content]) => [name, typeof content === 'string' ? Buffer.from(content) : content]),
    );
  }

  has(name: string): boolean {
    return this.#bytes.has(name);
  }

  names(): string[] {
    return [...this.#bytes.keys()];
  }

  /** Logs besides the capture's own. */
  logs(within = folderLimit()): LogFile[] {
    const read = this.names().filter((name) => isOfLogs(name) || (name === NODE_LOG && this.hasLogsAlone));
    return [
      ...read.map((name) => ({ name, content: this.#bytes.get(name) ?? '' })),
      ...[...this.logPaths].map(([name, content]) => ({ name, content, within })),
      ...[...(this.pasted?.logs ?? [])].map(([name, text]) => ({ name, content: Buffer.from(text) })),
    ];
  }

  /** Whether the capture contains only logs. */
  get hasLogsAlone(): boolean {
    return this.names().every((name) => isOfLogs(name) || name === NODE_LOG);
  }

  bytes(name: string): Buffer | undefined {
    return this.#bytes.get(name);
  }

  /** Returns a file as text, decoded on each call. Bytes that are not UTF-8 become U+FFFD. */
  get(name: string): string | undefined {
    return this.#bytes.get(name)?.toString('utf8');
  }
}

/**
 * Reads the files of a directory or of a tar archive (plain, gzip; xz, zstd and bzip2 by their own commands).
 * Throws `HostError`: `gone`, `denied`, `unreadable`.
 *
 * @param limit where reading an archive stops; later files are then missing, and reported as damage
 */
export async function readCapture(
  path: string,
  requested: WantedParts = {},
  limit: UnpackLimit = CAPTURE_LIMIT,
): Promise<CapturedFiles> {
  const pasted = requested.pasted === false ? undefined : await pastedFiles([path]);
  if (pasted) return pasted;
  const innerName = (name: string) => wantedName(name, requested);
  const hosts = new Map<string, HostFiles>();
  let count = 0;
  const hostOf = ({ top }: Located): HostFiles => {
    const known = hosts.get(top) ?? { files: new Map(), entries: new Map(), links: new Map() };
    hosts.set(top, known);
    return known;
  };
  let bytesLeft = MAX_BYTES;
  let leftForSmall = MAX_SMALL_BYTES;
  let leftForMappings = MAX_MAPPINGS_BYTES;
  let leftForProcesses = MAX_PROCESSES_BYTES;
  let leftForLogs = MAX_LOGS_BYTES;
  const isFolder = isDirectory(path);
  /** Other files near the top of an archive: outputs of commands, if it is no capture. */
  const texts: ArchivedText[] = [];
  let leftForTexts: number = PASTED.most;
  let unreadTexts = '';
  /** Number of bytes of a file to read; null: not needed. */
  const room = (name: string) => {
    const inner = innerName(name);
    if (inner === null) {
      if (isFolder || requested.pasted === false || !isNearTop(name)) return null;
      if (texts.length < MAX_TEXTS && leftForTexts > 0) return leftForTexts;
      unreadTexts ||= `${name} and later texts were not read: there are too many, or too large ones`;
      return null;
    }
    if (isOfMappings(inner)) return leftForMappings;
    if (isOfProcesses(inner)) return Math.min(leftForProcesses, MAX_PROCESS_BYTES);
    if (isOfLogs(inner)) return Math.min(leftForLogs, MAX_FILE_BYTES);
    return Math.max(Math.min(bytesLeft, MAX_FILE_BYTES), Math.min(leftForSmall, SMALL_BYTES));
  };
  const add = (name: string, bytes: Buffer, size: number) => {
    const place = located(name, requested);
    if (place === null) {
      if (bytes.includes(0) && compressionOf(bytes) === null && utf16Of(bytes) === undefined) return;
      texts.push({ name, bytes, isCut: bytes.length < size });
      leftForTexts -= bytes.length;
      return;
    }
    const { inner } = place;
    const { files, entries } = hostOf(place);
    const times = (entries.get(inner)?.times ?? 0) + 1;
    if (times === 1 && count++ === MAX_ENTRIES) throw new HostError('not-a-capture', `${path} has too many files`);
    entries.set(inner, { size, read: bytes.length, sum: cksum(bytes), times });
    if (isOfMappings(inner)) leftForMappings -= bytes.length;
    else if (isOfProcesses(inner)) leftForProcesses -= bytes.length;
    else if (isOfLogs(inner)) leftForLogs -= bytes.length;
    else if (size <= SMALL_BYTES) leftForSmall -= bytes.length;
    else bytesLeft = Math.max(0, bytesLeft - bytes.length);
    files.set(inner, bytes);
  };
  let reached: string | null = null;
  let linksLeft = MAX_LINKS;
  const addLink = (name: string, target: string) => {
    const place = located(name, requested);
    if (place !== null && linksLeft-- > 0) hostOf(place).links.set(place.inner, target);
  };
  const logPaths = new Map<string, string>();
  const addPath = (name: string, at: string) => {
    const inner = innerName(name);
    const isLog = inner !== null && isOfLogs(inner);
    if (isLog) logPaths.set(inner, at);
    return isLog;
  };
  const budget = { left: MAX_ENTRIES, room, addPath };
  if (isFolder) readDirectory(path, '', 0, budget, add, addLink);
  else reached = await readArchive(path, new TarReader(room, add, addLink), limit);
  const saved = requested.pasted === false ? undefined : savedFiles(hosts);
  const { files, entries, links } = onlyHost(path, hosts);
  // A snapshot contains no symlinks: its manifest lists files.
  if (!files.has(MANIFEST)) {
    followLinks(files, links);
    unfoldSections(files);
  }
  const stopped = reached === null ? [] : [`reading stopped after ${reached}, the remainder is missing`];
  if (saved) {
    const unread = unreadTexts === '' ? stopped : [unreadTexts, ...stopped];
    const pasted = isFolder
      ? await pastedInFolder(path, requested, files, saved)
      : await pastedInArchive(path, texts, files, saved, unread);
    if (pasted) return pasted;
  }
  if (files.size + logPaths.size === 0)
    throw new HostError(
      'not-a-capture',
      `${path} is neither a capture nor a sosreport${stopped.map((why) => ` (${why})`).join('')}`,
    );
  const cut = [...entries].filter(([, { read, size }]) => read < size).map(([name]) => name);
  const damage = [...stopped, ...damageOf(files, entries, innerName)];
  return new CapturedFiles(files, damage, new Set(cut), logPaths);
}

/**
 * Files in texts that people pasted together; long logs are read later. Undefined: the texts are something else.
 *
 * @param stdin what standard input contained
 * @throws {HostError} `denied`, `unreadable`
 */
export async function pastedFiles(paths: readonly string[], stdin?: Buffer): Promise<CapturedFiles | undefined> {
  if (!stdin) for (const path of paths) if (!(await isText(path))) return undefined;
  const named = paths.map((path): [string, string] => [path, path]);
  const { texts, logs, damage } = await readTexts(named, stdin);
  const pasted = readPasted(texts);
  if (!pasted) return undefined;
  if (!isUsed(pasted) && !pasted.hasLog) throw unusedText(paths.join(' '), pasted.parts);
  return filesOf(pasted, damage, logs);
}

function filesOf(
  pasted: Pasted,
  damage: readonly string[],
  logs: ReadonlyMap<string, string>,
  others: ReadonlyMap<string, Buffer> = new Map(),
): CapturedFiles {
  const hasLog = pasted.hasLog || logs.size > 0;
  const missing = [...damage, ...cutWords(pasted.cut)];
  return new CapturedFiles(withFiles(others, pasted), missing, new Set(pasted.cut), logs, { ...pasted, hasLog });
}

/**
 * Files whose names a capture could have too, where all others are logs. `dmesg`, `version` or `meminfo` beside texts
 * make no capture of them. Undefined: it is one.
 */
function savedFiles(hosts: ReadonlyMap<string, HostFiles>): SavedFile[] | undefined {
  const saved: SavedFile[] = [];
  for (const [top, { files, entries }] of hosts)
    for (const [inner, bytes] of files) {
      if (isOfLogs(inner)) continue;
      const isOfProc = top.endsWith(BARE_TOP);
      const isRead = !SUPPORTCONFIG.test(inner);
      const hasSections = !isRead && supportconfigFiles(bytes.toString('utf8')).size > 0;
      if (inner === MANIFEST || hasSections || (inner.includes('/') && !isOfProc)) return undefined;
      const name = isOfProc ? inner.replace('proc/', top.slice(0, -BARE_TOP.length)) : `${top}${inner}`;
      saved.push({ name, bytes, isRead, isCut: bytes.length < (entries.get(inner)?.size ?? 0) });
    }
  return saved;
}

/**
 * Outputs of commands that people saved near the top of a folder, each in a text, with the folder's logs, if requested.
 * A folder with a log beside them must not be answered from the log alone. Undefined: no text contains one that is used.
 *
 * @param files that are read without this
 * @param saved the same by their names in the folder: they alone are no reason
 */
async function pastedInFolder(
  folder: string,
  requested: WantedParts,
  files: ReadonlyMap<string, Buffer>,
  saved: readonly SavedFile[],
): Promise<CapturedFiles | undefined> {
  const texts: [string, string][] = [];
  const unread: string[] = [];
  let more = 0;
  for (const name of namesNearTop(folder)) {
    const path = join(folder, name);
    if (!isReadable(path)) unread.push(`${name}: permission denied`);
    else if (!(await isText(path))) continue;
    else if (texts.length < MAX_TEXTS) texts.push([name, path]);
    else if (more++ === 0) unread.push(`${name} and later texts were not read: more than ${MAX_TEXTS}`);
  }
  const read = await readTexts(texts, undefined, unread);
  const pasted = outputsIn(folder, read.texts, saved);
  if (!pasted) return undefined;
  const names = new Set(texts.map(([name]) => name));
  const { logs, warnings } = requested.logs ? await findLogs(folder) : { logs: [], warnings: [] };
  const others = logs.flatMap(({ files }) => files.map(({ name }): [string, string] => [name, join(folder, name)]));
  const otherLogs = others.filter(([name]) => !names.has(name));
  const damage = [...unread, ...read.damage, ...warnings];
  return filesOf(pasted, damage, new Map([...read.logs, ...otherLogs]), files);
}

/**
 * The same of an archive. Undefined: no text contains one that is used.
 *
 * @param members those near its top
 * @param files of the archive that are read without this
 * @param unread what else it has, in words
 * @throws {HostError} `not-a-capture`: as {@link outputsIn}
 */
async function pastedInArchive(
  path: string,
  members: readonly ArchivedText[],
  files: ReadonlyMap<string, Buffer>,
  saved: readonly SavedFile[],
  unread: readonly string[],
): Promise<CapturedFiles | undefined> {
  const texts: ArchivedText[] = [];
  const unreadable: string[] = [];
  let left: number = PASTED.most;
  for (const { name, bytes: content, isCut } of [...saved, ...members]) {
    if (!(await isText(name, content))) continue;
    try {
      const bytes = await firstBytes(openText(name, { content }), { ...PASTED, judged: left, most: left });
      if (bytes) texts.push({ name, bytes, isCut: isCut || bytes.length === left });
      left -= bytes?.length ?? 0;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      unreadable.push(error.message);
    }
  }
  const pasted = outputsIn(path, texts, saved);
  if (!pasted) return undefined;
  const cut = new Set([...pasted.cut, ...texts.flatMap(({ name, isCut }) => (isCut ? name : []))]);
  const hasLog = pasted.hasLog || [...files.keys()].some(isOfLogs);
  const damage = [...unread, ...unreadable, ...cutWords(cut)];
  return new CapturedFiles(withFiles(files, pasted), damage, cut, new Map(), { ...pasted, hasLog });
}

/**
 * Outputs that are not read otherwise, with what other texts contain; undefined: there are none.
 *
 * @throws {HostError} `not-a-capture`: several folders have some, which may be several hosts
 */
function outputsIn(path: string, texts: readonly PastedText[], saved: readonly SavedFile[]): Pasted | undefined {
  const pasted = readPasted(texts);
  if (!hasOthers(pasted, saved)) return undefined;
  const folders = new Set(texts.map(({ name }) => posix.dirname(name)));
  const inside = (folder: string) => texts.filter(({ name }) => posix.dirname(name) === folder);
  const isUsedIn = (folder: string) => hasOthers(readPasted(inside(folder)), saved);
  const count = folders.size < 2 ? 1 : [...folders].filter(isUsedIn).length;
  if (count > 1)
    throw new HostError('not-a-capture', `${path} contains texts in ${count} folders`, {
      next: 'Name one folder; unpack an archive first.',
    });
  return pasted;
}

/** Adds logs, and files of /proc that no text contains. */
function withFiles(files: ReadonlyMap<string, Buffer>, pasted: Pasted): (readonly [string, Buffer | string])[] {
  return [...[...files].filter(([name]) => isOfLogs(name) || name.startsWith('proc/')), ...pasted.files];
}

/** Whether a text that is not read otherwise contains an output that is used. */
function hasOthers(pasted: Pasted | undefined, saved: readonly SavedFile[]): boolean {
  const known = new Set(saved.filter(({ isRead }) => isRead).map(({ name }) => name));
  return pasted?.parts.some(({ state, file }) => state === 'used' && !known.has(file)) ?? false;
}

/** Names of at most two folders: that of the archive, and one below it. */
const isNearTop = (name: string) => name.replace(/^\.\//, '').split('/').length <= 3 && !OWN_ANSWER.test(name);

/** Files of a folder and of those in it, sorted. */
function namesNearTop(folder: string): string[] {
  const entries = entriesOf(folder);
  const below = entries
    .filter((entry) => entry.isDirectory() && isReadable(join(folder, entry.name)))
    .flatMap(({ name }) => filesOfFolder(entriesOf(join(folder, name))).map((one) => `${name}/${one}`));
  return [...filesOfFolder(entries), ...below].filter((name) => !OWN_ANSWER.test(name)).toSorted();
}

const filesOfFolder = (entries: readonly Dirent[]) => entries.filter((one) => one.isFile()).map(({ name }) => name);

const isUsed = ({ parts }: Pasted) => parts.some(({ state }) => state === 'used');

const cutWords = (names: Iterable<string>) =>
  [...names].map((name) => `${name} is too large: only its beginning was read`);

/**
 * The beginnings of texts; long logs are read later.
 *
 * @param named names and paths
 * @param unread receives why a text cannot be read; undefined: that is thrown
 */
async function readTexts(named: readonly (readonly [string, string])[], stdin?: Buffer, unread?: string[]) {
  const texts: PastedText[] = [];
  const logs = new Map<string, string>();
  const damage: string[] = [];
  let left = 2 * PASTED.most;
  for (const [name, path] of named) {
    if (left <= 0) {
      damage.push(`${name} was not read: the texts before it are too large`);
      continue;
    }
    try {
      const bytes = stdin ?? (await firstBytes(openText(path), PASTED));
      if (bytes === undefined) logs.set(name, path);
      else texts.push({ name, bytes });
      left -= bytes?.length ?? 0;
    } catch (error) {
      if (!unread || !(error instanceof HostError)) throw error;
      unread.push(error.message);
    }
  }
  return { texts, logs, damage };
}

/** Outputs of commands that cannot answer anything. */
function unusedText(path: string, parts: readonly PastedPart[]): HostError {
  const [first] = parts;
  const why = `it contains ${[...new Set(parts.map(({ kind }) => kind))].join(', ')}: ${first?.why ?? ''}`;
  const next = 'See docs/pasted.md for outputs that are used.';
  return new HostError('unreadable', `${path}: no part of the text is used (${why})`, { next });
}

interface ArchivedText extends PastedText {
  readonly isCut: boolean;
}

/** A file with a name that one of a capture could have. */
interface SavedFile extends ArchivedText {
  /** False: it has no section of a supportconfig, as its name says. */
  readonly isRead: boolean;
}

/** Files of one host in an input. */
interface HostFiles {
  readonly files: Map<string, Buffer>;
  readonly entries: Map<string, CapturedFile>;
  readonly links: Map<string, string>;
}

/**
 * Returns the files of the only host, with logs that are elsewhere in the input.
 *
 * @throws {HostError} `not-a-capture`: it contains several hosts
 */
function onlyHost(path: string, all: ReadonlyMap<string, HostFiles>): HostFiles {
  const isHost = (top: string, { files }: HostFiles) =>
    ['proc/meminfo', 'memory.txt'].some((name) => files.has(name)) || (NODE.test(top) && files.has(NODE_LOG));
  const isSnapshot = ({ files }: HostFiles) => files.has(MANIFEST) || files.has('sample-1/began');
  const found = [...all].filter(([top, host]) => isSnapshot(host) || isHost(top, host)).map(([top]) => top);
  // A copy of /proc may contain the roots of containers.
  const tops = found.filter((top) => !found.some((other) => other !== top && top.startsWith(other)));
  if (tops.length > 1)
    throw new HostError(
      'not-a-capture',
      `${path} contains ${tops.length} hosts: ${tops.slice(0, 3).join(', ')}${tops.length > 3 ? ', …' : ''}`,
      { next: 'Unpack it, and name the folder of one host.' },
    );
  const kept = tops[0] === undefined ? [...all].filter(([top]) => !top.endsWith(BARE_TOP)) : [];
  const merged: HostFiles = all.get(tops[0] ?? '') ?? { files: new Map(), entries: new Map(), links: new Map() };
  for (const [top, { files, entries, links }] of all) {
    const isKept = kept.some(([one]) => one === top);
    for (const [name, bytes] of files)
      if (
        !merged.files.has(name) &&
        (isKept || isOfLogs(name) || (name === NODE_LOG && `${top}${BARE_TOP}` === tops[0]))
      )
        merged.files.set(name, bytes);
    for (const [name, entry] of entries) if (!merged.entries.has(name) && isKept) merged.entries.set(name, entry);
    for (const [name, target] of links) if (!merged.links.has(name) && isKept) merged.links.set(name, target);
  }
  return merged;
}

/** Replaces files of a supportconfig by their sections, and drops files that only have the name of one. */
function unfoldSections(files: Map<string, Buffer>): void {
  for (const [name, bytes] of [...files]) {
    if (!SUPPORTCONFIG.test(name)) continue;
    files.delete(name);
    for (const [inner, text] of supportconfigFiles(bytes.toString('utf8')))
      if (!files.has(inner)) files.set(inner, Buffer.from(text));
  }
}

/**
 * Replaces each symlink by the bytes of its target in the capture; a file that only contains a path of
 * the capture is a symlink that was unpacked on a file system without them. Opens nothing outside.
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
  entries: ReadonlyMap<string, CapturedFile>,
  innerName: (name: string) => string | null,
): string[] {
  const damage: string[] = [];
  for (const [name, { size, read, times }] of entries) {
    if (read < size) damage.push(`${name} is too large: only its first ${read} bytes were read`);
    if (times > 1) damage.push(`${name} occurs ${times} times`);
  }
  const manifest = files.get(MANIFEST);
  const wanted = (name: string) => innerName(name) !== null;
  return manifest
    ? [...damage, ...checkManifest(manifest.toString('utf8'), entries, wanted).map(({ words }) => words)]
    : damage;
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw asHostError(path, cause);
  }
}

/** Symlinks are recorded but not opened: they may point outside the capture, to files of this host. */
function readDirectory(
  root: string,
  inside: string,
  depth: number,
  budget: {
    left: number;
    readonly room: (name: string) => number | null;
    /** @returns whether its path is sufficient */
    readonly addPath: (name: string, path: string) => boolean;
  },
  add: (name: string, bytes: Buffer, size: number) => void,
  addLink: (name: string, target: string) => void,
): void {
  for (const entry of entriesOf(join(root, inside))) {
    if (--budget.left < 0) throw new HostError('not-a-capture', `${root} has too many files`);
    const name = inside === '' ? entry.name : `${inside}/${entry.name}`;
    if (entry.isDirectory() && depth < MAX_DEPTH) readDirectory(root, name, depth + 1, budget, add, addLink);
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

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
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

/** Reads the beginning of a file, up to a maximum; never of a fifo or a device. */
function readSome(path: string, maximum: number): { bytes: Buffer; size: number } {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = fstatSync(file);
      if (!stat.isFile()) throw new HostError('not-a-capture', `${path} is neither a file nor a directory`);
      const bytes = Buffer.alloc(Math.min(stat.size, maximum));
      let read = 0;
      for (let count = 1; count > 0 && read < bytes.length; read += count)
        count = readSync(file, bytes, read, bytes.length - read, read);
      return { bytes: bytes.subarray(0, read), size: stat.size };
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    throw asHostError(path, cause);
  }
}

/** @returns the limit at which reading stopped; null: it was read to its end */
async function readArchive(path: string, reader: TarReader, limit: UnpackLimit): Promise<string | null> {
  const limited = new LimitedStream(limit);
  /** Why reading stopped. Kept separately: a pipeline reports that its first stage was aborted instead. */
  let refusal: HostError | undefined;
  const sink = async (pieces: AsyncIterable<Buffer>) => {
    try {
      for await (const piece of limited.of(pieces)) {
        reader.push(piece);
        if (reader.isComplete) break;
      }
      if (limited.exceeded === null) reader.end();
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
  const compression = compressionOf(begin);
  try {
    if (compression === 'gzip') await pipeline(createReadStream(path), createGunzip(), sink);
    else if (compression !== null) await unpack(compression, path, sink);
    else await pipeline(createReadStream(path), sink);
  } catch (cause) {
    if (refusal) throw refusal;
    // Data after the end, or the limit, was not awaited.
    if (!((reader.isComplete || limited.exceeded !== null) && cause instanceof Error && cause.name === 'AbortError'))
      throw asHostError(path, cause);
  }
  return reader.isComplete ? null : limited.exceeded;
}

async function unpack(
  command: Compression,
  path: string,
  sink: (pieces: AsyncIterable<Buffer>) => Promise<void>,
): Promise<void> {
  const child = startGroup(command, ['-dc', '--', path], { stdio: ['ignore', 'pipe', 'ignore'] });
  const started = new Promise<never>((_, reject) => {
    child.on('error', (cause) =>
      reject(asExhausted(command, cause) ?? new HostError('not-a-capture', `${command} is not installed`, { cause })),
    );
  });
  if (child.stdout) await Promise.race([pipeline(child.stdout, sink), started]);
}

function asHostError(path: string, cause: unknown): unknown {
  if (cause instanceof HostError || !(cause instanceof Error) || !('code' in cause)) return cause;
  if (cause.code === 'ENOENT') return new HostError('not-a-capture', `${path}: not found`, { cause });
  if (cause.code === 'EACCES') return new HostError('denied', `${path}: permission denied`, { cause });
  return new HostError('not-a-capture', `${path}: read failed (${String(cause.code)})`, { cause });
}
