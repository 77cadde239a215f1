import { describe, expect, it } from 'vitest';
import { readKernelSymbols } from '../../../src/host/proc/kallsyms.js';

function symbolsOf(text: string) {
  return readKernelSymbols({
    readBytes: (_, onBytes) => {
      // In pieces, as they are read from a file.
      for (let at = 0; at < text.length; at += 7) onBytes(Buffer.from(text.slice(at, at + 7)));
    },
  });
}

const TEXT = `ffffffff81000000 T _text
ffffffff81000000 T startup_64
ffffffff81000040 t __alloc_pages
ffffffff81000900 D jiffies
ffffffffc0201000 t receive_buf\t[virtio_net]
ffffffffc0300000 t bpf_prog_6deef7357e7b4530\t[bpf]
nonsense
`;

describe('functions of the running kernel', () => {
  it('are found by an address inside them', () => {
    const symbols = symbolsOf(TEXT);
    expect(symbols.at(0xffffffff81000041n)).toEqual({ name: '__alloc_pages', offset: 1, module: null });
    expect(symbols.at(0xffffffff81000000n)?.offset).toBe(0);
    expect(symbols.at(0xffffffffc0201010n)).toEqual({ name: 'receive_buf', offset: 16, module: 'virtio_net' });
    expect(symbols.at(0xffffffffc0300001n)?.module).toBe('bpf');
  });

  it('are not guessed for data, before the first symbol, or far behind the last', () => {
    const symbols = symbolsOf(TEXT);
    expect(symbols.at(0xffffffff80ffffffn)).toBeNull();
    expect(symbols.at(0xffffffff81000901n)).toBeNull();
    expect(symbols.at(0xffffffffd0000000n)).toBeNull();
  });

  it('are named by the last code symbol at one address, never by data', () => {
    const symbols = symbolsOf(['T first', 't last', 'D table'].map((each) => `ffffffff81000000 ${each}\n`).join(''));
    expect(symbols.at(0xffffffff81000008n)).toEqual({ name: 'last', offset: 8, module: null });
  });

  it('are found among tens of thousands in random order, including modules and long names', () => {
    const many = 40_000;
    const start = (at: number) => 0xffff_ffff_8100_0000n + BigInt(at) * 64n;
    const name = (at: number) => `function_${'x'.repeat(at % 200)}_${at}`;
    const lines = Array.from({ length: many }, (_, at) => {
      const place = (at * 7919) % many;
      const module = place % 3 === 0 ? `\t[module_${place % 10}]` : '';
      return `${start(place).toString(16)} t ${name(place)}${module}\n`;
    });
    const symbols = readKernelSymbols({ readBytes: (_, onBytes) => onBytes(Buffer.from(lines.join(''))) });
    for (let at = 0; at < many; at += 37)
      expect(symbols.at(start(at) + 63n)).toEqual({
        name: name(at),
        offset: 63,
        module: at % 3 === 0 ? `module_${at % 10}` : null,
      });
  });

  it('are rejected if addresses are hidden, and if the file is empty', () => {
    expect(() => symbolsOf('0000000000000000 T _text\n0000000000000000 t a\t[b]\n')).toThrow(
      expect.objectContaining({ code: 'denied', message: expect.stringContaining('kptr_restrict') }),
    );
    expect(() => symbolsOf('')).toThrow(expect.objectContaining({ code: 'unreadable' }));
  });
});
