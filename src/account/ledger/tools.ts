import type { Kernel } from '../../kernel/kernel.js';
import { type NetDevice, netDevices } from '../../walk/network/net-devices.js';
import type { NetworkPages } from '../../walk/pages/network-pages.js';
import { PageReader } from '../../walk/pages/pages.js';
import { SkbLists } from '../../walk/queues/skb-lists.js';
import { SkbReader } from '../../walk/skbs/skb.js';
import { Warnings } from '../../walk/warnings.js';
import { Tally } from '../tally.js';
import { reasonOf } from './pipeline.js';

/** What every step works with. */
export interface LedgerTools {
  readonly kernel: Kernel;
  /** What the scan over all page frames told. */
  readonly seen: NetworkPages;
  readonly pages: PageReader;
  readonly skbs: SkbReader;
  readonly lists: SkbLists;
  /** Devices of all namespaces. @throws {KernelError}, {@link ReadError} where they cannot be listed */
  devices(): readonly NetDevice[];
  newTally(): Tally;
}

/** @throws {KernelError} `unsupported-layout` */
export function ledgerTools(kernel: Kernel, seen: NetworkPages): LedgerTools {
  const warnings = new Warnings();
  const pages = new PageReader(kernel);
  return {
    kernel,
    seen,
    pages,
    skbs: new SkbReader(kernel, pages),
    lists: new SkbLists(kernel),
    devices: listDevices(kernel),
    newTally: () => new Tally(kernel.facts.pageSize, warnings),
  };
}

function listDevices(kernel: Kernel): () => readonly NetDevice[] {
  try {
    const devices = [...netDevices(kernel)];
    return () => devices;
  } catch (error) {
    reasonOf(error);
    return () => {
      throw error;
    };
  }
}
