import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { crc32 } from 'node:zlib';

/** Maximum number of cache files: every bundle, for a few releases and Node versions. Each is below a megabyte. */
const MAX_FILES = 32;
const MAX_BYTES = 16 * 1024 ** 2;
/** A CRC-32 of all following bytes, and the length of the key, which comes first. */
const HEADER_BYTES = 8;

/**
 * V8's compiled code of one bundle, cached in a file of the user: a key that identifies the code and
 * the Node binary, then V8's bytes. Optional: after any error, the code is compiled again.
 */
export class CodeCache {
  readonly #name: string;
  readonly #key: Buffer;

  private constructor(name: string, key: Buffer) {
    this.#name = name;
    this.#key = key;
  }

  /** Null if the Node binary cannot be identified, or the cache could not be verified. */
  static of(filename: string, code: Buffer): CodeCache | null {
    try {
      // Node 21 and 22.0 have no crc32.
      const node = typeof crc32 === 'function' ? runningNode() : null;
      if (node === null) return null;
      const key = Buffer.from(JSON.stringify([filename, code.length, crc32(code), node]));
      const digits = crc32(key).toString(16).padStart(8, '0');
      return new CodeCache(`${basename(filename, '.js')}-${digits}`, key);
    } catch {
      return null;
    }
  }

  /** Undefined if there is no complete cache for this code and Node binary, owned by the user. */
  read(): Buffer | undefined {
    try {
      const folder = privateFolder(false);
      return folder === null ? undefined : this.#open(readOwn(join(folder, this.#name)));
    } catch {
      return undefined;
    }
  }

