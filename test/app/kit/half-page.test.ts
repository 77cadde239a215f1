import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { vmcoreinfoNote, writeElf } from '../../support/dump/elf.js';
import { kdumpMem } from '../../support/in-process.js';
import { syntheticKernel } from '../../support/native-kernel.js';
import { scratchFolder } from '../../support/scratch.js';

/** The dump contains the bytes of this page from FROM to TO, and no others. */
const PAGE = 0x1b0_0000;
const [FROM, TO] = [0x234, 0x934] as const;
/** Offsets of a struct page: inside this range, over its start, over its end, and outside. */
const [INSIDE, FIRST, LAST, BESIDE] = [0x400, FROM - 8, TO - 52, 0xa00] as const;

const kernel = syntheticKernel();
const MAPPED = kernel.vmalloc + 0x10_0000n;
const folder = scratchFolder('half-page-');
const vmcore = join(folder, 'vmcore');

beforeAll(() => {
  const { memory, tables, text } = kernel;
  tables.map(MAPPED, PAGE);
  const page = memory.page(PAGE);
  for (let at = FROM; at < TO; at++) page[at] = (at % 255) + 1;
  const view = new DataView(page.buffer, page.byteOffset);
  view.setBigUint64(INSIDE, 0x1234_5678n, true);
  for (const at of [INSIDE, FIRST]) view.setUint32(at + 52, 7, true);
  view.setBigUint64(LAST, 0x8765_4321n, true);
  const loads = [...memory.pages].map(([frame, data]) => {
    if (frame * 4096 !== PAGE) return { physical: BigInt(frame * 4096), data };
    return { physical: BigInt(PAGE + FROM), data: data.subarray(FROM, TO) };
  });
  writeFileSync(vmcore, writeElf({ loads, notes: [vmcoreinfoNote(text)] }));
});

describe.each([
  ['the direct map', kernel.directMap + BigInt(PAGE)],
  ['a page table', MAPPED],
])('a partly captured page, by %s', (_, start) => {
  const hex = (at: number) => (start + BigInt(at)).toString(16);

  async function struct(at: number) {
    const ran = await kdumpMem('struct', 'page', hex(at), '--strict', '--json', '--vmcore', vmcore);
    const shown = ran.stdout === '' ? undefined : JSON.parse(ran.stdout);
    return { ...ran, members: shown?.value.members };
  }

  test('struct: shows values inside the captured part', async () => {
    const { members, status, stderr } = await struct(INSIDE);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(members).toMatchObject([
      { name: 'flags', value: { value: 0x1234_5678 } },
      { name: '_refcount', value: { value: 7 } },
    ]);
  });

  test('struct: at an edge, shows the captured member and why the other is missing', async () => {
    const missing = { kind: 'unreadable', reason: 'absent' };
    const first = await struct(FIRST);
    expect(first.status).toBe(5);
    expect(first.members).toMatchObject([
      { name: 'flags', value: missing },
      { name: '_refcount', value: { value: 7 } },
    ]);
    const last = await struct(LAST);
    expect(last.status).toBe(5);
    expect(last.members).toMatchObject([
      { name: 'flags', value: { value: 0x8765_4321 } },
      { name: '_refcount', value: missing },
    ]);
  });

  test('struct: outside, exits with status 3 and prints no values', async () => {
    const { status, stdout, stderr } = await struct(BESIDE);
    expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
    expect(stderr).toContain(`0x${hex(BESIDE)} is not in the dump`);
  });

  test('read --raw: prints the captured bytes', async () => {
    const length = `${TO - FROM}`;
    const ran = await kdumpMem('read', hex(FROM), '--length', length, '--json', '--vmcore', vmcore);
    const bytes = Buffer.from(kernel.memory.page(PAGE).subarray(FROM, TO)).toString('hex');
    expect(ran.status).toBe(0);
    expect(JSON.parse(ran.stdout).pieces).toEqual([{ address: `0x${hex(FROM)}`, length: TO - FROM, bytes }]);
    const whole = await kdumpMem('read', hex(0), '--length', '4k', '--raw', '--vmcore', vmcore);
    expect(whole).toMatchObject({ status: 3, stdout: '' });
  });

  test('read of the whole page: prints the captured part and both holes', async () => {
    const ran = await kdumpMem('read', hex(0), '--length', '4k', '--json', '--vmcore', vmcore);
    expect(JSON.parse(ran.stdout).pieces).toMatchObject([
      { address: `0x${hex(0)}`, length: FROM, missing: 'absent' },
      { address: `0x${hex(FROM)}`, length: TO - FROM },
      { address: `0x${hex(TO)}`, length: 4096 - TO, missing: 'absent' },
    ]);
  });
});
