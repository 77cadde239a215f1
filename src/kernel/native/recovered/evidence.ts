import type { LinearRange } from '../address.js';
import type { Architecture } from '../arch/arch.js';
import { readAround } from '../image-scan.js';
import type { KernelMemory } from '../memory.js';
import type { SymbolTable } from '../symbols.js';
import type { KernelTypes } from '../types.js';
import type { Vmcoreinfo } from '../vmcoreinfo.js';
import { findExports } from './exports.js';
import { ImageBytes } from './image-bytes.js';
import { type Memory, only } from './reads.js';

/** What symbols are recovered from. */
export interface RecoverySource {
  readonly memory: KernelMemory;
  /**
   * The same memory: reads that only look for something go there, so that an extract holds what was
   * found and not all that was looked at.
   */
  readonly search: KernelMemory;
  readonly arch: Architecture;
  readonly info: Vmcoreinfo;
  /** Functions only. */
  readonly symbols: SymbolTable;
  readonly directMap: LinearRange | undefined;
  /** The kernel's own types, without its modules'. */
  readonly types: Pick<KernelTypes, 'struct' | 'perCpuVariables'>;
}

/** Exported functions whose addresses the table of functions must confirm. */
const CONFIRMED = ['kfree', 'schedule', 'vfree', 'sock_from_file', 'skb_put', 'unregister_netdev'];
const LEAST_CONFIRMED = 3;

/** What is known of a kernel whose variables are sought, and how a candidate is confirmed. */
export class Evidence {
  readonly source: RecoverySource;
  #image: ImageBytes | undefined;
  #exports: ReadonlyMap<string, bigint> | undefined;

  constructor(source: RecoverySource) {
    this.source = source;
  }

  /** The kernel's image, to be searched. */
  get bytes(): ImageBytes {
    this.#image ??= ImageBytes.read(this.source.search, this.source.arch);
    return this.#image;
  }

  /** Exported symbols, if functions and what VMCOREINFO names lie where they are known to. */
  get exported(): ReadonlyMap<string, bigint> {
    if (this.#exports !== undefined) return this.#exports;
    const { symbols, info } = this.source;
    const found = findExports(this.bytes, this.source.memory);
    let confirmed = 0;
    let contradicted = 0;
    const compare = (name: string, known: bigint | undefined): void => {
      const address = found.get(name);
      if (address === undefined || known === undefined) return;
      if (address === known) confirmed++;
      else contradicted++;
    };
    for (const name of CONFIRMED) {
      const table = symbols.find(name);
      if (table.length === 1) compare(name, table[0]!.address);
    }
    compare('init_uts_ns', info.symbol('init_uts_ns'));
    const believed = confirmed >= LEAST_CONFIRMED && contradicted === 0;
    this.#exports = believed ? found : new Map();
    return this.#exports;
  }

  /**
   * The one candidate that passes a test, which is asked of the memory that is searched and, if it
   * passes, of what is read.
   */
  only(
    candidates: Iterable<bigint>,
    test: (memory: Memory, candidate: bigint) => boolean,
  ): bigint | undefined {
    const { memory, search } = this.source;
    const passed = [...candidates].filter((candidate) => test(search, candidate));
    this.keepAmbiguous(passed);
    return only(passed.filter((candidate) => test(memory, candidate)));
  }

  /** What is ambiguous must be so in an extract, too: two are enough. */
  keepAmbiguous(places: readonly bigint[]): void {
    for (const place of places.slice(0, 2)) readAround(this.source.memory, place);
  }
}
