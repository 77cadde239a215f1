import { UTS, UTS_BYTES } from '../../kernel/layout.js';
import type { NativeKernel } from '../../kernel/native/parts.js';
import { decodeText, StructReader } from '../../walk/struct-reader.js';
import { attempt } from '../questions.js';

/** Marks the page of an address as stored, without keeping any of its bytes. */
export type Store = (address: bigint) => void;

/** Stores all pages of a range. */
export function storePages(
  kernel: NativeKernel,
  store: Store,
  address: bigint,
  bytes: number,
): void {
  for (let at = 0; at < bytes; at += kernel.facts.pageSize) store(address + BigInt(at));
  store(address + BigInt(bytes - 1));
}

/** Reads a pointer at an address. @throws {ReadError} */
export function pointerAt(kernel: NativeKernel, address: bigint): bigint {
  return kernel.read(address, 8).getBigUint64(0, true);
}

/** Returns a reader for those of the members that this kernel has. */
export function present(kernel: NativeKernel, name: string, members: readonly string[]) {
  const layout = kernel.struct(name);
  return new StructReader(
    kernel,
    name,
    members.filter((member) => layout?.member(member) !== undefined),
  );
}

/** `uname -v`. */
export function kernelVersion(kernel: NativeKernel): string {
  let version = '';
  attempt(() => {
    version = decodeText(readUts(kernel, UTS.version), 0, UTS_BYTES);
  });
  return version;
}

/** sysname, nodename, release, version and machine. */
export function readUtsNames(kernel: NativeKernel): void {
  for (let field: number = UTS.sysname; field <= UTS.machine; field++) readUts(kernel, field);
}

function readUts(kernel: NativeKernel, field: number): DataView {
  const address = kernel.symbol('init_uts_ns') ?? 0n;
  const offset = new StructReader(kernel, 'uts_namespace', ['name']).offset('name');
  return kernel.read(address + BigInt(offset + field * UTS_BYTES), UTS_BYTES);
}
