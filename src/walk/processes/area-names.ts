import type { Kernel } from '../../kernel/kernel.js';
import { kindOfMapping, type MappingKind } from '../../records/mappings.js';
import { FileSystems } from '../files/mounts.js';
import { type NamePlace, Paths } from '../files/paths.js';
import { PageReader } from '../pages/pages.js';
import { SlabCacheNames } from '../pages/slab-caches.js';
import { StructReader, textAt } from '../struct-reader.js';
import { type ProcessArea, type ProcessAreas, VM } from './process-areas.js';

/** Name and kind of a mapping. */
export interface AreaName {
  /** Name as in /proc/PID/maps; untrusted. */
  readonly name: string;
  readonly kind: MappingKind;
}

/** Maximum length of a name: ANON_VMA_NAME_MAX_LEN is 80, and names of special mappings are shorter. */
const MAX_NAME = 128;

/** Slab cache of all files except the backing files that overlayfs opens (fs/file_table.c). */
const FILE_CACHE = 'filp';

/** Names mappings as /proc/PID/maps does (show_map_vma and get_vma_name in fs/proc/task_mmu.c). */
export class AreaNames {
  readonly #kernel: Kernel;
  readonly #file;
  readonly #inode;
  readonly #operations;
  readonly #special;
  readonly #specialName: bigint | undefined;
  readonly #vdso: StructReader<'context.vdso'> | undefined;
  readonly #label: StructReader<'name'> | undefined;
  readonly #userPath: StructReader<'user_path.mnt' | 'user_path.dentry'> | undefined;
  readonly #paths: Paths;
  readonly #onName: (place: NamePlace) => void;
  readonly #pages: PageReader;
  readonly #caches: SlabCacheNames;
  readonly #systems: FileSystems;
  readonly #known = new Map<bigint, { name: string; fsType: string | undefined }>();

  /** @param onName receives each name that is read */
  constructor(kernel: Kernel, onName: (place: NamePlace) => void = () => {}) {
    this.#kernel = kernel;
    this.#file = new StructReader(kernel, 'file', ['f_path.mnt', 'f_path.dentry', 'f_inode']);
    this.#inode = new StructReader(kernel, 'inode', ['i_sb', 'i_ino']);
    this.#operations = new StructReader(kernel, 'vm_operations_struct', ['name']);
    this.#special = new StructReader(kernel, 'vm_special_mapping', ['name']);
    this.#specialName = kernel.symbol('special_mapping_name');
    this.#vdso = StructReader.ifPresent(kernel, 'mm_struct', ['context.vdso']);
    this.#label = StructReader.ifPresent(kernel, 'anon_vma_name', ['name']);
    // In 6.5 to 6.7, this field holds the backing path instead, and the file itself the user-visible path.
    const userPath = ['user_path.mnt', 'user_path.dentry'] as const;
    this.#userPath = StructReader.ifPresent(kernel, 'backing_file', userPath);
    this.#onName = onName;
    this.#paths = new Paths(kernel, onName);
    this.#pages = new PageReader(kernel);
    this.#caches = new SlabCacheNames(kernel);
    this.#systems = new FileSystems(kernel);
  }

  of(area: ProcessArea, { heap, stack }: ProcessAreas, mm: bigint): AreaName {
    const { name, fsType } =
      area.file === 0n
        ? { name: this.#unfiled(area, heap, stack, mm), fsType: undefined }
        : area.name !== 0n
          ? { name: `[anon_shmem:${this.#text(area.name)}]`, fsType: undefined }
          : this.#filed(area.file);
    const has = (flag: bigint) => (area.flags & flag) !== 0n;
    const traits = { hugetlb: has(VM.hugetlb), device: has(VM.device | VM.frames), fsType };
    return { name, kind: kindOfMapping(name, traits) };
  }

  #unfiled(area: ProcessArea, heap: ProcessAreas['heap'], stack: bigint, mm: bigint): string {
    const special = this.#specialOf(area, mm);
    if (special !== undefined) return special;
    if (area.start < heap.end && area.end > heap.start) return '[heap]';
    if (area.start <= stack && area.end >= stack) return '[stack]';
    return area.name === 0n ? '' : `[anon:${this.#text(area.name)}]`;
  }

  #specialOf({ operations, privateData, start }: ProcessArea, mm: bigint): string | undefined {
    if (operations !== 0n && this.#specialName !== undefined) {
      if (this.#operations.read(operations).pointer('name') === this.#specialName) {
        const at = this.#special.read(privateData).pointer('name');
        return textAt(this.#kernel, 'the name of a mapping', at, MAX_NAME);
      }
    }
    return this.#vdso?.read(mm).pointer('context.vdso') === start ? '[vdso]' : undefined;
  }

  #text(label: bigint): string {
    const at = this.#label?.addressOf(label, 'name') ?? label;
    const text = textAt(this.#kernel, 'the name of a mapping', at, MAX_NAME);
    // Contains printable single-byte characters only (is_valid_name_char in kernel/sys.c).
    this.#onName({ dentry: 0n, parent: 0n, address: at, length: text.length });
    return text;
  }

  #filed(address: bigint): { name: string; fsType: string | undefined } {
    const known = this.#known.get(address);
    if (known) return known;
    const file = this.#file.read(address);
    const inode = this.#inode.read(file.pointer('f_inode'));
    const { path, mounts, deleted, own } =
      this.#ofUser(address) ?? this.#paths.ofPlace(file.pointer('f_path.dentry'), file.pointer('f_path.mnt'));
    const { fsType } = this.#systems.of(inode.pointer('i_sb'));
    const name =
      fsType === 'anon_inodefs'
        ? `anon_inode:${path.slice(1)}`
        : fsType === 'sockfs'
          ? `socket:[${inode.pointer('i_ino')}]`
          : `${path}${deleted || own ? ' (deleted)' : ''}`;
    const filed = { name, fsType: mounts === 'none' ? undefined : fsType };
    this.#known.set(address, filed);
    return filed;
  }

  /** The user-visible path of a file that overlayfs stores elsewhere; the flag has moved between releases. */
  #ofUser(address: bigint): ReturnType<Paths['ofPlace']> | undefined {
    if (!this.#userPath) return undefined;
    const page = this.#kernel.pages.pageOf(address);
    const block = page === undefined ? undefined : this.#pages.block(page);
    if (block?.kind !== 'slab' || this.#caches.of(block.cache.address).name === FILE_CACHE) return undefined;
    const user = this.#userPath.read(address);
    return this.#paths.ofPlace(user.pointer('user_path.dentry'), user.pointer('user_path.mnt'));
  }
}
