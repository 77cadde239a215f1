/**
 * kdump-mem as a library: opens a dump and asks it.
 *
 * @packageDocumentation
 */
export { KdumpMemError } from '../error.js';
export { KernelError, ReadError } from '../kernel/error.js';
export type {
  Kernel,
  KernelFacts,
  MemorySections,
  NamedAddress,
  UserPages,
} from '../kernel/kernel.js';
export type { MemberLayout, StructLayout } from '../kernel/layout.js';
export type { PageMap } from '../kernel/page-map.js';
export type { Pointer } from '../kernel/pointer.js';
export { schemas } from '../report/published.js';
export { WalkError } from '../walk/error.js';
export {
  Dump,
  type DumpOptions,
  openDump,
  openLive,
  type Progress,
  type WhichSocket,
} from './dump.js';
