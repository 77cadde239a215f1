import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { cutWords } from '../../answers/text/cut.js';
import { KernelError, openError } from '../../base/errors.js';
import { escapeText } from '../../base/escape.js';
import { UsageError } from '../kit/failure.js';
import type { McpOptions } from './options.js';
import { type Given, MAX_FILES, MAX_TEXT, type Tool } from './tools.js';

/** A file that a call reads: it stays this file, whatever its path leads to later. */
export interface OpenFile {
  /** As the client names it. */
  readonly name: string;
  readonly fd: number;
  /** Distinguishes it from other files, and from itself after a change. */
  readonly identity: string;
}

/** Name of the running kernel among the sources. */
export const LIVE = 'live';

/** Longest name in lines of the server's own. */
const MAX_LETTERS = 100;

/** The name of a file as clients get it, and may give it back: without spaces, it can hold no sentence. */
export function nameOf(name: string): string {
  return escapeText(name).replaceAll(' ', '\\x20');
}

/** The same for a line of text: cut. */
export function shortName(name: string): string {
  return cutWords(nameOf(name), MAX_LETTERS);
}

/** Maximum number of files, and of folders, of a listing. */
const MAX_LISTED = 200;

/** Maximum number of texts that are kept: the oldest is dropped. */
const MAX_TEXTS = 8;

/** What a client may read: files named at start, those below one folder, and texts that its calls passed. */
export class Sources {
  /** Paths by name, links resolved. */
  readonly #named: ReadonlyMap<string, string>;
  /** With a slash at its end. */
  readonly #root: string | undefined;
  readonly #live: boolean;
  /** Unnamed files with texts, by name. */
  readonly #texts = new Map<string, number>();
  /** Identity of each file when it was opened last, by path. */
  readonly #known = new Map<string, string>();

