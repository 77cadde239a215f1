import { ReadError } from '../../base/errors/kernel.js';
import { bytesOf } from '../bytes.js';
import type { Architecture } from './arch/arch.js';
import type { KernelMemory } from './memory.js';

/** Bytes of a step: images are mapped in pieces of 2 MiB. */
const STEP = 2n << 20n;
/** No kernel image comes near this. */
const MOST_BYTES = 256n << 20n;
/** Of holes: the smallest page. */
const PAGE = 4096;

/**
 * Addresses at which `needle` lies in the kernel image: first in what is mapped as constants, where
 * the kernel's tables are, then in the rest. Missing pages are skipped. Bounded by the image's range.
 */
export function* scanImage(
  memory: Pick<KernelMemory, 'read'>,
  arch: Architecture,
  needle: Uint8Array,
): Generator<bigint> {
  const { start, end } = arch.imageRange;
  const constants: bigint[] = [];
  const others: bigint[] = [];
  for (let at = start; at < end && at - start < MOST_BYTES; at += STEP) {
    const protection = protectionOf(arch, at);
    if (protection === undefined) continue;
    if (protection.writable || protection.executable) others.push(at);
    else constants.push(at);
  }
  for (const steps of [constants, others]) {
    let tail = Buffer.alloc(0);
    let expected = -1n;
    for (const address of steps) {
      if (address !== expected) tail = Buffer.alloc(0);
      const bytes = Buffer.concat([tail, readWithHoles(memory, address, Number(STEP))]);
      const origin = address - BigInt(tail.length);
      for (let hit = bytes.indexOf(needle); hit >= 0; hit = bytes.indexOf(needle, hit + 1))
        yield origin + BigInt(hit);
      tail = bytes.subarray(bytes.length - needle.length + 1);
      expected = address + STEP;
    }
  }
}

function protectionOf(arch: Architecture, address: bigint): ReturnType<Architecture['protection']> {
  try {
    return arch.protection(address);
  } catch (error) {
    if (error instanceof ReadError) return undefined;
    throw error;
  }
}

/**
 * Bytes to search in: pages that are missing are zeros here. Only for looking where something may be;
 * what is found must be read again, by means that do not fill in.
 */
export function readWithHoles(
  memory: Pick<KernelMemory, 'read'>,
  address: bigint,
  length: number,
): Uint8Array {
  const whole = readOrNot(memory, address, length);
  if (whole) return whole;
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const part = Math.min(length - at, PAGE - ((Number(BigInt.asUintN(12, address)) + at) % PAGE));
    const page = readOrNot(memory, address + BigInt(at), part);
    if (page) bytes.set(page, at);
    at += part;
  }
  return bytes;
}

/**
 * Reads all of the page that a find lies in, as a scan reads it: what records reads then keeps enough
 * for another scan to find it again.
 */
export function readAround(memory: Pick<KernelMemory, 'read'>, address: bigint): void {
  readOrNot(memory, address - BigInt.asUintN(12, address), PAGE);
}

function readOrNot(
  memory: Pick<KernelMemory, 'read'>,
  address: bigint,
  length: number,
): Uint8Array | undefined {
  try {
    const view = memory.read(address, length);
    return bytesOf(view, 0, length);
  } catch (error) {
    if (error instanceof ReadError) return undefined;
    throw error;
  }
}
