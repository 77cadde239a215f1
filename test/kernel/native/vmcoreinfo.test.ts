import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Vmcoreinfo } from '../../../src/kernel/native/vmcoreinfo.js';
import { vmcoreinfoText } from '../../support/vmcoreinfo.js';

describe('VMCOREINFO', () => {
  it('returns the right type for every kind of entry', () => {
    const info = new Vmcoreinfo(
      vmcoreinfoText({
        release: '6.12.117+deb13-cloud-amd64',
        buildId: '3BDE3CE03156c39bec3310fbdd6bd14bfbefb62e',
        kernelOffset: 0x2e00_0000n,
        symbols: { _stext: 0xffffffffaf000000n },
        numbers: { phys_base: -0x1d00_0000n },
        sizes: { page: 64 },
        offsets: { 'page.flags': 0 },
        lengths: { mem_section: 2048 },
      }),
    );
    expect(info.release).toBe('6.12.117+deb13-cloud-amd64');
    expect(info.buildId).toBe('3bde3ce03156c39bec3310fbdd6bd14bfbefb62e');
    expect(info.pageSize).toBe(4096);
    expect(info.kernelOffset).toBe(0x2e00_0000n);
    expect(info.symbol('_stext')).toBe(0xffffffffaf000000n);
    expect(info.number('phys_base')).toBe(-0x1d00_0000n);
    expect(info.size('page')).toBe(64);
    expect(info.offset('page.flags')).toBe(0);
    expect(info.length('mem_section')).toBe(2048);
    expect([...info.symbols()]).toEqual([['_stext', 0xffffffffaf000000n]]);
    expect(info.crashTime).toBeUndefined();
  });

  it('reads numbers in hex, as arm64 writes them', () => {
    const info = new Vmcoreinfo('NUMBER(kimage_voffset)=0xffff7fffc0000000\nCRASHTIME=1763625600\n');
    expect(info.number('kimage_voffset')).toBe(0xffff7fffc0000000n);
    expect(info.crashTime).toBe(1763625600);
  });

  it('ends at a NUL or at the end of the text', () => {
    expect(new Vmcoreinfo('OSRELEASE=6.1\0OSRELEASE=evil').release).toBe('6.1');
    expect(new Vmcoreinfo('PAGESIZE=4096\nOSRELEASE=6.1').release).toBe('6.1');
  });

  it('treats an invalid number as missing', () => {
    const info = new Vmcoreinfo(
      'SYMBOL(a)=xyz\nSYMBOL(b)=11112222333344445\nSIZE(c)=-1\nOFFSET(d)=\nPAGESIZE=1e3\nBUILD-ID=\x1b[2J\nKERNELOFFSET=-2\n',
    );
    expect(info.symbol('a')).toBeUndefined();
    expect(info.symbol('b')).toBeUndefined();
    expect(info.size('c')).toBeUndefined();
    expect(info.offset('d')).toBeUndefined();
    expect(info.pageSize).toBeUndefined();
    expect(info.buildId).toBeUndefined();
    expect(info.kernelOffset).toBe(0n);
    expect(info.symbols().size).toBe(0);
  });

  it('accepts any text without throwing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
        const info = new Vmcoreinfo(`OSRELEASE=x\nSYMBOL(${text})=${text}\n${text}`);
        expect(info.symbols().size).toBeLessThanOrEqual(402);
      }),
    );
  });

  it('reads a limited part of an endless text', () => {
    const info = new Vmcoreinfo(`${'A=1\n'.repeat(2_000_000)}OSRELEASE=late\n`);
    expect(info.release).toBeUndefined();
  });
});
