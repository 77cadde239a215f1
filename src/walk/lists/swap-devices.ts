import { damaged } from '../../base/errors.js';
import type { SwapAnswer } from '../../contracts/lists.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../cpus.js';
import { Paths } from '../files/paths.js';
import { pointersPartOf, readPartOf } from '../named-read.js';
import { swapAreas } from '../processes/process-areas.js';
import { StructReader } from '../struct-reader.js';
import { addError, type Warnings } from '../warnings.js';

type SwapDevice = SwapAnswer['devices'][number];

/** Flags of `swap_info_struct` (include/linux/swap.h). */
const [SWP_USED, SWP_WRITEOK, SWP_BLKDEV] = [1, 2, 64];
/** The device is not on the list of free ones: a bit of its counter since 6.13 (mm/swapfile.c). */
const OFF_LIST = 2n ** 30n;
/** A slot of `swap_map` that is reserved: the header, or a bad page (include/linux/swap.h). */
const SWAP_MAP_BAD = 0x3f;
/** The type of a reserved slot in a swap table, and the bits of the type (mm/swap_table.h, 7.0). */
const [BAD, TYPE] = [8, 15];
/** MAX_SWAPFILES is at most 32. */
const MAX_DEVICES = 32;
/** Maximum number of slots: 2^34 pages are 64 TiB. */
const MAX_SLOTS = 2 ** 34;
const CHUNK = 1 << 16;

/**
 * Returns the swap devices and files in use. The counter of each is compared with its map of slots, and the sums with
 * `total_swap_pages` and `nr_swap_pages`.
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link ReadError}: the table is unknown
 */
export function swapDevices(kernel: Kernel, warnings: Warnings): Pick<SwapAnswer, 'devices'> {
  const number = swapAreas(kernel) ?? 0;
  const table = needSymbol(kernel, 'swap_info');
  if (number > MAX_DEVICES) throw damaged(`nr_swapfiles is ${number}`);
  const reader = new DeviceReader(kernel, warnings);
  const devices: SwapDevice[] = [];
  let whole = true;
  let [pages, used] = [0, 0];
  for (const address of pointersPartOf(kernel, 'swap_info', table, table, number)) {
    try {
      const view = address === 0n ? undefined : reader.read(address);
      if (view === undefined) continue;
      devices.push(view.device);
      if (!view.writable) continue;
      pages += view.pages;
      used += view.used;
    } catch (error) {
      whole = false;
      addError(warnings, 'swap device', error);
    }
  }
  if (whole) checkTotals(kernel, warnings, { pages, used });
  return { devices: devices.sort((a, b) => b.priority - a.priority) };
}

/** Compares sums with the kernel's totals, in pages. */
function checkTotals(
  kernel: Kernel,
  warnings: Warnings,
  { pages, used }: { readonly pages: number; readonly used: number },
): void {
  // A running kernel changes them between two reads.
  if (kernel.facts.live) return;
  try {
    const word = (name: string) => {
      const at = needSymbol(kernel, name);
      return Number(readPartOf(kernel, name, at, at, 8).getBigInt64(0, true));
    };
    const [total, free] = [word('total_swap_pages'), word('nr_swap_pages')];
    if (total !== pages) warnings.add('corrupt', `total_swap_pages is ${total}, but the devices have ${pages} pages`);
    if (total - free !== used)
      warnings.add('corrupt', `${total - free} pages of swap are used by nr_swap_pages, but ${used} by the devices`);
  } catch (error) {
    addError(warnings, 'totals of swap', error);
  }
}

class DeviceReader {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #device;
  readonly #wide: boolean;
  readonly #map: StructReader<'swap_map'> | undefined;
  readonly #clusters: StructReader<'cluster_info'> | undefined;
  readonly #file;
  readonly #paths: Paths;

