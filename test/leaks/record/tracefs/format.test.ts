import { describe, expect, test } from 'vitest';
import { decoderOf } from '../../../../src/leaks/record/tracefs/kinds.js';
import { fieldOf, parseEventFormat, parsePageLayout } from '../../../../src/leaks/record/tracefs/page.js';
import { KERNELS, streamOf } from './streams.js';

const FILE = 'events/kmem/mm_page_alloc/format';

describe.each(KERNELS)('format descriptions of events: %s', (kernel) => {
  const { formats } = streamOf(kernel);

  test('locate fields where the kernel does', () => {
    const format = parseEventFormat(formats[FILE] ?? '', 'mm_page_alloc');
    expect(format.fields.get('pfn')).toEqual({ offset: 8, size: 8 });
    expect(format.fields.get('order')).toEqual({ offset: 16, size: 4 });
    expect(format.fields.get('common_pid')).toEqual({ offset: 4, size: 4 });
  });

  test('locate the addresses of a stack as an array', () => {
    const format = parseEventFormat(formats['events/ftrace/kernel_stack/format'] ?? '', 'kernel_stack');
    expect(fieldOf(format, 'caller').offset).toBe(16);
    expect(fieldOf(format, 'size')).toEqual({ offset: 8, size: 4 });
  });
});

describe('unsupported format descriptions', () => {
  const { formats } = streamOf('6.1');
  const text = formats[FILE] ?? '';

  test.each([
    ['no ID', text.replace(/^ID:.*$/m, ''), /mm_page_alloc has no ID/],
    ['no field', text.replace(' pfn;', ' page;'), /has no field pfn \(it has common_type, /],
    ['a frame of 32 bits', text.replace('offset:8;\tsize:8', 'offset:8;\tsize:4'), /unexpected field sizes/],
    ['an order of 16 bits', text.replace('offset:16;\tsize:4', 'offset:16;\tsize:2'), /unexpected field sizes/],
  ])('%s', (_, changed, reason) => {
    expect(changed).not.toBe(text);
    const read = () => decoderOf('page-allocated', parseEventFormat(changed, 'mm_page_alloc'));
    expect(read).toThrow(expect.objectContaining({ code: 'trace-unsupported' }));
    expect(read).toThrow(reason);
  });

  test.each([
    ['another kind of padding', 'events/header_event', 'type == 29', 'type == 28', /padding 28/],
    ['no data', 'events/header_page', ' data;', ' bytes;', /no field data/],
    ['half a counter', 'events/header_page', 'offset:8;\tsize:8', 'offset:8;\tsize:4', /form/],
  ])('%s', (_, file, from, to, reason) => {
    const changed = { ...formats, [file]: (formats[file] ?? '').replace(from, to) };
    expect(changed[file]).not.toBe(formats[file]);
    const read = () => parsePageLayout(changed['events/header_page'] ?? '', changed['events/header_event'] ?? '', null);
    expect(read).toThrow(expect.objectContaining({ code: 'trace-unsupported' }));
    expect(read).toThrow(reason);
  });

  test('pages may be larger than a memory page', () => {
    const [page = '', event = ''] = ['page', 'event'].map((one) => formats[`events/header_${one}`]);
    expect(parsePageLayout(page, event, 64).pageBytes).toBe(65_536);
    expect(() => parsePageLayout(page, event, 0)).toThrow(/0 bytes/);
  });
});
