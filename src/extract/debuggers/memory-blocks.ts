import type { NativeKernel } from '../../kernel/native/parts.js';
import { listNodes } from '../../walk/list.js';
import { decodeText, StructReader } from '../../walk/struct-reader.js';
import { attempt } from '../questions.js';
import { pointerAt } from './pointer.js';

/** More than a machine has that is made of blocks of 128 MiB at least. */
const MOST_BLOCKS = 1 << 20;
/** Kinds of buses that drivers register: dozens. */
const MOST_BUSES = 4096;
const LONGEST_BUS_NAME = 32;

/** The devices that stand for blocks of memory, which crash counts (drivers/base/memory.c). */
export function readMemoryBlocks(kernel: NativeKernel): void {
  const bus = memoryBus(kernel);
  if (bus === undefined) return;
  const owner = new StructReader(kernel, 'subsys_private', ['klist_devices.k_list']);
  const node = new StructReader(kernel, 'device_private', ['knode_bus.n_node', 'device']);
  const block = new StructReader(kernel, 'memory_block', ['dev', 'dev.kobj.name']);
  kernel.read(bus, owner.size);
  let blocks = 0;
  for (const link of listNodes(kernel, bus + BigInt(owner.offset('klist_devices.k_list')))) {
    if (++blocks > MOST_BLOCKS) return;
    const held = link - BigInt(node.offset('knode_bus.n_node'));
    kernel.read(held, node.size);
    const address = node.read(held).pointer('device') - BigInt(block.offset('dev'));
    kernel.read(address, block.size);
    attempt(() => readName(kernel, block.read(address).pointer('dev.kobj.name')));
  }
}

/** Address of the bus's `struct subsys_private`: of a variable, or since 6.4 by name among all. */
function memoryBus(kernel: NativeKernel): bigint | undefined {
  const variable = kernel.symbol('memory_subsys');
  const bus = variable === undefined ? undefined : kernel.struct('bus_type')?.member('p');
  if (variable !== undefined) kernel.read(variable, kernel.struct('bus_type')?.size ?? 0);
  if (variable !== undefined && bus) return pointerAt(kernel, variable + BigInt(bus.offset));
  const all = kernel.symbol('bus_kset');
  if (all === undefined) return undefined;
  const set = new StructReader(kernel, 'kset', ['list', 'kobj']);
  const object = new StructReader(kernel, 'kobject', ['name', 'entry']);
  const owner = new StructReader(kernel, 'subsys_private', ['subsys']);
  let found: bigint | undefined;
  const head = pointerAt(kernel, all);
  kernel.read(head, set.size);
  let buses = 0;
  for (const link of listNodes(kernel, head + BigInt(set.offset('list')))) {
    if (++buses > MOST_BUSES) return found;
    const address = link - BigInt(object.offset('entry'));
    kernel.read(address, object.size);
    const name = readName(kernel, object.read(address).pointer('name'));
    if (name === 'memory')
      found = address - BigInt(set.offset('kobj')) - BigInt(owner.offset('subsys'));
  }
  return found;
}

function readName(kernel: NativeKernel, address: bigint): string {
  for (let length = 1; length <= LONGEST_BUS_NAME; length++) {
    const view = kernel.read(address, length);
    if (view.getUint8(length - 1) === 0) return decodeText(view, 0, length);
  }
  return '';
}
