import type { DiffAnswer } from '../../diff/compare.js';
import { LISTS } from '../../diff/state.js';
import { wrap } from '../text/cut.js';
import { drawerTable } from './drawer-table.js';
import { headline } from './headline.js';
import { listTable } from './list-table.js';
import type { DiffTextOptions } from './options.js';

/** What matters first, then drawers, then who changed. */
export function diffText(answer: DiffAnswer, options: DiffTextOptions): string {
  const { drawers, lists, states } = answer;
  const several = states.length > 2;
  return [
    wrap(headline(answer), options.width).join('\n'),
    ...(drawers ? [drawerTable(drawers, several, options)] : []),
    ...LISTS.flatMap((name) => {
      const list = lists[name];
      return list ? [listTable(name, list, several, options)] : [];
    }),
  ].join('\n\n');
}
