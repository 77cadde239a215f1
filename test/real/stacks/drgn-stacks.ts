import type { NamedAddress } from '../../../src/kernel/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { TaskStacks } from '../../../src/walk/stacks/task-stacks.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { drgnJson } from '../../support/drgn.js';
import type { LabKernel } from '../../support/lab.js';

interface DrgnStack {
  readonly pid: number;
  readonly frames?: readonly {
    readonly address: string | null;
    readonly name: string;
    readonly interrupted: boolean;
  }[];
  readonly error?: string;
}

/** Labels of the kernel, used in its messages, within one function in DWARF. */
const LABELS: Readonly<Record<string, string>> = {
  entry_SYSCALL_64_after_hwframe: 'entry_SYSCALL_64',
  common_startup_64: 'secondary_startup_64',
  end_repeat_nmi: 'asm_exc_nmi',
  secondary_startup_64_no_verify: 'secondary_startup_64',
};

/**
 * The source function of a part or copy that a compiler made and named: DWARF has one name for all.
 */
function functionOf(symbol: string): string {
  return LABELS[symbol] ?? symbol.replace(/(\.(cold|constprop|isra|part)(\.\d+)?)+$/, '');
}

/** drgn continues into user space, where its frames do not belong to the kernel's stack. */
function untilUser(frames: NonNullable<DrgnStack['frames']>) {
  const user = frames.findIndex(({ address }) => address === null || BigInt(address) >> 63n === 0n);
  return user < 0 ? frames : frames.slice(0, user);
}

/**
 * When drgn reads data that is not a stack, it reports addresses outside the kernel, and the frame
 * before may be wrong too. Returns the frames before that; undefined: all frames are valid.
 */
function beforeLost(frames: NonNullable<DrgnStack['frames']>) {
  const lost = frames.findIndex(({ address }) => BigInt(address ?? 0) < MIN_KERNEL_ADDRESS);
  return lost < 0 ? undefined : frames.slice(0, Math.max(1, lost - 1));
}

const MIN_KERNEL_ADDRESS = 0xff00_0000_0000_0000n;
export const DRGN_LOST = 'drgn lost its way';

/** arch/arm64/kernel/entry.S: from the kernel's own code. */
const EXCEPTION = /^el1[ht]_64_(sync|irq|fiq|error)$/;
export const UNSEEN_EXCEPTION = 'drgn sees no exception';

/** An interrupted leaf has no frame record on arm64: drgn continues with the caller of its caller. */
export const LEAF_CALLER = 'drgn skips the caller of an interrupted leaf';

/** Whether frames are those of drgn, except that each interrupted one may have its caller. */
function areSameButCallers(
  ours: readonly { readonly address: string; readonly interrupted: boolean }[],
  drgns: readonly { readonly address: string | null }[],
): boolean {
  let at = 0;
  for (const [index, { address }] of ours.entries()) {
    if (address === drgns[at]?.address) at++;
    else if (!ours[index - 1]?.interrupted) return false;
  }
  return at === drgns.length;
}

const SCRIPT = new URL('stacks.py', import.meta.url);

/** Stacks of one dump that differ from drgn's, by reason; `none` has no known reason. */
export function drgnDifferences(core: string, name: LabKernel) {
  const theirs = drgnJson<Record<string, DrgnStack>>(core, name, SCRIPT);
  const kernel = openNative({ files: [core] });
  const warnings = new Warnings();
  const found: Record<string, string[]> = {};
  let [compared, frames, modules] = [0, 0, 0];
  const differs = (why: string, what: string) => {
    found[why] = [...(found[why] ?? []), what];
  };
  /** Two functions can share one address: both are right. */
  const isAlias = (symbol: NamedAddress | undefined, other: string) => {
    const places = (name: string) => kernel.symbols(name).map(({ address }) => address);
    return places(symbol?.name ?? '').some((place) => places(other).includes(place));
  };
  const left = new Set(Object.keys(theirs));
  const ran = new Set<number>();
  for (const { task, stack, cpu } of new TaskStacks(kernel, warnings).all()) {
    const key = `0x${task.address.toString(16)}`;
    const other = theirs[key];
    left.delete(key);
    if (cpu !== undefined) ran.add(task.pid);
    compared++;
    const ours = stack.frames.map(({ address, interrupted, guess }) => ({
      address: `0x${address.toString(16)}`,
      interrupted,
      guess,
      symbol: kernel.symbolAt(interrupted ? address : address - 1n),
    }));
    const drgns = untilUser(other?.frames ?? []);
    const list = (some: readonly { address: string | null }[]) => some.map(({ address }) => address).join(' ');
    const what = `pid ${task.pid} ${task.comm}: ${ours
      .map(({ address, symbol }) => `${address} ${symbol?.name}`)
      .join(', ')} | ${drgns.map(({ address, name }) => `${address} ${name}`).join(', ')}`;
    if (list(ours) !== list(drgns)) {
      const kept = beforeLost(drgns);
      if (kept && list(ours).startsWith(list(kept))) differs(DRGN_LOST, what);
      else if (kernel.facts.arch === 'arm64' && areSameButCallers(ours, drgns)) differs(LEAF_CALLER, what);
      else if (ours.some(({ guess }) => guess)) differs('guess', what);
      else if (cpu !== undefined && ours.length > drgns.length && list(ours).startsWith(list(drgns)))
        differs('drgn stops before', what);
      else differs('none', what);
      continue;
    }
    frames += ours.length;
    ours.forEach(({ symbol, interrupted }, index) => {
      const drgn = drgns[index];
      // Without a module's debug information drgn reports an address instead of a name.
      if (drgn?.name.startsWith('0x')) {
        modules++;
        if (symbol?.module === undefined) differs('none', what);
      } else if (functionOf(symbol?.name ?? '') !== drgn?.name && !isAlias(symbol, drgn?.name ?? ''))
        differs('name', what);
      if (interrupted === drgn?.interrupted) return;
      // On arm64 drgn follows frame records through an exception without recognizing it.
      const isBehindOne = EXCEPTION.test(ours[index - 1]?.symbol?.name ?? '') && interrupted;
      differs(isBehindOne ? UNSEEN_EXCEPTION : 'interrupted', `${index} ${what}`);
    });
  }
  kernel.close();
  return { found, compared, frames, modules, left: [...left], ran, warnings: warnings.list() };
}
