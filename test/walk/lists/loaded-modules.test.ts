import { expect, test } from 'vitest';
import { readList } from '../../../src/answers/info/lists/lists.js';
import { FixtureBase, OverlaidKernel } from '../../support/overlaid-kernel.js';

const BASE = new FixtureBase('6.1');
const TEXT = 0xffff_ffff_c100_0000n;

/** Two modules of 2 pages each, the second of which uses the first; each has a vmalloc area. */
class Modules extends OverlaidKernel {
  readonly alpha = this.#module('alpha', TEXT, 2);
  readonly beta = this.#module('beta', TEXT + 0x10000n, 1);
  readonly use = this.make('module_use', { source: this.beta, target: this.alpha });
  readonly area = this.#area(TEXT);
  readonly head = this.make(16);

  constructor() {
    super(BASE);
    const of = (type: string, path: string) => (address: bigint) => this.at(type, address, path);
    this.symbols.modules = this.head;
    this.link(this.head, ...[this.beta, this.alpha].map(of('module', 'list')));
    this.link(this.at('module', this.alpha, 'source_list'), this.at('module_use', this.use, 'source_list'));
    this.link(this.at('module', this.beta, 'target_list'), this.at('module_use', this.use, 'target_list'));
    this.symbols.tainted_mask = this.make(8);
    this.word(this.symbols.tainted_mask, 1n << 12n);
    this.symbols.vmap_area_list = this.make(16);
    const other = this.#area(TEXT + 0x10000n);
    this.link(this.symbols.vmap_area_list, ...[this.area, other].map(of('vmap_area', 'list')));
  }

  #module(name: string, base: bigint, references: number): bigint {
    const at = this.make('module', {
      name,
      taints: name === 'beta' ? 1n << 12n : 0n,
      'refcnt.counter': references,
      'core_layout.base': base,
      'core_layout.size': 0x2000,
      'core_layout.text_size': 0x1000,
    });
    this.set('module', at, { 'mkobj.mod': at, 'mkobj.kobj.name': this.text(name) });
    for (const list of ['source_list', 'target_list']) this.link(this.at('module', at, list));
    return at;
  }

  #area(address: bigint): bigint {
    const vm = this.make('vm_struct', { addr: address, size: 0x3000, flags: 2, pages: 0, nr_pages: 2 });
    return this.make('vmap_area', { va_start: address, va_end: address + 0x3000n, vm });
  }
}

test('lists modules, last loaded first, with their users', () => {
  const { modules, complete, warnings } = readList('modules', new Modules().kernel());
  expect(warnings).toEqual([]);
  expect(complete).toBe(true);
  expect(modules).toMatchObject([
    { name: 'beta', state: 'live', sizeBytes: 0x2000, textBytes: 0x1000, references: 0, usedBy: [], taints: ['O'] },
    { name: 'alpha', references: 1, usedBy: ['beta'], taints: [] },
  ]);
});

type Members = Readonly<Record<string, bigint | number | string>>;
const alpha = (members: Members) => (one: Modules) => one.set('module', one.alpha, members);
const beta = (members: Members) => (one: Modules) => one.set('module', one.beta, members);
const area = (members: Members) => (one: Modules) => one.set('vmap_area', one.area, members);

