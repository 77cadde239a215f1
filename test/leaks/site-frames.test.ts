import { expect, it } from 'vitest';
import { type SiteFrame, untraced } from '../../src/records/allocation-sites.js';

const frame = (symbol: string | null): SiteFrame => ({
  symbol,
  offset: 1,
  module: null,
  line: null,
});

it('leaves out what runs since it is traced, and nothing behind that', () => {
  const alone = [frame('__alloc_pages'), frame('perf_trace_run'), frame(null)];
  expect(untraced(alone)).toEqual(alone);
  for (const symbol of ['trace_event_raw_event_mm_page_alloc', '__traceiter_kmalloc'])
    expect(untraced([frame(symbol), ...alone])).toEqual(alone);
  // A stack that is nothing else is told as it is.
  expect(untraced([frame('__traceiter_kmalloc')])).toHaveLength(1);
  expect(untraced([frame(null), frame('__traceiter_kmalloc')])).toHaveLength(2);
});
