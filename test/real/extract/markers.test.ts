import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accountFd } from '../../../src/account/skb.js';
import { extract } from '../../../src/extract/extract.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { netDevices } from '../../../src/walk/network/net-devices.js';
import { TaskReader } from '../../../src/walk/tasks/tasks.js';
import { answers } from '../../support/answers.js';
import { DamagedDump } from '../../support/damaged-dump.js';
import { memoryOf } from '../../support/damaged-kernel.js';
import { rawPages } from '../../support/dump/raw-pages.js';
import { labDump, role } from '../../support/lab.js';
import { askDump } from '../../support/opened-kernel.js';

const { elf, truth } = labDump('6.1');
const folder = mkdtempSync(join(tmpdir(), 'extract-'));
const marked = new DamagedDump(elf);
const small = join(folder, 'small.vmcore');
const anonymous = join(folder, 'anonymous.vmcore');
let pages: Buffer[];

/** Name of a network device: seven letters, because its object has no space for more. */
const CARD = 'q7zVkX9';

/** Places with other people's data, each with its own marker. */
const planted: string[] = [];
function plant(what: string, address: bigint): void {
  const marker = `MARKER:${what}:`;
  marked.setBytes(address, Buffer.from(marker));
  planted.push(marker);
}

beforeAll(async () => {
  const kernel = openNative({ files: [elf] });
  const { addressOf, read, write } = memoryOf(kernel);
  const skbOf = (name: string): bigint => {
    const { pid, fd } = role(truth, name);
    const skb = accountFd(kernel, pid, fd, true).skbs?.receive?.[0];
    if (!skb) throw new Error(`${name} has no skb`);
    return skb.address;
  };
  const base = read('page_offset_base');

  // Payload, in a linear head and in a page; and skb fields that are not read.
  const linear = skbOf('linear');
  plant('payload', read(linear, 'sk_buff.data'));
  plant('control block', addressOf(linear, 'sk_buff.cb'));
  const large = skbOf('loopback-large');
  const shared = read(large, 'sk_buff.head') + read(large, 'sk_buff.end');
  const frag = read(shared, 'skb_shared_info.frags');
  plant('page', kernel.pages.addressOfPage(frag) ?? 0n);
  // Old data of the slab object follows the frags in use.
  plant('stale frags', addressOf(shared, 'skb_shared_info.frags') + 16n * 16n);
  // A neighbour in the same slab page.
  const slot = 256n;
  const neighbour = (linear & 0xfffn) + 2n * slot < 4096n ? linear + slot : linear - slot;
  plant('neighbour', addressOf(neighbour, 'sk_buff.cb') + 8n);
  // Contents of a process's kernel stack, keys and memory map.
  const { pid } = role(truth, 'linear');
  const task = [...new TaskReader(kernel).processes()].find((one) => one.pid === pid);
  const stack = read(task?.address ?? 0n, 'task_struct.stack');
  plant('stack', base + BigInt(kernel.physicalOf(stack + 8192n) ?? Number.NaN));
  plant('canary', addressOf(task?.address ?? 0n, 'task_struct.restart_block'));

  // The device is renamed wherever its name occurs, and so are threads named after it.
  const cards = [...netDevices(kernel)].filter((one) => one.name.startsWith('eth'));
  expect(cards.length).toBeGreaterThan(0);
  for (const { address } of cards) {
    const name = Buffer.from(`${CARD}\0`);
    marked.apply(write(addressOf(address, 'net_device.name'), name));
    marked.apply(write(read(address, 'net_device.dev.kobj.name'), name));
  }
  const thread = [...new TaskReader(kernel).processes()].find((one) => one.kernelThread);
  const comm = addressOf(thread?.address ?? 0n, 'task_struct.comm');
  marked.apply(write(comm, Buffer.from(`irq/28-${CARD}\0`)));

  const before = openNative({ files: [marked.path] });
  await extract(before, { output: small, compression: 'zlib' });
  before.close();
  pages = [...rawPages(small).values()];
  const named = openNative({ files: [marked.path] });
  await extract(named, { output: anonymous, compression: 'zlib', anonymize: true });
  named.close();
  kernel.close();
});

afterAll(() => {
  marked.remove();
  rmSync(folder, { recursive: true });
});

describe('private data', () => {
  test('is not in the extract, wherever it was planted', () => {
    expect(planted).toHaveLength(7);
    const dump = readFileSync(marked.path);
    for (const marker of planted) {
      expect(dump.includes(marker), marker).toBe(true);
      expect(
        pages.some((page) => page.includes(marker)),
        marker,
      ).toBe(false);
    }
  });

  test.each([
    ['environment', 'SHLVL=2\0HOME=/'],
    ['file cache', 'BusyBox is a multi-call binary'],
    ['the log', 'Linux version 6.1'],
  ])('excludes data of the guest: %s', (_, text) => {
    expect(readFileSync(elf).includes(text)).toBe(true);
    const found = pages.filter((page) => page.includes(text));
    // The kernel prints its banner from its image; the log repeats it with a time.
    expect(found).toHaveLength(text.startsWith('Linux version') ? 1 : 0);
  });

  test('does not include the network device’s name in an anonymous extract', () => {
    expect(readFileSync(marked.path).includes(CARD)).toBe(true);
    const found = (file: string) => [...rawPages(file).values()].some((page) => page.includes(CARD));
    expect(found(anonymous)).toBe(false);
    const kernel = openNative({ files: [anonymous] });
    expect([...netDevices(kernel)].map(({ name }) => name)).toContain('i000000');
    const comms = [...new TaskReader(kernel).processes()].map(({ comm }) => comm);
    expect(comms).toContain('irq/28-i000000');
    kernel.close();
  });

  test('is not needed: the answers are the same', () => {
    const [all, few] = [marked.path, small].map((file) => {
      return askDump(file, answers);
    });
    expect(few).toEqual(all);
  });

  test('is not read by accident: omitted bytes are refused', () => {
    const kernel = openNative({ files: [small] });
    const full = openNative({ files: [elf] });
    const unread = memoryOf(full).addressOf('init_task', 'task_struct.nvcsw');
    expect(full.read(unread, 8).byteLength).toBe(8);
    expect(() => kernel.read(unread, 8)).toThrow(/filtered out of the dump/);
    kernel.close();
    full.close();
  });
});
