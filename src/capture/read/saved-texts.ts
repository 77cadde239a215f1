import type { Dirent } from 'node:fs';
import { join, posix } from 'node:path';
import { HostError } from '../../base/errors.js';
import { findLogs, OWN_ANSWER } from '../../host/logs.js';
import { firstBytes, isText, openText } from '../../host/text-input.js';
import type { Pasted, PastedPart } from '../../records/pasted.js';
import { CapturedFiles } from './captured-files.js';
import { entriesOf, isReadable } from './input-files.js';
import { BARE_TOP, type CapturedFile, isOfLogs, MANIFEST, SUPPORTCONFIG, type WantedParts } from './manifest.js';
import { PASTED, type PastedText, readPasted } from './pasted.js';
import { supportconfigFiles } from './supportconfig.js';

/** Maximum number of texts of a folder. */
export const MAX_TEXTS = 1000;

export interface ArchivedText extends PastedText {
  readonly isCut: boolean;
}

/** A file with a name that one of a capture could have. */
interface SavedFile extends ArchivedText {
  /** False: it has no section of a supportconfig, as its name says. */
  readonly isRead: boolean;
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
export function savedFiles(
  hosts: ReadonlyMap<
    string,
    { readonly files: Iterable<[string, Buffer]>; readonly entries: Map<string, CapturedFile> }
  >,
): SavedFile[] | undefined {
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
export async function pastedInFolder(
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
export async function pastedInArchive(
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
export const isNearTop = (name: string) => name.replace(/^\.\//, '').split('/').length <= 3 && !OWN_ANSWER.test(name);

/** Files of a folder and of those in it, sorted. */
function namesNearTop(folder: string): string[] {
  const entries = entriesOf(folder);
  const below = entries
    .filter((entry) => entry.isDirectory() && isReadable(join(folder, entry.name)))
    .flatMap(({ name }) => filesOfFolder(entriesOf(join(folder, name))).map((file) => `${name}/${file}`));
  return [...filesOfFolder(entries), ...below].filter((name) => !OWN_ANSWER.test(name)).toSorted();
}

const filesOfFolder = (entries: readonly Dirent[]) => entries.filter((entry) => entry.isFile()).map(({ name }) => name);

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
