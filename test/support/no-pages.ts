import { PageMap } from '../../src/kernel/page-map.js';

/** Page functions of a kernel whose pages no test queries: no address is in its direct map. */
export function noPages(): PageMap {
  return new PageMap({
    pageSize: 4096,
    directMap: () => ({ address: 0n, length: 0, physical: 0 }),
    pageArray: () => {
      throw new Error('this is read without struct pages');
    },
  });
}
