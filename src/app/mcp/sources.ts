import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  realpathSync,
} from 'node:fs';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { escapeText } from '../../answers/text/escape.js';
import { KernelError } from '../../base/errors.js';
import { UsageError } from '../kit/failure.js';

/** A file that a call reads. It stays this file, whatever its path leads to later. */
export interface OpenFile {
  /** As the client names it. */
  readonly name: string;
  readonly fd: number;
  /** Distinguishes it from other files, and from itself after a change. */
  readonly identity: string;
}

interface NamedFile {
  readonly name: string;
  readonly path: string;
}

/** Name of the running kernel among the sources. */
export const LIVE = 'live';

/** Maximum number of files below the root that are listed. */
const MOST_LISTED = 200;
const MOST_DEPTH = 6;

/** The files that a client may read: those named at start, and those below one folder. */
export class Sources {
  readonly #named: readonly NamedFile[];
  readonly #root: string | undefined;
  readonly #live: boolean;
  /** Identity of each file when it was opened last, by path. */
  readonly #known = new Map<string, string>();

  /** @throws {KernelError} if a file or the folder cannot be opened */
  constructor(files: readonly string[], root: string | undefined, live: boolean) {
    this.#named = files.map((name) => ({ name, path: realPath(name, name) }));
    this.#root = root === undefined ? undefined : realPath(root, root);
    this.#live = live;
    for (const { name } of this.#named) closeSync(this.open(name).fd);
    if (this.#root !== undefined) readdirSync(this.#root);
  }

  /** Names of the sources: those given at start, then files below the root, to a limit. */
  list(): { readonly names: readonly string[]; readonly truncated: boolean } {
    const names = [...this.#named.map(({ name }) => name), ...(this.#live ? [LIVE] : [])];
    const found: string[] = [];
    const root = this.#root;
    const search = (folder: string, depth: number): void => {
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        if (found.length > MOST_LISTED) return;
        const path = join(folder, entry.name);
        if (entry.isFile() && root !== undefined) found.push(relative(root, path));
        if (entry.isDirectory() && depth < MOST_DEPTH) search(path, depth + 1);
      }
    };
    if (root !== undefined) search(root, 0);
    found.sort();
    return {
      names: [...names, ...found.slice(0, MOST_LISTED)],
      truncated: found.length > MOST_LISTED,
    };
  }

  /** Declaration of the argument that names a source. */
  get schema(): Readonly<Record<string, unknown>> {
    const names = [...this.#named.map(({ name }) => name), ...(this.#live ? [LIVE] : [])];
    const only = names.length === 1 && this.#root === undefined ? `; default: ${names[0]}` : '';
    if (this.#root === undefined)
      return { type: 'string', enum: names, description: `file to read${only}` };
    const others = names.length === 0 ? '' : `, or one of: ${names.join(', ')}`;
    const description = `file to read: a path below ${this.#root}${others}`;
    return { type: 'string', description };
  }

  /** The only source, which a call need not name. @throws {UsageError} if there are several */
  get default(): string {
    const { names, truncated } = this.list();
    const [only, ...others] = names;
    if (only !== undefined && others.length === 0) return only;
    const known = names.slice(0, 20).map(escapeText).join(', ');
    const more = truncated || names.length > 20 ? ', …' : '';
    throw new UsageError('source: missing argument', `Sources: ${known}${more}`);
  }

  /** @throws {UsageError} if it was not named at start */
  checkLive(): void {
    if (!this.#live)
      throw new UsageError('live: not allowed (the server was started without --live)');
  }

  /**
   * Opens a file that the client may read: a regular file, at the path that was allowed, also if links were changed
   * since. A file that differs from what the last call read is refused once.
   *
   * @throws {UsageError} if it is not among the sources; {@link KernelError} if it cannot be opened
   */
  open(name: string): OpenFile {
    const named = this.#named.find((file) => file.name === name);
    const path = named?.path ?? this.#below(name);
    const fd = openFile(path, name);
    try {
      const found = fstatSync(fd);
      if (!found.isFile()) throw new KernelError('not-a-dump', `${name}: not a regular file`);
      // Links were resolved before: a link that appeared since leads elsewhere.
      if (readlinkSync(`/proc/self/fd/${fd}`) !== path)
        throw new UsageError(`${name}: the path changed while it was opened`);
      const identity = identityOf(fd);
      const known = this.#known.get(path);
      this.#known.set(path, identity);
      if (known !== undefined && known !== identity)
        throw new KernelError(
          'damaged',
          `${name}: the file changed since it was read last; earlier answers describe the former file`,
          { next: 'Repeat the call to read the new one.' },
        );
      return { name, fd, identity };
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Returns the path of a file below the root, links resolved. */
  #below(name: string): string {
    const root = this.#root;
    if (root === undefined)
      throw new UsageError(`${name}: not a source`, `Sources: ${this.list().names.join(', ')}`);
    if (name.includes('\0')) throw new UsageError('source: malformed value');
    const path = resolve(root, name);
    if (!isBelow(root, path)) throw new UsageError(`${name}: outside of the folder of --root`);
    const real = realPath(path, name);
    if (!isBelow(root, real))
      throw new UsageError(`${name}: a link leads outside of the folder of --root`);
    return real;
  }
}

function isBelow(root: string, path: string): boolean {
  const way = relative(root, path);
  return way !== '' && way !== '..' && !way.startsWith('../') && !isAbsolute(way);
}

/** Size and times change with the contents, device and inode with a replacement. */
export function identityOf(fd: number): string {
  const { dev, ino, size, mtimeNs } = fstatSync(fd, { bigint: true });
  return [dev, ino, size, mtimeNs].join(':');
}

function realPath(path: string, name: string): string {
  try {
    return realpathSync.native(path);
  } catch (cause) {
    throw unopened(name, cause);
  }
}

function openFile(path: string, name: string): number {
  try {
    // O_NONBLOCK: opening a fifo does not wait for a writer.
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    throw unopened(name, cause);
  }
}

function unopened(name: string, cause: unknown): KernelError {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM')
    return new KernelError('permission', `${name}: permission denied`, { cause });
  const why = code === 'ENOENT' ? 'no such file' : `open failed (${code})`;
  return new KernelError('no-such-file', `${name}: ${why}`, { cause });
}
