import { readSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { ReadError } from '../../base/errors.js';
import { bytesOf } from '../../kernel/bytes.js';
import type { FileRange, PhysicalMemory, StoredRange } from '../../kernel/kernel.js';
import { PIECE_BYTES, type Piece, type PieceHits, pieceScanner, type TargetIndex } from './piece-scan.js';

/** Receives what a pass finds, in the order of physical addresses. */
export interface PassVisitor {
  /** Words of the memory from `start` on that refer to targets. */
  hits(start: number, hits: PieceHits): void;
  /** Memory that was not scanned: it is not stored, or cannot be read. */
  missing(start: number, end: number, why: 'not-stored' | 'unreadable'): void;
}

/** Maximum number of threads: more are limited by the memory bus. */
const MAX_THREADS = 16;

/** A thread starts in 30 ms, and scans this much in less. */
const BYTES_PER_THREAD = 64 * 2 ** 20;

/**
 * Scans the memory in some ranges for words that refer to targets, once. Threads read and scan memory that
 * lies in a file as it was; other memory is read, and decompressed, by this one.
 *
 * @param ranges physical addresses in ascending order
 * @param progress called with the completed part, 0 to 1
 */
export async function passOver(
  memory: PhysicalMemory,
  ranges: readonly StoredRange[],
  index: TargetIndex,
  visitor: PassVisitor,
  progress: (part: number) => void = () => {},
): Promise<void> {
  const total = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  const threads = Math.min(MAX_THREADS, availableParallelism(), Math.floor(total / BYTES_PER_THREAD));
  const pool = threads > 1 ? ThreadPool.start(index, threads) : undefined;
  const scan = pool ? (piece: Piece) => pool.scan(piece) : pieceScanner(readSync, index, PIECE_BYTES);
  const running: { readonly part: Part; readonly hits: PieceHits | Promise<PieceHits> }[] = [];
  let done = 0;
  const finish = async (): Promise<void> => {
    const { part, hits: scanned } = running.shift()!;
    const hits = await scanned;
    for (const [start, end] of pairs([...part.lost, ...hits.lost]))
      visitor.missing(part.start + start, part.start + end, 'unreadable');
    visitor.hits(part.start, hits);
    done += part.length;
    progress(Math.min(1, done / total));
  };
  try {
    for (const part of partsOf(memory, ranges)) {
      if ('end' in part) {
        while (running.length > 0) await finish();
        visitor.missing(part.start, part.end, 'not-stored');
        done += part.end - part.start;
        continue;
      }
      running.push({ part, hits: part.piece ? scan(part.piece) : NO_HITS });
      if (running.length > 2 * threads) await finish();
    }
    while (running.length > 0) await finish();
  } finally {
    pool?.close();
  }
}

/** Zeros point nowhere. */
const NO_HITS: PieceHits = {
  words: new Uint32Array(0),
  targets: new Uint32Array(0),
  forms: new Uint8Array(0),
  lost: [],
};

/** A piece at a physical address, and the parts of it that cannot be read: as in {@link PieceHits}. */
interface Part {
  readonly start: number;
  readonly length: number;
  /** Undefined: the dump stores all of it as the page of zeros. */
  readonly piece: Piece | undefined;
  readonly lost: readonly number[];
}

/** Pieces of some memory, and the ranges between them that are not stored, in order. */
function* partsOf(memory: PhysicalMemory, wanted: readonly StoredRange[]): Generator<Part | StoredRange> {
  const stored: Iterator<StoredRange | FileRange> = (memory.inFile ?? memory.stored)[Symbol.iterator]();
  let next = stored.next();
  for (const { start, end } of wanted) {
    let at = start;
    while (at < end) {
      while (!next.done && wordsOf(next.value).end <= at) next = stored.next();
      const from = next.done ? end : Math.min(end, Math.max(at, wordsOf(next.value).start));
      if (from > at) yield { start: at, end: from };
      at = from;
      if (at >= end || next.done) continue;
      const to = Math.min(end, at + PIECE_BYTES, wordsOf(next.value).end);
      yield partOf(memory, next.value, at, to);
      at = to;
    }
  }
}

/** The complete words of a range. */
function wordsOf({ start, end }: StoredRange): StoredRange {
  return { start: Math.ceil(start / 8) * 8, end: Math.floor(end / 8) * 8 };
}

function partOf(memory: PhysicalMemory, range: StoredRange | FileRange, start: number, end: number): Part {
  const length = end - start;
  if ('descriptor' in range) {
    const { descriptor, offset } = range;
    return { start, length, piece: { length, descriptor, offset: offset + start - range.start }, lost: [] };
  }
  let bytes: Uint8Array<ArrayBuffer> | undefined;
  const lost: number[] = [];
  for (let at = start; at < end; ) {
    const to = Math.min(end, at - (at % SMALLEST_PAGE) + SMALLEST_PAGE);
    if (memory.isZero?.(at)) {
      at = to;
      continue;
    }
    bytes ??= new Uint8Array(length);
    try {
      bytes.set(bytesOf(memory.read(at, to - at)), at - start);
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      lost.push(at - start, to - start);
    }
    at = to;
  }
  return { start, length, piece: bytes && { length, bytes: bytes.buffer }, lost };
}

const SMALLEST_PAGE = 4096;

function* pairs(numbers: readonly number[]): Generator<[number, number]> {
  for (let at = 0; at < numbers.length; at += 2) yield [numbers[at]!, numbers[at + 1]!];
}

/**
 * Code of a thread. It is the text of a function, so that it works from a module, a bundle and an executable
 * alike.
 */
const THREAD = `
const { parentPort, workerData } = require('node:worker_threads');
const { readSync } = require('node:fs');
const scan = (${pieceScanner.toString()})(readSync, workerData, ${PIECE_BYTES});
parentPort.on('message', (piece) => {
  const hits = scan(piece);
  parentPort.postMessage(hits, [hits.words.buffer, hits.targets.buffer, hits.forms.buffer]);
});`;

interface Thread {
  readonly worker: Worker;
  /** Scans that it has not finished, in order. */
  readonly waiting: Scanning[];
}

/** Settles the scan of a piece. */
interface Scanning {
  resolve(hits: PieceHits): void;
  reject(error: Error): void;
}

/** Threads that scan pieces. */
class ThreadPool {
  readonly #threads: readonly Thread[];
  #failure: Error | undefined;

  private constructor(threads: readonly Thread[]) {
    this.#threads = threads;
  }

  /** Undefined if this system starts no threads, as in a working directory that was removed. */
  static start(index: TargetIndex, threads: number): ThreadPool | undefined {
    const started: Thread[] = [];
    try {
      while (started.length < threads)
        started.push({ worker: new Worker(THREAD, { eval: true, workerData: index }), waiting: [] });
    } catch {
      for (const { worker } of started) void worker.terminate();
      return undefined;
    }
    const pool = new ThreadPool(started);
    for (const { worker, waiting } of started) {
      worker.on('message', (hits: PieceHits) => waiting.shift()?.resolve(hits));
      worker.on('error', (error) => pool.#fail(error));
    }
    return pool;
  }

  scan(piece: Piece): Promise<PieceHits> {
    if (this.#failure) return Promise.reject(this.#failure);
    const [thread] = this.#threads.toSorted((a, b) => a.waiting.length - b.waiting.length);
    const scanned = new Promise<PieceHits>((resolve, reject) => {
      thread!.waiting.push({ resolve, reject });
    });
    // The first failed scan that is awaited reports the error; others may never be.
    scanned.catch(() => undefined);
    thread!.worker.postMessage(piece, 'bytes' in piece ? [piece.bytes] : []);
    return scanned;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { waiting } of this.#threads) for (const scanned of waiting.splice(0)) scanned.reject(error);
  }

  close(): void {
    for (const { worker } of this.#threads) void worker.terminate();
  }
}
