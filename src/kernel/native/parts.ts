// Parts of the native engine that `extract` needs for writing a dump from a dump: formats, page tables,
// symbols. No other module accesses the engine's internals.
export type { Architecture } from './arch/arch.js';
export { walkTables } from './arch/arch.js';
export {
  COMPRESSION_FLAGS,
  DESCRIPTOR_BYTES,
  STATUS_AT,
  SUB_HEADER_BYTES,
  UTSNAME_AT,
} from './image/diskdump/header.js';
export {
  MAX_GROUP_BYTES,
  type PackedGroup,
  packedPagesNote,
  packGroup,
} from './image/diskdump/packed-pages.js';
export type { ImageFacts, MemoryImage, PhysicalRange } from './image/image.js';
export { lastAtOrBelow, WrappedImage } from './image/image.js';
export type { ByteRange } from './image/kept-bytes.js';
export { keptBytesNotes, keptBytesOf } from './image/kept-bytes.js';
export { type Note, NT_PRSTATUS } from './image/notes.js';
export { Kallsyms } from './kallsyms/kallsyms.js';
export type { NativeKernel } from './kernel.js';
export { CHUNK } from './memory.js';
export { architectureOf, type NativeOptions, openNativeImage } from './open.js';
export type { Vmcoreinfo } from './vmcoreinfo.js';
