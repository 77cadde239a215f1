import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { privateFolder } from './private-folder.js';
import { runningNode } from './running-node.js';

/** Files kept in the folder: every bundle, of a few releases and nodes. Each is below a megabyte. */
const MOST_FILES = 32;
const MOST_BYTES = 16 * 1024 ** 2;
/** A CRC-32 of all that follows, and the length of the key that comes first. */
const HEADER_BYTES = 8;

/**
 * What V8 compiled of one bundle, kept in a file of the user's own: the key that says of which code, by
 * which node, then V8's bytes. Nothing needs it; whatever goes wrong, the code is compiled again.
 */
export class CodeCache {
  readonly #name: string;
  readonly #key: Buffer;

  private constructor(name: string, key: Buffer) {
    this.#name = name;
    this.#key = key;
  }

  /** Null where it cannot be known which node this is, or what was read would not be checked. */
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

  /** Undefined if there is none that is whole, of this code and node, and ours. */
  read(): Buffer | undefined {
    try {
      const folder = privateFolder(false);
      return folder === null ? undefined : this.#open(readOwn(join(folder, this.#name)));
    } catch {
      return undefined;
    }
  }

  /**
   * Puts a new file in place at once, so that no other process finds half of one.
   *
   * @param compiled is asked only if there is a place for it
   */
  write(compiled: () => Buffer): void {
    // Beyond a limit of the size of files (ulimit -f), a signal that nobody expects ends us.
    const ignore = () => undefined;
    process.on('SIGXFSZ', ignore);
    try {
      const folder = privateFolder(true);
      if (folder === null) return;
      writeWhole(folder, this.#name, () => this.#wrap(compiled()));
      removeOldest(folder);
    } catch {
    } finally {
      process.off('SIGXFSZ', ignore);
    }
  }

  #wrap(compiled: Buffer): Buffer {
    const whole = Buffer.concat([Buffer.alloc(HEADER_BYTES), this.#key, compiled]);
    whole.writeUInt32LE(this.#key.length, 4);
    whole.writeUInt32LE(crc32(whole.subarray(4)), 0);
    return whole;
  }

  #open(whole: Buffer): Buffer | undefined {
    if (whole.length <= HEADER_BYTES + this.#key.length) return undefined;
    if (whole.readUInt32LE(0) !== crc32(whole.subarray(4))) return undefined;
    const end = HEADER_BYTES + whole.readUInt32LE(4);
    const isOurs = whole.subarray(HEADER_BYTES, end).equals(this.#key);
    return isOurs ? whole.subarray(end) : undefined;
  }
}

/** Statuses of an answer; of one that found something; of one that is incomplete. */
const ANSWERED = [0, 1, 5];
const HELP = ['--help', '-h', '--version', '-V'];

/**
 * Whether a run compiled what later ones need. One that failed or only printed help did not, and its
 * cache would be all that they have.
 *
 * @param acts whether help is not what most runs of that code are for
 */
export function isTypical(status: number, args: readonly string[], acts: boolean): boolean {
  return ANSWERED.includes(status) && !(acts && args.some((arg) => HELP.includes(arg)));
}

/** @throws if it is not a plain file that only we can write */
function readOwn(path: string): Buffer {
  // A fifo is opened without waiting for its writer.
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { mode, nlink, size, uid } = fstatSync(file);
    const isFile = (mode & constants.S_IFMT) === constants.S_IFREG;
    const isOwn = uid === process.geteuid?.() && (mode & 0o022) === 0 && nlink === 1;
    if (!isFile || !isOwn || size > MOST_BYTES) throw new Error('no cache of ours');
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

function writeWhole(folder: string, name: string, bytes: () => Buffer): void {
  const unique = `${process.pid}-${Math.random().toString(36).slice(2)}`;
  const path = join(folder, `${name}.${unique}`);
  // In containers that share a home, pids are not unique.
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

/** Also what processes left that were killed while they wrote. */
function removeOldest(folder: string): void {
  const files = readdirSync(folder).map((name) => join(folder, name));
  if (files.length <= MOST_FILES) return;
  const ages = files.map((file) => ({ file, made: lstatSync(file).mtimeMs }));
  ages.sort((a, b) => b.made - a.made);
  for (const { file } of ages.slice(MOST_FILES)) unlinkSync(file);
}
