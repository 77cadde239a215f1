import { lstatSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { KernelErrorCode } from '../../base/errors.js';
import { missingFile } from '../../base/util.js';
import { crashLogs, OWN_ANSWER } from '../../host/logs.js';
import { recognise } from '../../kernel/native/image/foreign.js';
import type { SearchErrorCode } from '../../records/triage-codes.js';

/** A dump: one file, or the parts of a split one. */
export interface FoundDump {
  /** Absolute path; for a split dump, of its first part. Untrusted, as are all names. */
  readonly dump: string;
  /** All parts, sorted by name. */
  readonly files: readonly string[];
  /** Path relative to the argument: the same wherever that is mounted. */
  readonly place: string;
  /** Bytes of all parts. */
  readonly size: number;
  /** Modification time of the newest part, milliseconds since 1970. Undefined if unreadable. */
  readonly mtime?: number;
  /** Why it cannot be read, if that is known before opening it. */
  readonly unfit?: Unfit;
}

/** Why a file is not read: a code for programs, and a message. */
export interface Unfit {
  readonly code: SearchErrorCode | KernelErrorCode;
  readonly message: string;
}

/** A directory that could not be listed. */
export interface Unlisted {
  readonly path: string;
  readonly code: Unfit['code'];
  readonly why: string;
}

/** Result of a search, including skipped files. */
export interface Found {
  /** In the order of the arguments, then sorted by name. */
  readonly dumps: readonly FoundDump[];
  /** Number of files in directories that are not dumps. */
  readonly otherFiles: number;
  /** Number of symbolic links in directories, which are not followed. */
  readonly links: number;
  /** Number of sockets, fifos and devices, which are not opened. */
  readonly special: number;
  /** Directories that could not be listed: their content is unknown. */
  readonly unlisted: readonly Unlisted[];
  /** Extracts that kdump-mem wrote beside dumps. */
  readonly extracts: readonly string[];
}

/** Maximum directory depth; a path has at most 4096 bytes. */
const DEEPEST = 256;

interface Sighted extends FoundDump {
  /** Key that all parts of a split dump in a directory share. */
  readonly partOf?: string;
}

/**
 * Searches for dumps by the beginning of each file, or by the name of an empty file. A file given as an
 * argument always counts. Each file counts once.
 *
 * @param withLogs count the logs of a crash (kdump, pstore) if a directory has no dump
 */
export function findDumps(words: readonly string[], withLogs = false): Found {
  const search = new Search(withLogs);
  for (const word of words) search.argument(word);
  return search.found();
}

class Search {
  readonly #sighted = new Map<string, Sighted>();
  readonly #listed = new Set<string>();
  readonly #unlisted: Unlisted[] = [];
  readonly #extracts: string[] = [];
  readonly #withLogs: boolean;
  #otherFiles = 0;
  #links = 0;
  #special = 0;

  constructor(withLogs: boolean) {
    this.#withLogs = withLogs;
  }

  argument(word: string): void {
    const path = absolute(word);
    try {
      const stat = statSync(path);
      const real = realpathSync(path);
      if (stat.isDirectory()) this.#folder(path, real, '', 0);
      else if (stat.isFile()) this.#file(path, real, basename(path), true);
      else this.#unfit(path, basename(path), 'not-a-dump', `${path}: not a regular file`);
    } catch (error) {
      this.#unfit(path, basename(path), ...whyNot(path, error));
    }
  }

  found(): Found {
    return {
      dumps: joined([...this.#sighted.values()]),
      otherFiles: this.#otherFiles,
      links: this.#links,
      special: this.#special,
      unlisted: this.#unlisted,
      extracts: this.#extracts,
    };
  }

  /** @param real path with symbolic links resolved */
  #folder(path: string, real: string, place: string, depth: number): void {
    if (this.#listed.has(real)) return;
    this.#listed.add(real);
    if (depth > DEEPEST) {
      this.#unlisted.push({ path, code: 'too-deep', why: `nested ${depth} folders deep` });
      return;
    }
    let entries: ReturnType<typeof listed>;
    try {
      entries = listed(path);
    } catch (error) {
      const [code, why] = whyNot(path, error);
      this.#unlisted.push({ path, code, why });
      return;
    }
    for (const entry of entries) {
      const [at, below] = [join(path, entry.name), join(place, entry.name)];
      if (entry.isDirectory()) this.#folder(at, join(real, entry.name), below, depth + 1);
      else if (entry.isFile() && OWN_ANSWER.test(entry.name)) this.#ownAnswer(at);
      else if (entry.isFile()) this.#file(at, join(real, entry.name), below, false);
      else if (entry.isSymbolicLink()) this.#links++;
      else this.#special++;
    }
    if (!this.#withLogs) return;
    // If kdump could not write the dump, logs are all that exists.
    if ([...this.#sighted.values()].some(({ dump }) => dirname(dump) === path)) return;
    for (const names of crashLogs(entries.flatMap((entry) => (entry.isFile() ? [entry.name] : []))))
      this.#logs(names, path, real, place);
  }

  #ownAnswer(path: string): void {
    this.#otherFiles++;
    if (path.endsWith('.extract')) this.#extracts.push(path);
  }

  /** Counts logs of one crash as one dump, with the name of the first. */
  #logs([first = '', ...others]: readonly string[], path: string, real: string, place: string): void {
    this.#otherFiles--;
    this.#file(join(path, first), join(real, first), join(place, first), true);
    for (const name of others) {
      const log = this.#sighted.get(join(real, first));
      const stat = lstatSync(join(path, name), { throwIfNoEntry: false });
      if (!log || log.unfit || !stat) continue;
      this.#otherFiles--;
      const [size, mtime] = [log.size + stat.size, Math.max(log.mtime ?? 0, Math.floor(stat.mtimeMs))];
      this.#sighted.set(join(real, first), { ...log, files: [...log.files, join(path, name)], size, mtime });
    }
  }

  #file(path: string, real: string, place: string, named: boolean): void {
    if (this.#sighted.has(real)) return;
    try {
      const seen = recognise(path);
      if (!named && !seen.isDump) {
        this.#otherFiles++;
        return;
      }
      // A file that is still being written will have another size later, and is then read again.
      const { size, mtimeMs } = named ? statSync(path) : lstatSync(path);
      const partOf = seen.partOf === undefined ? {} : { partOf: seen.partOf };
      const mtime = Math.floor(mtimeMs);
      this.#sighted.set(real, { dump: path, files: [path], place, size, mtime, ...partOf });
    } catch (error) {
      this.#unfit(path, place, ...whyNot(path, error));
    }
  }

  #unfit(path: string, place: string, code: Unfit['code'], message: string): void {
    if (this.#sighted.has(path)) return;
    const unfit = { code, message };
    this.#sighted.set(path, { dump: path, files: [path], place, size: 0, unfit });
  }
}

/** If the current directory was removed, relative paths cannot be resolved. */
function absolute(word: string): string {
  try {
    return resolve(word);
  } catch {
    return word;
  }
}

/** Lists a directory, sorted by code units, independent of the locale. */
function listed(path: string) {
  return readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Merges the parts of a split dump into one entry, at the position of the first part. */
function joined(all: readonly Sighted[]): FoundDump[] {
  const dumps = new Map<string, FoundDump>();
  for (const { partOf, ...entry } of all) {
    const key = partOf === undefined ? entry.dump : JSON.stringify([dirname(entry.dump), partOf]);
    const known = dumps.get(key);
    dumps.set(
      key,
      known === undefined
        ? entry
        : {
            ...known,
            files: [...known.files, entry.dump],
            size: known.size + entry.size,
            mtime: Math.max(known.mtime ?? 0, entry.mtime ?? 0),
          },
    );
  }
  return [...dumps.values()];
}

function whyNot(path: string, error: unknown): [code: Unfit['code'], message: string] {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'EACCES' || code === 'EPERM' || code === 'permission')
    return ['permission', `${path}: permission denied`];
  if (code === 'ENOENT' || code === 'no-such-file')
    return [path.includes('\ufffd') ? 'unsupported-name' : 'no-such-file', missingFile(path)];
  return ['unreadable-file', `${path} cannot be read (${code || String(error)})`];
}
