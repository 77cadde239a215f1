import type { UnreachableGroup } from '../../contracts/unreachable.js';
import type { Explanations } from './schema.js';

const deeper = 'kdump-mem memory --unreachable -v';

/** Why no reference leads to an allocation in use (`kdump-mem memory --unreachable`). */
export const UNREACHABLE_REASONS_EXPLAINED: Explanations<NonNullable<UnreachableGroup['reason']>> = {
  'split-block': {
    means:
      'A page that may be part of the allocation of the pages before it. alloc_pages_exact and split_page make single pages of a block, and the kernel keeps the address of the first one only. A leaked page that follows such a page has this reason, too.',
    known:
      'The page is in the aligned block that begins at a page to whose first byte a pointer exists, or at a hash table of the kernel.',
    next: 'If these pages grow over time, boot with page_owner=on: the answer then has allocation sites.',
    deeper,
  },
  'sysctl-table': {
    means:
      'The header of a sysctl table. Only its entries refer to it; a table without entries, and the base tables before 6.6, have none. The kernel registers them at boot and never frees them.',
    known: 'ctl_table_header.root is sysctl_table_root, or the header is that of a base table.',
    next: 'None: this is normal.',
    deeper,
  },
  vmcoreinfo: {
    means:
      'The page with the text of VMCOREINFO. When the kernel crashes, it replaces the pointer to it by that of a safe copy.',
    known: 'The page begins with OSRELEASE=.',
    next: 'None: this is normal in a dump of a crash kernel.',
    deeper,
  },
};