  constructor(kernel: Kernel, warnings: Warnings) {
    this.#kernel = kernel;
    this.#warnings = warnings;
    this.#device = new StructReader(kernel, 'swap_info_struct', [
      'flags',
      'prio',
      'pages',
      'max',
      'inuse_pages',
      'swap_file',
    ]);
    this.#wide = this.#device.members.inuse_pages.size === 8;
    this.#map = StructReader.ifPresent(kernel, 'swap_info_struct', ['swap_map']);
    this.#clusters = StructReader.ifPresent(kernel, 'swap_info_struct', ['cluster_info']);
    this.#file = new StructReader(kernel, 'file', ['f_path.dentry', 'f_path.mnt']);
    this.#paths = new Paths(kernel);
  }

  /** @returns undefined: the entry is not in use */
  read(address: bigint) {
    const view = this.#device.read(address);
    const flags = view.number('flags');
    const file = view.pointer('swap_file');
    if ((flags & SWP_USED) === 0 || file === 0n) return undefined;
    const used = this.#wide ? Number(view.pointer('inuse_pages') & ~OFF_LIST) : view.number('inuse_pages');
    const [pages, max] = [view.number('pages'), view.number('max')];
    const path = this.#pathOf(file);
    const name = path ?? 'swap device';
    if (used > pages || pages > max || max > MAX_SLOTS)
      this.#warnings.add('corrupt', `${name}: ${used} of ${pages} pages in use, of ${max} slots`);
    const usedSlots = this.#slots(address, name, max);
    if (usedSlots !== undefined && usedSlots !== used && !this.#kernel.facts.live)
      this.#warnings.add('corrupt', `${name}: inuse_pages is ${used}, but ${usedSlots} slots are in use`);
    // A signed short.
    const priority = (view.number('prio') << 16) >> 16;
    const kind = (flags & SWP_BLKDEV) === 0 ? 'file' : 'partition';
    const { pageSize } = this.#kernel.facts;
    const device: SwapDevice = {
      address,
      path: path ?? null,
      kind,
      sizeBytes: pages * pageSize,
      usedBytes: used * pageSize,
      usedSlotBytes: usedSlots === undefined ? null : usedSlots * pageSize,
      priority,
    };
    return { device, pages, used, writable: (flags & SWP_WRITEOK) !== 0 };
  }

  #pathOf(file: bigint): string | undefined {
    try {
      const view = this.#file.read(file);
      return this.#paths.ofPlace(view.pointer('f_path.dentry'), view.pointer('f_path.mnt')).path;
    } catch (error) {
      addError(this.#warnings, 'path of a swap device', error);
      return undefined;
    }
  }

  /** Counts the slots in use; undefined: the map cannot be read, and a warning says so. */
  #slots(device: bigint, name: string, max: number): number | undefined {
    if (max > MAX_SLOTS) return undefined;
    try {
      if (this.#map) return this.#mapped(this.#map.read(device).pointer('swap_map'), max);
      const first = this.#clusters?.read(device).pointer('cluster_info');
      if (first !== undefined) return this.#inTables(first, max);
      this.#warnings.add('unsupported-layout', 'struct swap_info_struct has no map of slots');
    } catch (error) {
      addError(this.#warnings, `${name}: map of slots`, error);
    }
    return undefined;
  }

  /** Counts bytes of `swap_map`, one for each slot. */
  #mapped(map: bigint, max: number): number {
    let used = 0;
    for (let at = 0; at < max; at += CHUNK) {
      const length = Math.min(CHUNK, max - at);
      const view = readPartOf(this.#kernel, 'swap_map', map, map + BigInt(at), length);
      for (let slot = 0; slot < length; slot++) {
        const count = view.getUint8(slot);
        if (count !== 0 && count !== SWAP_MAP_BAD) used++;
      }
    }
    return used;
  }

  /** Counts entries of the tables that clusters have instead since 7.0. */
  #inTables(clusters: bigint, max: number): number {
    const cluster = new StructReader(this.#kernel, 'swap_cluster_info', ['table']);
    const table = new StructReader(this.#kernel, 'swap_table', ['entries']);
    const { size } = table.members.entries;
    let used = 0;
    for (let index = 0; index * (size / 8) < max; index++) {
      const at = cluster.read(cluster.element(clusters, index)).pointer('table');
      if (at === 0n) continue;
      const view = readPartOf(this.#kernel, 'struct swap_table', at, table.addressOf(at, 'entries'), size);
      for (let byte = 0; byte < size; byte += 8) {
        const low = view.getUint32(byte, true);
        if ((low !== 0 || view.getUint32(byte + 4, true) !== 0) && (low & TYPE) !== BAD) used++;
      }
    }
    return used;
  }
}
