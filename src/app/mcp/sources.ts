import {
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  realpathSync,
} from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { escapeText } from '../../answers/text/escape.js';
import { KernelError } from '../../base/errors.js';
import { UsageError } from '../kit/failure.js';

/** What the server may read, and its limits. */
export interface McpOptions {
  readonly vmcore?: readonly string[];
  readonly from?: readonly string[];
  readonly root?: string;
  readonly live?: true;
  readonly budget: number;
  readonly timeout: number;
  readonly workerMemory: number;
}

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

/** Maximum number of files, and of folders, of a listing. */
const MOST_LISTED = 200;

/** The files that a client may read: those named at start, and those below one folder. */
export class Sources {
  /** Paths by name, links resolved. */
  readonly #named: ReadonlyMap<string, string>;
  readonly #root: string | undefined;
  readonly #live: boolean;
  /** Identity of each file when it was opened last, by path. */
  readonly #known = new Map<string, string>();

  /** @throws {KernelError} if a file or the folder cannot be opened */
  constructor(files: readonly string[], root: string | undefined, live: boolean) {
    this.#named = new Map(files.map((name) => [name, realPath(name, name)]));
    this.#root = root === undefined ? undefined : realPath(root, root);
    this.#live = live;
    for (const name of files) closeSync(this.open(name).fd);
    if (this.#root !== undefined) unlessDenied(this.#root, () => readdirSync(this.#root ?? ''));
  }

  /** Names of the sources: first those given at start, then files below the root, to a limit. */
  names(): readonly string[] {
    const found: string[] = [];
    const folders = this.#root === undefined ? [] : [this.#root];
    for (let read = 0; read < folders.length && read < MOST_LISTED; read++)
      for (const entry of entriesOf(folders[read] ?? '')) {
        const path = join(entry.parentPath, entry.name);
        if (entry.isDirectory()) folders.push(path);
        else if (entry.isFile()) found.push(relative(this.#root ?? '', path));
      }
    const cut = found.length > MOST_LISTED || folders.length > MOST_LISTED;
    const listed = found.slice(0, MOST_LISTED).toSorted();
    return [...this.#given(), ...listed, ...(cut ? ['(more files are not listed)'] : [])].map(
      escapeText,
    );
  }

  #given(): readonly string[] {
    return [...this.#named.keys(), ...(this.#live ? [LIVE] : [])];
  }

  /** Declaration of the argument that names a source. */
  get schema(): Readonly<Record<string, unknown>> {
    const named = this.#given();
    if (this.#root === undefined)
      return { type: 'string', enum: named, description: 'what to read (default: the only one)' };
    const others = named.map((name) => `, or ${name}`).join('');
    return { type: 'string', description: `file to read: a path below ${this.#root}${others}` };
  }

  /** The only source, which a call need not name. @throws {UsageError} if there are several */
  get default(): string {
    const [only, ...others] = this.names();
    if (only !== undefined && others.length === 0) return only;
    throw new UsageError('source: missing argument', `Sources: ${this.names().join(', ')}`);
  }

  /** @throws {UsageError} if it was not allowed at start */
  checkLive(): void {
    if (!this.#live) throw new UsageError('live: the server was started without --live');
  }

  /**
   * Opens a file that the client may read: a regular file at the path that was allowed, also if links were changed
   * since. A file that differs from what the last call read is refused once.
   *
   * @throws {UsageError} if it is not among the sources; {@link KernelError} if it cannot be opened
   */
  open(name: string): OpenFile {
    const path = this.#named.get(name) ?? this.#below(name);
    // O_NONBLOCK: opening a fifo does not wait for a writer.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const fd = unlessDenied(name, () => openSync(path, flags));
    try {
      const stat = fstatSync(fd);
      if (stat.isDirectory())
        throw new KernelError('not-a-dump', `${name}: not a file (a folder)`, {
          next: 'Name a file in it, or make an archive of it with tar.',
        });
      if (!stat.isFile()) throw new KernelError('not-a-dump', `${name}: not a regular file`);
      // A link that appeared since leads elsewhere.
      if (readlinkSync(`/proc/self/fd/${fd}`) !== path) throw changed(name, 'while it was opened');
      const identity = identityOf(fd);
      const known = this.#known.get(path);
      this.#known.set(path, identity);
      if (known !== undefined && known !== identity)
        throw changed(name, 'since it was read last: earlier answers are of the former file');
      return { name, fd, identity };
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Returns the path of a file below the root, links resolved. */
  #below(name: string): string {
    const root = this.#root;
    if (root === undefined || name.includes('\0'))
      throw new UsageError(`${name}: not a source`, `Sources: ${this.names().join(', ')}`);
    const path = resolve(root, name);
    if (!path.startsWith(`${root}/`))
      throw new UsageError(`${name}: outside of the folder of --root`);
    const real = realPath(path, name);
    if (!real.startsWith(`${root}/`))
      throw new UsageError(`${name}: a link leads outside of the folder of --root`);
    return real;
  }
}

/** Empty if the folder cannot be read: its files are not sources then. */
function entriesOf(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** Size and times change with the contents, device and inode with a replacement. */
export function identityOf(fd: number): string {
  const { dev, ino, size, mtimeNs } = fstatSync(fd, { bigint: true });
  return [dev, ino, size, mtimeNs].join(':');
}

/** Creates the error for a file whose answer would be of two files. */
export function changed(name: string, when: string): KernelError {
  return new KernelError('damaged', `${name}: the file changed ${when}`, {
    next: 'Repeat the call.',
  });
}

function realPath(path: string, name: string): string {
  return unlessDenied(name, () => realpathSync.native(path));
}

/** @throws {KernelError} with the name, if a file cannot be opened */
function unlessDenied<T>(name: string, open: () => T): T {
  try {
    return open();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM')
      throw new KernelError('permission', `${name}: permission denied`, { cause });
    const why = code === 'ENOENT' ? 'no such file' : `open failed (${code})`;
    throw new KernelError('no-such-file', `${name}: ${why}`, { cause });
  }
}
