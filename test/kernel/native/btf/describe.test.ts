import { describe, expect, it } from 'vitest';
import { Btf } from '../../../../src/kernel/native/btf/btf.js';
import { describeType, spell } from '../../../../src/kernel/native/btf/describe.js';
import { BtfWriter } from '../../../support/btf.js';
import { errorOf } from '../../../support/native-errors.js';

describe('types in C notation', () => {
  const w = new BtfWriter();
  const char = w.int('char', 1);
  const int = w.int('int', 4, { signed: true });
  const skb = w.struct('sk_buff', 8, []);
  const anonymous = w.union('', 8, []);
  const callback = w.pointer(w.prototype(0, [{ name: 'skb', type: w.pointer(skb) }]));
  const cases: [string, number, string][] = [
    ['comm', w.array(char, 16), 'char comm[16]'],
    ['tail', w.array(w.pointer(skb), 0), 'struct sk_buff *tail[]'],
    ['name', w.pointer(w.const(char)), 'const char *name'],
    ['fixed', w.const(w.pointer(char)), 'char *const fixed'],
    ['destructor', callback, 'void (*destructor)(struct sk_buff *)'],
    ['handlers', w.array(callback, 4), 'void (*handlers[4])(struct sk_buff *)'],
    ['row', w.pointer(w.array(int, 3)), 'int (*row)[3]'],
    ['x', w.volatile(w.typedef('atomic_t', int)), 'volatile atomic_t x'],
    ['', anonymous, 'union {...}'],
    ['u', w.typeTag('user', int), 'int u'],
    ['f', w.pointer(w.prototype(int, [])), 'int (*f)(void)'],
    [
      'printk',
      w.pointer(
        w.prototype(int, [
          { name: 'f', type: w.pointer(char) },
          { name: '', type: 0 },
        ]),
      ),
      'int (*printk)(char *, ...)',
    ],
    ['nobody', w.pointer(w.forward('nobody', { union: true })), 'union nobody *nobody'],
  ];
  const btf = Btf.parse(w.build());
  it.each(cases)('%s', (name, id, expected) => {
    expect(spell(btf, id, name)).toBe(expected);
  });

  it('terminates for a function that takes itself as a parameter twice', () => {
    const endless = new BtfWriter();
    const parameters = [1, 2].map((index) => ({ name: `p${index}`, type: 1 }));
    endless.prototype(0, parameters);
    expect(errorOf(() => spell(Btf.parse(endless.build()), 1))).toMatchObject({ code: 'damaged' });
  });

  it('terminates for a type that declares itself', () => {
    const endless = new BtfWriter();
    endless.pointer(1);
    expect(errorOf(() => spell(Btf.parse(endless.build()), 1))).toMatchObject({ code: 'damaged' });
  });
});

describe('a type described for printing', () => {
  it('lists its members in order, with the data to print their values', () => {
    const w = new BtfWriter();
    const bool = w.int('_Bool', 1, { flags: 4 });
    const colour = w.enum('colour', { RED: 0, MINUS: -1 }, { signed: true });
    const inner = w.struct('', 4, [
      { name: 'yes', type: bool, bitOffset: 0 },
      { name: 'c', type: w.int('unsigned char', 1), bitOffset: 8 },
    ]);
    const id = w.struct('thing', 24, [
      { name: '', type: inner, bitOffset: 0 },
      { name: 'paint', type: colour, bitOffset: 32 },
      { name: 'low', type: w.int('unsigned int', 4), bitOffset: 64, bits: 3 },
      { name: 'self', type: w.pointer(w.endId + 1), bitOffset: 128 },
    ]);
    const btf = Btf.parse(w.build());
    const thing = describeType(btf, id);
    expect(thing).toMatchObject({ kind: 'struct', spelling: 'struct thing', size: 24 });
    if (thing.kind !== 'struct') throw new Error('no struct');
    const [unnamed, paint, low, self] = thing.members();
    expect(unnamed).toMatchObject({ name: '', declaration: 'struct {...}', bitOffset: 0 });
    const parts = unnamed?.type.kind === 'struct' ? unnamed.type.members() : [];
    expect(parts.map(({ type }) => type)).toMatchObject([
      { kind: 'int', encoding: 'bool' },
      { kind: 'int', encoding: 'char', signed: false },
    ]);
    expect(paint).toMatchObject({ declaration: 'enum colour paint', type: { signed: true } });
    expect(paint?.type.kind === 'enum' && paint.type.values().get('MINUS')).toBe(-1n);
    expect(low).toMatchObject({ declaration: 'unsigned int low:3', bitOffset: 64, bitSize: 3 });
    expect(self?.declaration).toBe('struct thing *self');
    expect(self?.type.kind === 'pointer' && self.type.target().spelling).toBe('struct thing');
  });
});
