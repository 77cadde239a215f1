/**
 * kdump-mem as a library: opens a dump and queries it.
 *
 * @packageDocumentation
 */

export type { RefsTargets } from '../account/references/search.js';
export { schemas } from '../answers/published.js';
export { KdumpMemError, KernelError, ReadError, WalkError } from '../base/errors.js';
export type {
  Kernel,
  KernelDoubt,
  KernelFacts,
  MemorySections,
  NamedAddress,
  UserPages,
} from '../kernel/kernel.js';
export type { MemberLayout, StructLayout } from '../kernel/layout.js';
export type { PageMap } from '../kernel/page-map.js';
export type { Pointer } from '../kernel/pointer.js';
export {
  Dump,
  type DumpOptions,
  openDump,
  openLive,
  type Progress,
  type SocketSelector,
} from './dump.js';
