import type { NativeKernel } from '../../kernel/native/parts.js';
import { UTS, UTS_BYTES } from '../../kernel/utsname.js';
import { decodeText, StructReader } from '../../walk/struct-reader.js';
import { attempt } from '../questions.js';

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
