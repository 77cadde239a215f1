import { posix } from 'node:path';
import { HostError } from '../../base/errors.js';
import { CAPTURE_LIMIT, compressionOf, type UnpackLimit } from '../../host/recognise.js';
import { utf16Of } from '../../host/text-input.js';
import { CapturedFiles } from './captured-files.js';
import { MAX_PROCESS_BYTES } from './contents.js';
import { isDirectory, readArchive, readDirectory } from './input-files.js';
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
import { PASTED } from './pasted.js';
import {
  type ArchivedText,
  isNearTop,
  MAX_TEXTS,
  pastedFiles,
  pastedInArchive,
  pastedInFolder,
  savedFiles,
} from './saved-texts.js';
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
/** Limits on symlinks of a sosreport: their number, text, and chain length. */
const MAX_LINKS = 10_000;
const MAX_LINK_BYTES = 256;
const MAX_HOPS = 8;

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
  const { files, entries, links } = onlyHost(path, hosts, isFolder);
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
function onlyHost(path: string, all: ReadonlyMap<string, HostFiles>, isFolder: boolean): HostFiles {
  const isHost = (top: string, { files }: HostFiles) =>
    ['proc/meminfo', 'memory.txt'].some((name) => files.has(name)) || (NODE.test(top) && files.has(NODE_LOG));
  const isSnapshot = ({ files }: HostFiles) => files.has(MANIFEST) || files.has('sample-1/began');
  const hosts = [...all].filter(([top, host]) => isSnapshot(host) || isHost(top, host)).map(([top]) => top);
  // A copy of /proc may contain the roots of containers.
  const tops = hosts.filter((top) => !hosts.some((other) => other !== top && top.startsWith(other)));
  if (tops.length > 1)
    throw new HostError(
      'not-a-capture',
      `${path} contains ${tops.length} hosts: ${tops.slice(0, 3).join(', ')}${tops.length > 3 ? ', …' : ''}`,
      { next: `${isFolder ? 'Name' : 'Unpack it, and name'} the folder of one host.` },
    );
  const kept = tops[0] === undefined ? [...all].filter(([top]) => !top.endsWith(BARE_TOP)) : [];
  const merged: HostFiles = all.get(tops[0] ?? '') ?? { files: new Map(), entries: new Map(), links: new Map() };
  for (const [top, { files, entries, links }] of all) {
    const isKept = kept.some(([folder]) => folder === top);
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
