import {
  closeSync,
  copyFileSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accountAll } from '../../src/account/sockets.js';
import { FileSource } from '../../src/kernel/native/image/byte-source.js';
import { readDiskdumpHeader } from '../../src/kernel/native/image/diskdump/header.js';
import { openImage } from '../../src/kernel/native/image/open.js';
import { openNative } from '../../src/kernel/native/open.js';
import { type Compression, compress, FLAGS } from '../../test/support/dump/compress.js';
import { littleEndian } from '../../test/support/little-endian.js';
import { bomb } from './bombs.js';
import { changes } from './bytes.js';
import { type Ran, runCommand } from './command.js';
import type { Random } from './random.js';
import { Broken } from './rules.js';
import { wildValue } from './values.js';

const DESCRIPTOR = 24;

/** The marks of an incomplete answer, in text and in JSON. */
const ADMISSION = /incomplete|Unknown|NOTE|anomalies|not in the dump|"complete": ?false/;

/** The answer of a command for the undamaged file. */
interface Command {
  readonly args: readonly string[];
  readonly truth: Ran;
}

/**
 * One real dump in a private copy, which is damaged in place, queried through the commands, and
 * repaired again: headers, descriptors, compressed pages, ends; and pages that are changed and
 * recompressed, so that the damage decodes.
 */
export class FileCases {
  readonly #folder = mkdtempSync(join(tmpdir(), 'kdump-mem-fuzz-'));
  readonly #path = join(this.#folder, 'vmcore');
  readonly #fd: number;
  readonly #size: number;
  readonly #pages: ReadonlyMap<number, number>;
  #commands: Command[] = [];

