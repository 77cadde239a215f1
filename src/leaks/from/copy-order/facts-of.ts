import type { ReadingMethod } from '../../readings/take.js';
import { AreaPlaces } from './area-places.js';
import type { CopyFacts } from './copy-facts.js';
import { PageOwnerTimes } from './page-owner-times.js';
import { ProfiledLines } from './profiled-lines.js';
import { SlabAges } from './slab-ages.js';
import { StackList } from './stack-list.js';

/** What tells the order of copies. */
export function factsOf(method: ReadingMethod): CopyFacts {
  switch (method) {
    case 'allocinfo':
      return new ProfiledLines();
    case 'page-owner':
      return new PageOwnerTimes();
    case 'page-owner-stacks':
      return new StackList();
    case 'slab-traces':
      return new SlabAges();
    case 'vmallocinfo':
      return new AreaPlaces();
  }
}
