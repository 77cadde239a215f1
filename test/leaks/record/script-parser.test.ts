import { expect, test } from 'vitest';
import { type Sample, ScriptParser } from '../../../src/profile/perf/script.js';

const NAMES = { minor: 'minor_5ec2e7', major: 'major_5ec2e7' };

function parsed(text: string) {
  const samples: Sample[] = [];
  const parser = new ScriptParser(NAMES, (sample) => samples.push(sample));
  for (const line of text.split('\n')) parser.line(line);
  parser.end();
  return { samples, parser };
}

const STACK = `\t           98109 _int_malloc+0xda9 (/usr/lib/libc.so.6)
\t            11a8 leak::here(int, char)+0x8 (/tmp/a (b)/leak (deleted))
\tffff7f0012345678 [unknown] (//anon)
\t            10c3 main (inlined)`;

test('parses the mapping, page size and stack of a fault', () => {
  const { samples, parser } = parsed(
    ` 101/102                 minor_5ec2e7:     7f92c0600000 [unknown] (//anon)\n${STACK}\n 2M\n`,
  );
  expect(parser.strange).toBe(0);
  expect(samples).toEqual([
    {
      pid: 101,
      tid: 102,
      what: { type: 'fault', major: false, mapping: '//anon', pageBytes: 2 ** 21 },
      frames: [
        { symbol: '_int_malloc', module: '/usr/lib/libc.so.6', offset: '0xda9', guess: false },
        { symbol: 'leak::here(int, char)', module: '/tmp/a (b)/leak (deleted)', offset: '0x8', guess: false },
        { symbol: null, module: '//anon', offset: '0xffff7f0012345678', guess: false },
        { symbol: 'main', module: 'inlined', offset: null, guess: false },
      ],
    },
  ]);
});

test('separates records without an empty line between them', () => {
  const { samples } = parsed(
    ['7/7 major_5ec2e7: 55d8 sink+0x0 (/bin/x)', ' N/A', '7/7 minor_5ec2e7:u: 55d8 [unknown] ([heap])', ' 64K'].join(
      '\n',
    ),
  );
  expect(samples.map(({ what }) => what)).toEqual([
    { type: 'fault', major: true, mapping: '/bin/x', pageBytes: null },
    { type: 'fault', major: false, mapping: '[heap]', pageBytes: 65_536 },
  ]);
});

test('parses the sizes that mmap and brk request', () => {
  const { samples } = parsed(
    [
      '7/7 syscalls:sys_enter_mmap: addr: 0x00000000, len: 0x0000a000, prot: 0x00000003, flags: 0x00000022, fd: 0xffffffff, off: 0x00000000               0',
      '7/7  syscalls:sys_enter_brk: brk: 0x556eec16f000               0',
    ].join('\n'),
  );
  expect(samples.map(({ what }) => what)).toEqual([
    { type: 'mmap', value: 0xa000n, anonymous: true },
    { type: 'brk', value: 0x556eec16f000n, anonymous: true },
  ]);
});

test('counts lost events once, in any notation of perf', () => {
  const { parser } = parsed(
    ['7/7 PERF_RECORD_LOST lost 94', '7/7 PERF_RECORD_LOST lost 6', '0/0 PERF_RECORD_LOST_SAMPLES lost 80'].join('\n'),
  );
  expect([parser.lostRecords, parser.lostSamples, parser.strange]).toEqual([100, 80, 0]);
});

test('drops the stack after a name with a newline, and reports it', () => {
  const { samples, parser } = parsed(
    [
      '7/7 minor_5ec2e7: 55d8 [unknown] ([heap])',
      '\t 11a8 here+0x8 (/tmp/le',
      '',
      '9/9 minor_guess: 1000 [unknown] ([heap])',
      'ak)',
      ' 4K',
    ].join('\n'),
  );
  // The event name is random in each run, so that it cannot be forged in a path.
  expect(samples.map(({ pid, frames }) => [pid, frames.length])).toEqual([[7, 0]]);
  expect(parser.strange).toBe(4);
});

test('limits the length of a stack', () => {
  const frames = '\t 11a8 here+0x8 (/bin/x)\n'.repeat(5000);
  const { samples } = parsed(`7/7 minor_5ec2e7: 55d8 [unknown] ([heap])\n${frames}`);
  expect(samples[0]?.frames.length).toBe(1024);
});

test('skips long lines of hostile symbols quickly', () => {
  const head = ` 101/102 minor_5ec2e7: 7f92c0600000 [unknown] (//anon)`;
  const worst = ['+0x1 ('.repeat(10_000), ' ('.repeat(30_000)];
  const lines = worst.flatMap((text) => [`\t 1 ${text}`, ` 101/102 minor_5ec2e7: 7f92c0600000 ${text}`]);
  const many = Array.from({ length: 30 }, () => lines).flat();
  const { parser, samples } = parsed([head, ...many].join('\n'));
  expect(samples).toHaveLength(1);
  expect(parser.strange).toBe(many.length);
});

test('does not end a line at a carriage return in a file name', () => {
  const { samples, parser } = parsed(
    ' 101/102 minor_5ec2e7: 7f92c0600000 [unknown] (/x\ry)\n\t 1 main\r+0x8 (/a\u2028b)\n',
  );
  expect(parser.strange).toBe(0);
  expect(samples).toMatchObject([{ what: { mapping: '/x\ry' }, frames: [{ symbol: 'main\r', module: '/a\u2028b' }] }]);
});
