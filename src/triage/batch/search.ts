import { lstatSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { KernelErrorCode } from '../../base/errors/kernel.js';
import { missingFile } from '../../base/missing-file.js';
import { KDUMP_LOG } from '../../host/logs.js';
import { recognise } from '../../kernel/native/image/recognise.js';

/** A dump to look at: one file, or the parts of a split one. */
export interface FoundDump {
  /** The absolute path: of a split dump that of its first part. Hostile, as are all names. */
  readonly dump: string;
  /** Every part, in the order of their names. */
  readonly files: readonly string[];
  /** Where it lies below the argument that led to it: the same wherever that is mounted. */
  readonly place: string;
  /** Bytes of all parts. */
  readonly size: number;
  /** When the last of them was changed: milliseconds since 1970. Undefined of what cannot be looked at. */
  readonly mtime?: number;
  /** It cannot be read, as is known before anything tries. */
  readonly unfit?: Unfit;
}

/** Why a file is not opened at all, besides what a dump cannot be opened for. */
export const SEARCH_ERROR_CODES = ['unsupported-name', 'unreadable-file', 'too-deep'] as const;
export type SearchErrorCode = (typeof SEARCH_ERROR_CODES)[number];

/** Why something is not read: a code for machines, and words. */
export interface Unfit {
  readonly code: SearchErrorCode | KernelErrorCode;
  readonly message: string;
}

/** A folder that could not be listed. */
export interface Unlisted {
  readonly path: string;
  readonly code: Unfit['code'];
  readonly why: string;
}

/** What a search found, and what it passed over. */
export interface Found {
  /** In the order of arguments, and below each in that of names. */
  readonly dumps: readonly FoundDump[];
  /** Files in folders that are no dumps. */
  readonly otherFiles: number;
  /** Symbolic links in folders: none is followed. */
  readonly links: number;
  /** Sockets, fifos and devices: none is opened. */
  readonly special: number;
  /** Folders that could not be listed: what lies there is not known. */
  readonly unlisted: readonly Unlisted[];
}

/** Folders in folders; a path has 4096 bytes at most. */
const DEEPEST = 256;

interface Sighted extends FoundDump {
  /** Equal of all parts of a split dump in a folder. */
  readonly partOf?: string;
}

/**
 * Looks for dumps: by what a file begins with, and where that says nothing (an empty file) by its name. A file
 * that an argument names is one, whatever it holds. Nothing is counted twice that two arguments lead to.
 *
 * @param withLogs where a folder has the log of kdump and no dump, the log counts as one
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
    };
  }

  /** @param real without links, which the words may lead through */
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
      else if (entry.isFile()) this.#file(at, join(real, entry.name), below, false);
      else if (entry.isSymbolicLink()) this.#links++;
      else this.#special++;
    }
    if (!this.#withLogs) return;
    // Where kdump could not write the dump, the log is all that there is.
    const isDump = ({ dump }: FoundDump) => dirname(dump) === path;
    const log = entries.find((entry) => entry.isFile() && KDUMP_LOG.test(entry.name));
    if (log && ![...this.#sighted.values()].some(isDump)) {
      this.#otherFiles--;
      this.#file(join(path, log.name), join(real, log.name), join(place, log.name), true);
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
      // What is written while we look has another size later, and is then looked at again.
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

/** Where our own folder was removed, there is nothing that a relative word leads to. */
function absolute(word: string): string {
  try {
    return resolve(word);
  } catch {
    return word;
  }
}

/** By the numbers of their characters, which no locale changes. */
function listed(path: string) {
  return readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Parts of a split dump as one, where the first of them stands. */
function joined(all: readonly Sighted[]): FoundDump[] {
  const dumps = new Map<string, FoundDump>();
  for (const { partOf, ...one } of all) {
    const key = partOf === undefined ? one.dump : JSON.stringify([dirname(one.dump), partOf]);
    const known = dumps.get(key);
    dumps.set(
      key,
      known === undefined
        ? one
        : {
            ...known,
            files: [...known.files, one.dump],
            size: known.size + one.size,
            mtime: Math.max(known.mtime ?? 0, one.mtime ?? 0),
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
