import { InvalidArgumentError } from 'commander';
import { WalkError } from '../../base/errors.js';
import type { NativeKernel } from '../../kernel/native/kernel.js';
import { findPlace, type WrittenPlace } from '../../walk/values/place.js';
import { parseWritten } from './arguments.js';

/** A place in memory, or a page frame, as entered. */
export type PlaceOrFrame = WrittenPlace | { readonly frame: number };

/** Parses a place, or `pfn:N`. @throws {InvalidArgumentError} */
export function parsePlaceOrFrame(text: string): PlaceOrFrame {
  const [, number] = /^pfn:(0x[0-9a-f]{1,12}|\d{1,15})$/i.exec(text) ?? [];
  if (number !== undefined) return { frame: Number(number) };
  if (/^pfn:/i.test(text)) throw new InvalidArgumentError('It must be pfn:N, decimal or hex with 0x.');
  return parseWritten(text);
}

/** Returns the address of a place, or the direct-map address of a frame. @throws {WalkError} */
export function addressOfPlace(kernel: NativeKernel, place: PlaceOrFrame): bigint {
  if (!('frame' in place)) return findPlace(kernel, place).address;
  const address = kernel.pages.addressOfFrame(place.frame);
  if (address === undefined) throw new WalkError('no-such-symbol', `page frame ${place.frame} does not exist`);
  return address;
}
