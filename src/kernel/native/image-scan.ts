import { readOrNot } from '../../base/errors.js';
import { bytesOf } from '../bytes.js';
import type { Architecture } from './arch/arch.js';
import type { KernelMemory } from './memory.js';

/** Bytes per step: images are mapped in units of 2 MiB. */
const STEP = 2n << 20n;
/** Larger than any kernel image. */
const MAX_BYTES = 256n << 20n;
/** Granularity of holes: the smallest page. */
const PAGE = 4096;

/**
 * Addresses at which `needle` occurs in the kernel image: first in read-only data, where the kernel's
 * tables are, then in the rest. Missing pages are skipped. Bounded by the image's range.
 */
export function* scanImage(
  memory: Pick<KernelMemory, 'read'>,
  arch: Architecture,
  needle: Uint8Array,
): Generator<bigint> {
  const { start, end } = arch.imageRange;
  const constants: bigint[] = [];
  const rest: bigint[] = [];
  for (let at = start; at < end && at - start < MAX_BYTES; at += STEP) {
    const protection = protectionOf(arch, at);
    if (protection === undefined) continue;
    if (protection.writable || protection.executable) rest.push(at);
    else constants.push(at);
  }
  for (const steps of [constants, rest]) {
    let tail = Buffer.alloc(0);
    let expected = -1n;
    for (const address of steps) {
      if (address !== expected) tail = Buffer.alloc(0);
      const bytes = Buffer.concat([tail, readWithHoles(memory, address, Number(STEP))]);
      const origin = address - BigInt(tail.length);
      for (let hit = bytes.indexOf(needle); hit >= 0; hit = bytes.indexOf(needle, hit + 1)) yield origin + BigInt(hit);
      tail = bytes.subarray(bytes.length - needle.length + 1);
      expected = address + STEP;
    }
  }
}

function protectionOf(arch: Architecture, address: bigint): ReturnType<Architecture['protection']> {
  return readOrNot(() => arch.protection(address));
}

/**
 * Bytes to search, with zeros for missing pages. Only for locating candidates: matches must be read
 * again by functions that do not substitute zeros.
 */
export function readWithHoles(memory: Pick<KernelMemory, 'read'>, address: bigint, length: number): Uint8Array {
  const block = bytesOrNot(memory, address, length);
  if (block) return block;
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const part = Math.min(length - at, PAGE - ((Number(BigInt.asUintN(12, address)) + at) % PAGE));
    const page = bytesOrNot(memory, address + BigInt(at), part);
    if (page) bytes.set(page, at);
    at += part;
  }
  return bytes;
}

/**
 * Reads the whole page around a match, so that a recording of reads contains enough for another scan to
 * find the match again.
 */
export function readAround(memory: Pick<KernelMemory, 'read'>, address: bigint): void {
  bytesOrNot(memory, address - BigInt.asUintN(12, address), PAGE);
}

function bytesOrNot(memory: Pick<KernelMemory, 'read'>, address: bigint, length: number): Uint8Array | undefined {
  return readOrNot(() => bytesOf(memory.read(address, length), 0, length));
}