  /** @throws {KernelError} if a file or the folder cannot be opened */
  constructor({ vmcore = [], from = [], root, live }: McpOptions) {
    const files = [...vmcore, ...from];
    this.#named = new Map(files.map((name) => [name, realPath(name)]));
    this.#root = root === undefined ? undefined : join(realPath(root), '/');
    this.#live = live === true;
    for (const name of files) fs.closeSync(this.#open(name).fd);
    if (root !== undefined) orRefuse(root, () => fs.readdirSync(root));
  }

  /** Names of the sources: first those given at start, then files below the root, to a limit; texts. */
  get names(): readonly string[] {
    return [...this.#given, ...this.#listed(), ...this.#texts.keys()];
  }

  get #given(): readonly string[] {
    return [...this.#named.keys(), ...(this.#live ? [LIVE] : [])];
  }

  #listed(): readonly string[] {
    const names: string[] = [];
    const folders = this.#root === undefined ? [] : [this.#root];
    for (const folder of folders)
      for (const entry of folders.length > MAX_LISTED ? [] : entriesOf(folder)) {
        const path = join(folder, entry.name);
        if (entry.isDirectory()) folders.push(path);
        else if (entry.isFile()) names.push(relative(this.#root ?? '', path));
      }
    const isCut = names.length > MAX_LISTED || folders.length > MAX_LISTED;
    const listed = names.slice(0, MAX_LISTED).toSorted();
    return isCut ? [...listed, '(more files are not listed)'] : listed;
  }

  /** Declaration of the argument that names a source. */
  get schema(): Readonly<Record<string, unknown>> {
    const named = this.#given;
    const files = this.#root === undefined ? [] : [`a path below ${this.#root}`];
    const all = [...named, ...files, 'the name of a text in an answer'];
    const rest = files.length + named.length > 0 ? ' (default: the only one)' : '';
    return { type: 'string', description: `what to read${rest}: ${all.join(', or ')}` };
  }

  /** A call with the name of a text in place of the text, which later calls use. @throws {UsageError} */
  withText({ inputSchema }: Tool, given: Given): Given {
    const { text, ...others } = given;
    if (text === undefined || !('text' in inputSchema.properties)) return given;
    if (typeof text !== 'string' || text === '') throw new UsageError('text: missing or malformed value');
    if (others.source !== undefined) throw new UsageError('text and source cannot be combined');
    const bytes = Buffer.from(text);
    if (bytes.length > MAX_TEXT)
      throw new UsageError(`text: at most ${MAX_TEXT} bytes`, 'Save it as a file that the server may read.');
    const name = `text-${createHash('sha256').update(bytes).digest('hex').slice(0, 8)}`;
    const known = this.#texts.get(name);
    this.#texts.delete(name);
    this.#texts.set(name, known ?? unnamedFile(bytes));
    for (const [old, fd] of [...this.#texts].slice(0, -MAX_TEXTS)) {
      this.#texts.delete(old);
      fs.closeSync(fd);
    }
    return { ...others, source: name };
  }

  /** Returns the sources that a call names: the only one, if it names none. @throws {UsageError} */
  namesFor({ name, readsFiles }: Tool, { source, sources }: Given): readonly string[] {
    const names = readsFiles ? sources : [source ?? this.#only()];
    if (!Array.isArray(names) || !names.every((name): name is string => typeof name === 'string'))
      throw new UsageError(`${readsFiles ? 'sources' : 'source'}: missing or malformed value`);
    if (names.length > MAX_FILES) throw new UsageError(`sources: at most ${MAX_FILES} files`);
    const isLive = names.includes(LIVE);
    if (isLive && readsFiles) throw new UsageError(`${name} reads only files`);
    if (isLive && !this.#live) throw new UsageError('live: the server was started without --live');
    return names.map((name) => this.#asListed(name));
  }

  /** The real name of a source that a client knows in the form of {@link nameOf}. */
  #asListed(name: string): string {
    if (this.#named.has(name) || !name.includes('\\')) return name;
    return this.names.find((listed) => nameOf(listed) === name || escapeText(listed) === name) ?? name;
  }

  /** The name of a source as clients get it. */
  listed(name: string): string {
    return nameOf(this.#asListed(name));
  }

  #only(): string {
    const named = [...this.#given, ...this.#listed()];
    const [only, ...others] = named.length > 0 ? named : this.names;
    if (only !== undefined && others.length === 0) return only;
    throw this.#refusal('source: missing argument');
  }

  #refusal(message: string): UsageError {
    return new UsageError(message, `Sources: ${this.names.map(nameOf).join(', ')}`);
  }

  /**
   * Runs work on open files. A file that differs from what the last call read is refused once.
   *
   * @throws {UsageError} if one is not among the sources; {@link KernelError} if one cannot be opened, or changes
   */
  async whileOpen<T>(names: readonly string[], work: (files: readonly OpenFile[]) => Promise<T>): Promise<T> {
    const files: OpenFile[] = [];
    try {
      for (const name of names) if (name !== LIVE) files.push(this.#open(name));
      const done = await work(files);
      for (const { fd, identity, name } of files)
        if (identityOf(fd) !== identity) throw changed(name, 'while it was read');
      return done;
    } finally {
      for (const { fd } of files) fs.closeSync(fd);
    }
  }

  /** Opens a regular file at the path that was allowed, also if links were changed since. */
  #open(name: string): OpenFile {
    const text = this.#texts.get(name);
    if (text !== undefined) {
      const fd = fs.openSync(`/proc/self/fd/${text}`, fs.constants.O_RDONLY);
      return { name, fd, identity: identityOf(fd) };
    }
    const path = this.#named.get(name) ?? this.#below(name);
    // O_NONBLOCK: opening a fifo does not wait for a writer.
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
    const fd = orRefuse(name, () => fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    try {
      const stat = fs.fstatSync(fd);
      if (stat.isDirectory())
        throw new KernelError('not-a-dump', `${name}: not a file (a folder)`, { next: 'Name a file in it.' });
      if (!stat.isFile()) throw new KernelError('not-a-dump', `${name}: not a regular file`);
      // A link that appeared since leads elsewhere.
      if (fs.readlinkSync(`/proc/self/fd/${fd}`) !== path) throw changed(name, 'while it was opened');
      const identity = identityOf(fd);
      const known = this.#known.get(path) ?? identity;
      this.#known.set(path, identity);
      if (known !== identity) throw changed(name, 'since it was read last: earlier answers are of the former file');
      return { name, fd, identity };
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
  }

  /** Returns the path of a file below the root, links resolved. */
  #below(name: string): string {
    const root = this.#root;
    if (root === undefined || name.includes('\0')) throw this.#refusal(`${name}: not a source`);
    const path = resolve(root, name);
    if (!path.startsWith(root)) throw new UsageError(`${name}: outside of the folder of --root`);
    const real = realPath(path, name);
    if (real.startsWith(root)) return real;
    throw new UsageError(`${name}: a link leads outside of the folder of --root`);
  }
}

/** O_TMPFILE without O_DIRECTORY (include/uapi/asm-generic/fcntl.h). */
const TEMPORARY = 0o20000000;

/** A file without a name, in memory if possible: workers read it, and it ends with the server. @throws {UsageError} */
function unnamedFile(bytes: Buffer): number {
  let why: unknown;
  for (const folder of ['/dev/shm', tmpdir()])
    try {
      const { O_DIRECTORY, O_RDWR } = fs.constants;
      const fd = fs.openSync(folder, TEMPORARY | O_DIRECTORY | O_RDWR, 0o600);
      try {
        for (let at = 0; at < bytes.length; ) at += fs.writeSync(fd, bytes, at);
        return fd;
      } catch (error) {
        fs.closeSync(fd);
        throw error;
      }
    } catch (error) {
      why ??= error;
    }
  const words = why instanceof Error ? why.message : String(why);
  throw new UsageError(`text: it cannot be kept (${words})`, 'Save it as a file that the server may read.');
}

/** Empty if the folder cannot be read: its files are not sources then. */
function entriesOf(folder: string): readonly fs.Dirent[] {
  try {
    return fs.readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** Device and inode change with a replacement, and the other two with the contents, which may keep their mtime. */
function identityOf(fd: number): string {
  const { dev, ino, size, ctimeNs } = fs.fstatSync(fd, { bigint: true });
  return [dev, ino, size, ctimeNs].join(':');
}

/** Creates the error for a file whose answer would be of two files. */
function changed(name: string, when: string): KernelError {
  const next = 'Repeat the call.';
  return new KernelError('damaged', `${name}: the file changed ${when}`, { next });
}

function realPath(path: string, name = path): string {
  return orRefuse(name, () => fs.realpathSync.native(path));
}

/** @throws {KernelError} with the name, if a file cannot be opened */
function orRefuse<T>(name: string, open: () => T): T {
  try {
    return open();
  } catch (cause) {
    throw openError(name, cause, 'no-such-file');
  }
}
