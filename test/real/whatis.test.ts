import { expect, test } from 'vitest';
import { Areas } from '../../src/account/memory/areas.js';
import { AddressIdentifier } from '../../src/account/whatis.js';
import { whatisSchema } from '../../src/contracts/whatis.js';
import { openNative } from '../../src/kernel/native/open.js';
import { kernelStacks } from '../../src/walk/memory/stacks.js';
import { Warnings } from '../../src/walk/warnings.js';
import { type Damage, memoryOf } from '../support/damaged-kernel.js';
import { kdumpMem } from '../support/in-process.js';
import { KERNELS, labDump } from '../support/lab.js';
import { whatisSuite } from './whatis-suite.js';

for (const name of [...KERNELS, '6.12-arm64-16k'] as const) whatisSuite(name, labDump(name).elf, 300);

test('init code that the kernel freed, and a stack with two contradicting facts', () => {
  const kernel = openNative({ files: [labDump('newest').elf] });
  const { set, damagedBy } = memoryOf(kernel);
  const areas = [...kernelStacks(kernel)].filter(({ vm }) => vm !== 0n);
  const [one, other] = [areas[0]!, areas[1]!];
  const moved = set(one.task, 'task_struct.stack_vm_area', other.vm);
  const identified = (address: bigint, ...changes: Damage[]) => {
    const warnings = new Warnings();
    const identifier = new AddressIdentifier(damagedBy(...changes), kernel.symbolTable, warnings);
    return { ...identifier.of(address), complete: warnings.complete };
  };
  expect(identified(one.stack + 8n).object).toMatchObject({ kind: 'stack', offset: 8 });
  // The candidate whose stack is elsewhere must not be named.
  for (const { stack } of [one, other]) {
    const { object, complete } = identified(stack + 8n, moved);
    const owner = object?.kind === 'stack' ? object.pid : undefined;
    const sound = identified(stack + 8n).object;
    expect(complete && owner !== (sound?.kind === 'stack' && sound.pid)).toBe(false);
  }
  expect(identified(kernel.symbol('__init_begin') ?? 0n).object?.kind).not.toBe('symbol');
  kernel.close();
});

test.each(KERNELS)('stacks of interrupts and of the first idle task, and memory of a device: %s', (name) => {
  const kernel = openNative({ files: [labDump(name).elf] });
  const warnings = new Warnings();
  const identifier = new AddressIdentifier(kernel, kernel.symbolTable, warnings);
  const own = identifier.of(kernel.symbol('init_stack')! + 16n);
  expect(own).toMatchObject({ category: 'image', object: { kind: 'stack', pid: 0, comm: 'swapper/0', offset: 16 } });
  const areas = new Areas(kernel);
  const [mapping, device] = [/^irq_init_percpu_irqstack/, /^hpet_enable/].map((caller) =>
    [...areas.all()].find((area) => !area.owns && caller.test(areas.caller(area) ?? '')),
  );
  const stack = identifier.of(mapping!.address);
  const byFrame = identifier.of(kernel.pages.addressOfFrame(stack.frame!)!);
  expect(stack).toMatchObject({ category: 'percpu', object: { kind: 'vmalloc-area' } });
  expect(stack.category).toBe(byFrame.category);
  expect(identifier.of(device!.address)).toMatchObject({ category: null, object: { kind: 'vmalloc-area' } });
  expect(warnings.list()).toEqual([]);
  kernel.close();
});

test.each(KERNELS)('names members of tasks, whose objects may be smaller than the type: %s', (name) => {
  const kernel = openNative({ files: [labDump(name).elf] });
  const identifier = new AddressIdentifier(kernel, kernel.symbolTable, new Warnings());
  const type = kernel.struct('task_struct')!;
  // The task of an idle CPU is init_task, or its copy.
  const idle = kernel.symbol('init_task')!;
  const tasks = [...kernelStacks(kernel)].flatMap(({ task }) => (task === idle ? [] : [task]));
  expect(tasks.length).toBeGreaterThan(20);
  for (const member of ['tasks', 'comm', 'thread']) {
    const { offset } = type.member(member)!;
    for (const task of tasks.slice(-5)) {
      const { object } = identifier.of(task + BigInt(offset));
      expect(object).toMatchObject({ start: task, offset, member: `task_struct.${member}` });
    }
  }
  kernel.close();
});

test('as a command: text, JSON, and missing addresses', async () => {
  const { elf } = labDump('newest');
  const of = ['--vmcore', elf];
  const text = await kdumpMem('whatis', 'init_task+0x10', 'pfn:0x1', '0x10', ...of);
  expect(text).toMatchObject({ stderr: '', status: 0 });
  const [symbol, page, low] = text.stdout.split('\n\n');
  expect(symbol).toMatch(/^0xffffffff[0-9a-f]{8}: init_task\+0x10\.\n {2}Page frame \d+ \(0x/);
  expect(page).toMatch(/: page, in category .*\n {2}Page frame 1 \(0x1\), physical address 0x1000\.$/);
  expect(low).toBe('0x10: not mapped.\n');
  const json = await kdumpMem('whatis', 'init_task', '--json', ...of);
  const { identities, complete } = whatisSchema.parse(JSON.parse(json.stdout));
  expect(complete).toBe(true);
  expect(identities).toMatchObject([{ category: 'image', object: { name: 'init_task' } }]);
  expect(await kdumpMem('whatis', 'no_such_symbol', ...of)).toMatchObject({ status: 4, stdout: '' });
  expect(await kdumpMem('whatis', 'pfn:x', ...of)).toMatchObject({ status: 2, stdout: '' });
  expect(await kdumpMem('whatis', 'pfn:99999999999', ...of)).toMatchObject({ status: 4, stdout: '' });
});