  /**
   * Replaces the file atomically, so that other processes never read a partial one.
   *
   * @param compiled called only if there is a place for it
   */
  write(compiled: () => Buffer): void {
    // Beyond a file size limit (ulimit -f), SIGXFSZ would end the process.
    const ignore = () => undefined;
    process.on('SIGXFSZ', ignore);
    try {
      const folder = privateFolder(true);
      if (folder === null) return;
      writeAtomically(folder, this.#name, () => this.#wrap(compiled()));
      removeOldest(folder);
    } catch {
    } finally {
      process.off('SIGXFSZ', ignore);
    }
  }

  #wrap(compiled: Buffer): Buffer {
    const contents = Buffer.concat([Buffer.alloc(HEADER_BYTES), this.#key, compiled]);
    contents.writeUInt32LE(this.#key.length, 4);
    contents.writeUInt32LE(crc32(contents.subarray(4)), 0);
    return contents;
  }

  #open(contents: Buffer): Buffer | undefined {
    if (contents.length <= HEADER_BYTES + this.#key.length) return undefined;
    if (contents.readUInt32LE(0) !== crc32(contents.subarray(4))) return undefined;
    const end = HEADER_BYTES + contents.readUInt32LE(4);
    const isOurs = contents.subarray(HEADER_BYTES, end).equals(this.#key);
    return isOurs ? contents.subarray(end) : undefined;
  }
}

/** Exit statuses of a complete answer, of one with findings, and of an incomplete one. */
const ANSWERED = [0, 1, 5];
const HELP = ['--help', '-h', '--version', '-V'];

/**
 * Whether a run compiled the code that later runs need. A run that failed or only printed help did not,
 * and its cache would be used for all later ones.
 *
 * @param acts whether most runs of that code do more than print help
 */
export function isTypical(status: number, args: readonly string[], acts: boolean): boolean {
  return ANSWERED.includes(status) && !(acts && args.some((arg) => HELP.includes(arg)));
}

/** @throws if it is not a regular file that only this user can write */
function readOwn(path: string): Buffer {
  // O_NONBLOCK: opening a fifo does not wait for a writer.
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { mode, nlink, size, uid } = fstatSync(file);
    const isFile = (mode & constants.S_IFMT) === constants.S_IFREG;
    const isOwn = uid === process.geteuid?.() && (mode & 0o022) === 0 && nlink === 1;
    if (!isFile || !isOwn || size > MAX_BYTES) throw new Error('no cache of ours');
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

function writeAtomically(folder: string, name: string, bytes: () => Buffer): void {
  const unique = `${process.pid}-${Math.random().toString(36).slice(2)}`;
  const path = join(folder, `${name}.${unique}`);
  // Containers that share a home directory can have equal pids.
  const file = openSync(path, 'wx', 0o600);
  try {
    try {
      writeFileSync(file, bytes());
    } finally {
      closeSync(file);
    }
    renameSync(path, join(folder, name));
  } catch (error) {
    unlinkSync(path);
    throw error;
  }
}

/** Also removes partial files of killed processes. */
function removeOldest(folder: string): void {
  const files = readdirSync(folder).map((name) => join(folder, name));
  if (files.length <= MAX_FILES) return;
  const ages = files.map((file) => ({ file, made: lstatSync(file).mtimeMs }));
  ages.sort((a, b) => b.made - a.made);
  for (const { file } of ages.slice(MAX_FILES)) unlinkSync(file);
}

const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/**
 * Returns the folder for executable code: $XDG_CACHE_HOME/kdump-mem, or ~/.cache/kdump-mem. Any user
 * who can create a file there can run code as us, so we must own it (mode 700, not a symlink), and no
 * other user except root may be able to replace it. Root with another user's HOME has none.
 *
 * @param make whether to create it if missing
 * @throws any error from reading or creating it
 */
function privateFolder(make: boolean): string | null {
  const user = process.geteuid?.();
  // A set-user-ID program must not trust its caller's environment.
  if (user === undefined || user !== process.getuid?.()) return null;
  const base = cacheHome();
  if (base === null) return null;
  if (make) {
    if (!isOnlyOurs(realpathSync.native(dirname(base)), user)) return null;
    makeFolder(base);
  }
  const parent = realpathSync.native(base);
  if (!isOnlyOurs(parent, user)) return null;
  const folder = join(parent, 'kdump-mem');
  if (make) makeFolder(folder);
  const stat = lstatSync(folder);
  return stat.isDirectory() && stat.uid === user && (stat.mode & 0o777) === 0o700 ? folder : null;
}

/** From the XDG Base Directory Specification, which requires relative paths to be ignored. */
function cacheHome(): string | null {
  const { XDG_CACHE_HOME: cache = '', HOME: home = '' } = process.env;
  if (isAbsolute(cache)) return cache;
  // Services often have / as home.
  return isAbsolute(home) && home !== '/' ? join(home, '.cache') : null;
}

/** Whether only this user and root can change the target of a path without symlinks. */
function isOnlyOurs(path: string, user: number): boolean {
  for (let folder = path; ; folder = dirname(folder)) {
    if (!isProtected(lstatSync(folder), user)) return false;
    if (folder === dirname(folder)) return true;
  }
}

/** In a sticky folder (/tmp) other users' files cannot be moved. */
function isProtected({ uid, mode }: Stats, user: number): boolean {
  return (uid === user || uid === 0) && ((mode & WRITABLE_BY_OTHERS) === 0 || (mode & STICKY) !== 0);
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/**
 * Identifies the running Node binary: V8's code cache crashes, without a message, in a build that did
 * not create it, and V8 itself only checks its own version, which many Node releases share. The
 * identity is that of the executable and, if node is a shared library (Debian's), of that;
 * distributions build one version more than once.
 *
 * @returns null if that is uncertain
 * @throws if one of the files cannot be read
 */
function runningNode(): string | null {
  // V8's compiled code depends on its flags too. V8 checks them itself, but alternating settings should
  // not replace each other's cache. Byte code does not depend on the CPU's model.
  const settings = [process.versions, process.arch, process.execArgv, process.env.NODE_OPTIONS];
  if (process.platform !== 'linux') {
    // The loaded library is unknown.
    if (Reflect.get(process.config.variables, 'node_shared')) return null;
    return JSON.stringify([...settings, process.execPath, identity(statOf(process.execPath))]);
  }
  // The running executable, even if its path now leads to another file.
  const program = identity(statOf('/proc/self/exe'));
  const libraries = mappedLibraries(readFileSync('/proc/self/maps', 'utf8'));
  return JSON.stringify([...settings, process.execPath, program, libraries]);
}

/**
 * The libnode files in a /proc/PID/maps (proc_pid_maps(5)), each as its path and identity.
 *
 * @throws if one is no longer at its path, as after an upgrade: it is named "… (deleted)" then
 */
function mappedLibraries(maps: string): readonly string[] {
  const paths = maps.match(/(?<= )\/.*\/libnode[^/\n]*$/gm) ?? [];
  return [...new Set(paths)].map((path) => `${path} ${identity(statOf(path))}`);
}

function statOf(path: string): BigIntStats {
  return statSync(path, { bigint: true });
}

/** The change time distinguishes files with equal inode and modification time on two machines. */
function identity({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [ino, size, mtimeNs, ctimeNs].join(' ');
}