  private constructor(file: string) {
    copyFileSync(file, this.#path);
    this.#fd = openSync(this.#path, 'r+');
    this.#size = fstatSync(this.#fd).size;
    this.#pages = storedPages(this.#path);
  }

  static async open(file: string): Promise<FileCases> {
    const cases = new FileCases(file);
    for (const args of cases.#questions()) {
      cases.#commands.push({ args, truth: await runCommand([...args, '--vmcore', cases.#path]) });
    }
    return cases;
  }

  /** @throws {Broken} */
  async run(random: Random): Promise<readonly string[]> {
    const told: string[] = [];
    const undo: { at: number; bytes: Uint8Array }[] = [];
    const write = (at: number, bytes: Uint8Array): void => {
      if (at < this.#size) {
        const old = new Uint8Array(Math.min(bytes.length, this.#size - at));
        readSync(this.#fd, old, 0, old.length, at);
        undo.unshift({ at, bytes: old });
      }
      writeSync(this.#fd, bytes, 0, bytes.length, at);
    };
    const cut =
      this.#pages.size > 0 && random.oneIn(2)
        ? this.#damagePages(random, write, told)
        : this.#damageFile(random, write, told);
    const extracts = random.oneIn(40);
    const { args, truth } = random.pick(this.#commands);
    const output = join(this.#folder, 'small');
    const words = extracts ? ['extract', '-o', output] : args;
    told.push(words.slice(0, 6).join(' '));
    try {
      const { status, stdout, stderr } = await runCommand([...words, '--vmcore', this.#path]);
      if (cut && !extracts && status === 0 && stderr === '' && stdout !== truth.stdout) {
        if (!ADMISSION.test(stdout)) throw new Broken('silent', 'the file was cut and the answer does not say so');
      }
      return [...told, `status ${status}`];
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      throw new Broken(error.rule, `${error.message}\n  ${told.join('\n  ')}`, { cause: error });
    } finally {
      for (const { at, bytes } of undo) writeSync(this.#fd, bytes, 0, bytes.length, at);
      ftruncateSync(this.#fd, this.#size);
      rmSync(output, { force: true });
      const stray = readdirSync(this.#folder).filter((name) => name !== 'vmcore');
      // biome-ignore lint/correctness/noUnsafeFinally: worse than what went wrong before
      if (stray.length > 0) throw new Broken('stray file', stray.join(', '));
    }
  }

  dispose(): void {
    closeSync(this.#fd);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #damageFile(random: Random, write: (at: number, bytes: Uint8Array) => void, told: string[]): boolean {
    for (const change of changes(random, this.#size)) {
      if (change.kind === 'cut') {
        write(change.at, new Uint8Array(this.#size - change.at));
        ftruncateSync(this.#fd, change.at);
        told.push(`cut at ${change.at} of ${this.#size}`);
        return true;
      }
      const { at, bytes } = change.patch((from, size) => {
        const target = new Uint8Array(Math.max(0, Math.min(size, this.#size - from)));
        readSync(this.#fd, target, 0, target.length, from);
        return target;
      });
      write(at, bytes);
      told.push(`file at ${at}: ${Buffer.from(bytes.subarray(0, 16)).toString('hex')}`);
    }
    return false;
  }

  /** Changes a page and stores it at the end of the file, in any compression. */
  #damagePages(random: Random, write: (at: number, bytes: Uint8Array) => void, told: string[]): boolean {
    const numbers = [...this.#pages.keys()];
    const image = openImage([this.#path]);
    let end = this.#size;
    for (let times = random.oneIn(3) ? 1 + random.below(6) : 1; times > 0; times--) {
      const number = random.pick(numbers);
      const at = this.#pages.get(number)!;
      const page = pageBytes(image, number);
      if (page === undefined) continue;
      for (let words = 1 + random.below(4); words > 0; words--) {
        const place = random.below(page.length / 8) * 8;
        const old = new DataView(page.buffer).getBigUint64(place, true);
        page.set(littleEndian(wildValue(random, old, 8), 8), place);
        told.push(`page ${number} at ${place}`);
      }
      const as = random.pick(Object.keys(FLAGS) as Compression[]);
      let stored = compress(page, as);
      let flags = FLAGS[as];
      if (random.oneIn(8)) {
        const spec = bomb(random, stored, told);
        if (typeof spec === 'object' && 'stored' in spec) ({ stored, flags } = spec);
      }
      const descriptor = Buffer.alloc(16);
      descriptor.writeBigUInt64LE(BigInt(end), 0);
      descriptor.writeUInt32LE(stored.length, 8);
      descriptor.writeUInt32LE(flags, 12);
      write(at, descriptor);
      write(end, stored);
      end += stored.length;
    }
    image.close();
    return false;
  }

  /** Queries about the sockets that hold most memory, and some that any dump answers. */
  #questions(): string[][] {
    const questions = [
      ['info'],
      ['info', '--json'],
      ['sockets', '--limit', '5'],
      ['struct', 'sk_buff'],
      ['struct', 'task_struct', 'init_task'],
      ['struct', 'task_struct.comm,pid', 'init_task', '--json'],
      ['read', 'linux_banner'],
      ['read', 'init_task', '--length', '16k', '--json'],
      ['read', '--phys', '1000000', '--length', '256k'],
      ['read', 'init_task', '--raw'],
    ];
    const kernel = openNative({ files: [this.#path] });
    for (const { holders } of accountAll(kernel).sockets.slice(0, 6)) {
      const [holder] = holders;
      if (!holder) continue;
      const [pid, fd] = [String(holder.pid), String(holder.fd)];
      questions.push(['skb', '--pid', pid, '--fd', fd], ['skb', '--pid', pid, '--json']);
      questions.push(['skb', '--pid', pid, '--fd', fd, '--verbose', '--json', '--strict']);
    }
    kernel.close();
    return questions;
  }
}

function pageBytes(image: ReturnType<typeof openImage>, number: number): Uint8Array | undefined {
  try {
    const view = image.readPhysical(number * 4096, 4096);
    return new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + 4096));
  } catch {
    // An extract keeps parts of pages, which stay unchanged.
    return undefined;
  }
}

/** File offset of the descriptor of each stored page; empty if it is not a single kdump file. */
function storedPages(path: string): Map<number, number> {
  const pages = new Map<number, number>();
  const source = new FileSource(path);
  try {
    const head = new Uint8Array(8);
    source.pread(head, 8, 0);
    if (Buffer.from(head).toString('latin1') !== 'KDUMP   ') return pages;
    const header = readDiskdumpHeader(source);
    const bitmap = new Uint8Array(Math.ceil(header.blocks / 8));
    source.pread(bitmap, bitmap.length, header.storedBitmap);
    let descriptor = header.descriptors;
    for (let block = 0; block < header.blocks; block++) {
      if ((bitmap[block >>> 3]! & (1 << (block & 7))) === 0) continue;
      pages.set(block, descriptor);
      descriptor += DESCRIPTOR;
    }
    return pages;
  } finally {
    source.close();
  }
}