test.each<readonly [string, RegExp, (one: Modules) => void]>([
  ['kobject', /is not the module of its kobject/, (one) => one.set('module', one.alpha, { 'mkobj.mod': one.beta })],
  ['state', /module alpha: state 7/, alpha({ state: 7 })],
  ['count', /reference count 0, but 1 modules use it/, alpha({ 'refcnt.counter': 1 })],
  ['negative count', /reference count -3/, beta({ 'refcnt.counter': -2 })],
  ['user', /a user of it is not a loaded module/, (one) => one.set('module_use', one.use, { source: one.alpha + 8n })],
  ['source', /a user of it is not a loaded module/, (one) => one.set('module_use', one.use, { source: one.alpha })],
  ['uses', /modules that module beta uses/, (one) => one.word(one.at('module', one.beta, 'target_list'), 0n)],
  ['place', /modules \w+ and \w+ both have memory at/, alpha({ 'core_layout.base': TEXT + 0x10000n })],
  ['name', /module gamma is "alpha" in sysfs/, alpha({ name: 'gamma' })],
  ['state of a module in use', /is coming, but has references and no init memory/, alpha({ state: 1 })],
  ['page', /module beta: 8191 bytes are not a multiple of the page size/, beta({ 'core_layout.size': 0x1fff })],
  ['used', /a user of it is not a loaded module/, (one) => one.set('module_use', one.use, { target: one.beta })],
  ['users', /users of module beta/, (one) => one.word(one.at('module', one.beta, 'source_list'), 0n)],
  ['large size', /are in no vmalloc area of that size/, alpha({ 'core_layout.size': 0x5000 })],
  ['small size', /its vmalloc area has 12288 bytes/, alpha({ 'core_layout.size': 0x1000 })],
  ['no size', /a part at 0x\w+ has no size/, alpha({ 'core_layout.size': 0 })],
  ['code', /12288 bytes of code in 8192/, beta({ 'core_layout.text_size': 0x3000 })],
  ['taint', /module alpha: taints 0x1, but tainted_mask is 0x1000/, alpha({ taints: 1 })],
  ['list', /list of modules/, (one) => one.set('module', one.beta, { 'list.prev': one.beta })],
  ['head', /list of modules/, (one) => one.word(one.head + 8n, one.at('module', one.beta, 'list'))],
  ['area', /vmalloc areas, to compare sizes of modules/, area({ va_start: TEXT + 8n })],
])('reports a wrong %s', (_, message, damage) => {
  const one = new Modules();
  damage(one);
  const { complete, warnings } = readList('modules', one.kernel());
  expect(complete).toBe(false);
  expect(warnings).toContainEqual(expect.objectContaining({ message: expect.stringMatching(message) }));
});

test('a module that initializes itself has init memory', () => {
  const one = new Modules();
  one.set('module', one.alpha, { state: 1, 'init_layout.base': TEXT + 0x20000n });
  expect(readList('modules', one.kernel())).toMatchObject({ complete: true, warnings: [] });
});

test('modules of a kernel without strict permissions have parts of any size', () => {
  const one = new Modules();
  for (const at of [one.alpha, one.beta]) one.set('module', at, { 'core_layout.text_size': 0xff0 });
  one.set('module', one.beta, { 'core_layout.size': 0x1ff0 });
  expect(readList('modules', one.kernel())).toMatchObject({ complete: true, warnings: [] });
});

test('a contradiction of a running kernel is a change meanwhile', () => {
  const one = new Modules();
  one.set('module', one.alpha, { state: 7 });
  expect(readList('modules', one.kernel({ live: true })).warnings).toMatchObject([{ code: 'torn-list' }]);
});

test('finds parts of a module since 6.4', () => {
  const types = new FixtureBase('6.12');
  const one = new OverlaidKernel(types);
  one.symbols.modules = one.make(16);
  const part = (index: number) => `mem[${index}].size`;
  const at = one.make('module', { name: 'gamma', 'refcnt.counter': 1, [part(0)]: 0x1000, [part(1)]: 0x2000 });
  one.set('module', at, { 'mkobj.mod': at, 'mem[0].base': TEXT, 'mem[1].base': TEXT + 0x4000n });
  one.link(one.symbols.modules, one.at('module', at, 'list'));
  for (const list of ['source_list', 'target_list']) one.link(one.at('module', at, list));
  const { modules, warnings } = readList('modules', one.kernel());
  expect(modules).toMatchObject([{ name: 'gamma', sizeBytes: 0x3000, textBytes: 0x1000 }]);
  expect(warnings).toMatchObject([{ code: 'unreadable', message: expect.stringContaining('vmalloc areas') }]);
});
