import type { NativeKernel } from '../../kernel/native/parts.js';
import { cpuMask, perCpuAddress } from '../../walk/machine/cpus.js';
import { attempt } from '../questions.js';
import { pointerAt } from './pointer.js';
import { type Store, storePages } from './store.js';

/** What is read of each CPU's own variables: 8 bytes, or as much as a struct takes. */
const PER_CPU: Readonly<Record<string, string | 8>> = {
  // What ran.
  runqueues: 'rq',
  current_task: 8,
  // 6.2 to 6.14 keep the task, the CPU's number and the stack of interrupts in one struct.
  pcpu_hot: 'pcpu_hot',
  // The stacks that interrupts run on.
  cpu_tss_rw: 'x86_hw_tss',
  hardirq_stack_ptr: 8,
  cea_exception_stacks: 8,
  cpu_number: 8,
  cpu_info: 8,
  this_cpu_off: 8,
};

/** What crash reads of each CPU: what ran there, and where its stacks are. */
export function readCpus(kernel: NativeKernel, store: Store): void {
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    for (const [name, type] of Object.entries(PER_CPU)) {
      attempt(() => {
        const address = ofCpu(kernel, name, cpu);
        const size = type === 8 ? type : kernel.struct(type)?.size;
        if (address !== undefined && size !== undefined) kernel.read(address, size);
      });
    }
    // crash checks that these stacks are mapped: it takes their page tables, not their bytes.
    attempt(() => readExceptionStacks(kernel, cpu));
    attempt(() => storeInterruptStack(kernel, store, cpu));
  }
}

/** Where they lie is up to chance: one CPU's may be in two page tables. Guards between them are not mapped. */
function readExceptionStacks(kernel: NativeKernel, cpu: number): void {
  const at = ofCpu(kernel, 'cea_exception_stacks', cpu);
  if (at === undefined) return;
  const stacks = pointerAt(kernel, at);
  const bytes = kernel.struct('cea_exception_stacks')?.size ?? 0;
  for (let page = 0; page <= bytes; page += kernel.facts.pageSize)
    attempt(() => kernel.physicalOf(stacks + BigInt(page)));
}

/** Where a CPU has its own of a variable. */
function ofCpu(kernel: NativeKernel, name: string, cpu: number): bigint | undefined {
  const address = kernel.symbol(name);
  return address === undefined ? undefined : perCpuAddress(kernel, address, cpu);
}

/** crash reads the stacks of interrupts whole. `hardirq_stack_ptr` points close to a stack's end. */
function storeInterruptStack(kernel: NativeKernel, store: Store, cpu: number): void {
  const bytes = kernel.struct('irq_stack')?.size;
  const member = kernel.struct('pcpu_hot')?.member('hardirq_stack_ptr');
  const hot = ofCpu(kernel, 'pcpu_hot', cpu);
  const at =
    hot !== undefined && member
      ? hot + BigInt(member.offset)
      : ofCpu(kernel, 'hardirq_stack_ptr', cpu);
  if (at === undefined || bytes === undefined) return;
  const last = pointerAt(kernel, at) - 1n;
  const page = BigInt(kernel.facts.pageSize);
  storePages(kernel, store, last - (last % page) + page - BigInt(bytes), bytes);
}
