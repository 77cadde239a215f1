import { ReadError } from '../../error.js';
import { readAround } from '../image-scan.js';
import { CachePointers } from './cache-pointers.js';
import { Evidence, type RecoverySource } from './evidence.js';
import { lastFrame } from './last-frame.js';
import { moduleList, moduleTypesList } from './module-lists.js';
import { findPerCpu } from './per-cpu.js';
import { protocolList } from './protocol-list.js';
import { socketOperations } from './socket-operations.js';

/**
 * Variables of a kernel whose table has functions only (CONFIG_KALLSYMS_ALL=n). Most are exported to
 * modules; a few others are found by what points to them or what they point to. Nothing is given that
 * was not confirmed by something else.
 */
export class RecoveredSymbols {
  readonly #evidence: Evidence;
  readonly #caches: CachePointers;
  readonly #known = new Map<string, bigint | undefined>();
  #perCpu: ReadonlyMap<string, bigint> | undefined;

  constructor(source: RecoverySource) {
    this.#evidence = new Evidence(source);
    this.#caches = new CachePointers(this.#evidence);
  }

  find(name: string): bigint | undefined {
    if (!this.#known.has(name)) {
      // A rule that asks for its own name, by whatever way, gets nothing.
      this.#known.set(name, undefined);
      const address = this.#recover(name);
      if (address !== undefined) readAround(this.#evidence.source.memory, address);
      this.#known.set(name, address);
    }
    return this.#known.get(name);
  }

  #recover(name: string): bigint | undefined {
    try {
      const exported = this.#evidence.exported.get(name);
      if (exported !== undefined) return exported;
      if (this.#caches.has(name)) return this.#caches.find(name);
      switch (name) {
        case 'socket_file_ops':
          return socketOperations(this.#evidence);
        case 'proto_list':
          return protocolList(this.#evidence);
        case 'max_pfn':
          return lastFrame(this.#evidence);
        case 'modules':
          return moduleList(this.#evidence);
        case 'btf_modules':
          return moduleTypesList(this.#evidence, this.find('modules'));
        default:
          return this.#templates.get(name);
      }
    } catch (error) {
      if (error instanceof ReadError) return undefined;
      throw error;
    }
  }

  /** Templates of per-CPU variables. */
  get #templates(): ReadonlyMap<string, bigint> {
    this.#perCpu ??= findPerCpu(
      this.#evidence.source.types.perCpuVariables(),
      this.#evidence.exported,
    );
    return this.#perCpu;
  }
}
