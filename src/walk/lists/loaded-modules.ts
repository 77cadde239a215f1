import { readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { ModulesAnswer } from '../../contracts/lists.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../cpus.js';
import { closedListNodes } from '../list.js';
import { taintFlags } from '../machine-facts.js';
import { type VmArea, vmAreas } from '../memory/vm-areas.js';
import { pointerPartOf } from '../named-read.js';
import { MapleTreeReader } from '../processes/maple-tree.js';
import { StructReader, textAt } from '../struct-reader.js';
import { addError, type Warnings } from '../warnings.js';

/** By number. */
const STATES = ['live', 'coming', 'going', 'unformed'] as const satisfies LoadedModule['state'][];

type LoadedModule = ModulesAnswer['modules'][number];

const MAX_MODULES = 4096;
/** MODULE_NAME_LEN. */
const MAX_NAME = 64;
/** MODULE_REF_BASE (kernel/module/main.c): the count of a module that nothing uses. */
const REFERENCE_BASE = 1;

/** Parts of a module that stay: `mem[MOD_TEXT]` to `mem[MOD_RO_AFTER_INIT]` since 6.4, `core_layout` before. */
export function partsOf(kernel: Kernel) {
  const single = StructReader.ifPresent(kernel, 'module', [
    'core_layout.base',
    'core_layout.size',
    'core_layout.text_size',
  ]);
  if (single)
    return (module: bigint) => {
      const view = single.read(module);
      const [base, size] = [view.pointer('core_layout.base'), view.number('core_layout.size')];
      return { parts: [{ base, size }], text: view.number('core_layout.text_size') };
    };
  const readers = ([0, 1, 2, 3] as const).map((part) => {
    const paths = [`mem[${part}].base`, `mem[${part}].size`] as const;
    return { reader: new StructReader(kernel, 'module', paths), paths };
  });
  return (module: bigint) => {
    const parts = readers.map(({ reader, paths: [base, size] }) => {
      const view = reader.read(module);
      return { base: view.pointer(base), size: view.number(size) };
    });
    return { parts, text: parts[0]?.size ?? 0 };
  };
}

/**
 * Returns the loaded modules, last loaded first. Sizes are compared with the vmalloc areas that contain the
 * modules, users with the reference count.
 */
export function loadedModules(kernel: Kernel, warnings: Warnings): Pick<ModulesAnswer, 'modules'> {
  const reader = new StructReader(kernel, 'module', ['state', 'list', 'name', 'taints']);
  const self = new StructReader(kernel, 'module', ['mkobj.mod', 'mkobj.kobj.name']);
  const hasInit = initTest(kernel);
  const count = StructReader.ifPresent(kernel, 'module', ['refcnt.counter']);
  const users = StructReader.ifPresent(kernel, 'module', ['source_list']);
  const uses = StructReader.ifPresent(kernel, 'module', ['target_list']);
  const use = StructReader.ifPresent(kernel, 'module_use', ['source_list', 'target_list', 'source', 'target']);
  const partsIn = partsOf(kernel);
  // Each taint of a module taints the kernel, too (add_taint_module).
  const mask = kernel.symbol('tainted_mask');
  const tainted = mask && readOrNot(() => pointerPartOf(kernel, 'tainted_mask', mask, mask));
  const areas = areasByAddress(kernel, warnings);
  const shared = areasOfCache(kernel, warnings);
  const contradiction = kernel.facts.live ? 'torn-list' : 'corrupt';

  const names = new Map<bigint, string>();
  try {
    for (const node of closedListNodes(kernel, needSymbol(kernel, 'modules'))) {
      const view = reader.readContainer(node, 'list');
      names.set(view.address, view.text('name'));
      if (names.size < MAX_MODULES) continue;
      warnings.add('corrupt', `more than ${MAX_MODULES} modules`);
      break;
    }
  } catch (error) {
    addError(warnings, 'list of modules', error);
  }

  // Each use is also in a list of the module that uses another.
  const sources = new Map<bigint, string>();
  for (const [address, name] of names)
    try {
      for (const node of uses && use ? closedListNodes(kernel, uses.addressOf(address, 'target_list')) : [])
        sources.set(use?.containerOf(node, 'target_list') ?? 0n, name);
    } catch (error) {
      addError(warnings, `modules that module ${name} uses`, error);
    }

  const isWhole = (size: number) => size % kernel.facts.pageSize === 0;
  // With CONFIG_STRICT_MODULE_RWX each part has pages of its own.
  const aligned = [...names.keys()].filter((address) => readOrNot(() => isWhole(partsIn(address).text)));
  const hasPages = 2 * aligned.length > names.size;

  const placesOf = (address: bigint, name: string) =>
    readOrNot(() => partsIn(address).parts.map((part) => ({ ...part, name }))) ?? [];
  const usersOf = (address: bigint, name: string): string[] => {
    const usedBy: string[] = [];
    if (!users || !use) return usedBy;
    try {
      for (const node of closedListNodes(kernel, users.addressOf(address, 'source_list'))) {
        const view = use.readContainer(node, 'source_list');
        const user = names.get(view.pointer('source'));
        if (user === undefined || view.pointer('target') !== address || sources.get(view.address) !== user) {
          warnings.add(contradiction, `module ${name}: a user of it is not a loaded module`);
          break;
        }
        usedBy.push(user);
      }
    } catch (error) {
      addError(warnings, `users of module ${name}`, error);
    }
    return usedBy;
  };

  for (const problem of overlaps([...names].flatMap(([address, name]) => placesOf(address, name))))
    warnings.add(contradiction, problem);
  const modules: LoadedModule[] = [];
  for (const [address, name] of names) {
    try {
      const own = self.read(address);
      if (own.pointer('mkobj.mod') !== address)
        warnings.add(contradiction, `module ${name} at ${hex(address)} is not the module of its kobject`);
      const known = own.pointer('mkobj.kobj.name');
      const title = known === 0n ? name : textAt(kernel, 'the name of a kobject', known, MAX_NAME);
      if (title !== name) warnings.add(contradiction, `module ${name} is ${JSON.stringify(title)} in sysfs`);
      const view = reader.read(address);
      const { parts, text } = partsIn(address);
      for (const part of parts) {
        const problem = areas && misfit(part, areas, shared, kernel.facts.pageSize);
        if (problem !== undefined) warnings.add(contradiction, `module ${name}: ${problem}`);
      }
      for (const size of hasPages ? [text, ...parts.map((part) => part.size)] : [])
        if (!isWhole(size))
          warnings.add(contradiction, `module ${name}: ${size} bytes are not a multiple of the page size`);
      const usedBy = usersOf(address, name);
      const state = STATES[view.number('state')];
      if (state === undefined) warnings.add(contradiction, `module ${name}: state ${view.number('state')}`);
      const counted = count && count.read(address).number('refcnt.counter') | 0;
      // Until it is live, a module has init memory; when it goes, nothing refers to it.
      if (state !== undefined && state !== 'live' && (counted ?? 0) > 0 && !hasInit(address))
        warnings.add(contradiction, `module ${name} is ${state}, but has references and no init memory`);
      // The count of a module that is being unloaded is 0.
      const references = counted && Math.max(0, counted - REFERENCE_BASE);
      if (counted !== undefined && (counted < 0 || (references ?? 0) < usedBy.length))
        warnings.add(
          contradiction,
          `module ${name}: reference count ${counted - REFERENCE_BASE}, but ${usedBy.length} modules use it`,
        );
      const size = parts.reduce((sum, part) => sum + part.size, 0);
      if (text > size) warnings.add(contradiction, `module ${name}: ${text} bytes of code in ${size} bytes`);
      const bits = view.pointer('taints');
      if (tainted !== undefined && (bits & ~tainted) !== 0n)
        warnings.add(contradiction, `module ${name}: taints ${hex(bits)}, but tainted_mask is ${hex(tainted)}`);
      const taints = taintFlags(bits).map(({ letter }) => letter);
      modules.push({
        address,
        name,
        state: state ?? null,
        sizeBytes: size,
        textBytes: text,
        references: references ?? null,
        usedBy,
        taints,
      });
    } catch (error) {
      addError(warnings, `module ${name}`, error);
    }
  }
  return { modules };
}

/** Returns the test for memory of a module that is freed once it is live; from 6.4 on `mem[MOD_INIT_TEXT]` and two more. */
function initTest(kernel: Kernel): (module: bigint) => boolean {
  const paths = ['init_layout.base', 'mem[4].base', 'mem[5].base', 'mem[6].base'] as const;
  const readers = paths.flatMap((path) => {
    const reader = StructReader.ifPresent(kernel, 'module', [path]);
    return reader ? [(module: bigint) => reader.read(module).pointer(path)] : [];
  });
  return (module) => readers.length === 0 || readers.some((base) => base(module) !== 0n);
}

/** Parts of modules that share memory, in sentences. */
function overlaps(parts: readonly { readonly base: bigint; readonly size: number; readonly name: string }[]): string[] {
  const sorted = parts.filter(({ size }) => size > 0).toSorted((a, b) => (a.base < b.base ? -1 : 1));
  return sorted.flatMap(({ base, name }, index) => {
    const before = sorted[index - 1];
    if (!before || before.base + BigInt(before.size) <= base) return [];
    return [`modules ${before.name} and ${name} both have memory at ${hex(base)}`];
  });
}

type Areas = readonly VmArea[];

/** Returns the vmalloc areas by address; undefined: they could not be read, and a warning says so. */
function areasByAddress(kernel: Kernel, warnings: Warnings): Areas | undefined {
  try {
    return [...vmAreas(kernel)].sort((a, b) => (a.address < b.address ? -1 : 1));
  } catch (error) {
    addError(warnings, 'vmalloc areas, to compare sizes of modules', error);
    return undefined;
  }
}

/**
 * Returns the sizes of what the kernel allocated from huge pages for code, by address (`execmem_cache`, since 6.13);
 * undefined: there is no such cache, or it could not be read, and a warning says so.
 */
function areasOfCache(kernel: Kernel, warnings: Warnings): ReadonlyMap<bigint, number> | undefined {
  const cache = kernel.symbol('execmem_cache');
  const reader = StructReader.ifPresent(kernel, 'execmem_cache', ['busy_areas']);
  if (cache === undefined || !reader) return undefined;
  let isWhole = true;
  const lost = (error: unknown) => {
    isWhole = false;
    addError(warnings, 'memory of code in huge pages, to compare sizes of modules', error);
  };
  const sizes = new Map<bigint, number>();
  try {
    for (const { first, last } of new MapleTreeReader(kernel).entries(reader.addressOf(cache, 'busy_areas'), lost))
      sizes.set(first, Number(last + 1n - first));
  } catch (error) {
    lost(error);
  }
  return isWhole ? sizes : undefined;
}

/** Returns the contradiction between a part of a module and the vmalloc area that contains it. */
function misfit(
  { base, size }: { readonly base: bigint; readonly size: number },
  areas: Areas,
  shared: ReadonlyMap<bigint, number> | undefined,
  pageSize: number,
): string | undefined {
  if (size === 0) return base === 0n ? undefined : `a part at ${hex(base)} has no size`;
  let [low, high] = [0, areas.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (areas[middle]!.address <= base) low = middle + 1;
    else high = middle;
  }
  const area = areas[low - 1];
  const room = area === undefined ? 0 : Number(area.address - base) + area.bytes;
  if (area === undefined || room < size) return `${size} bytes at ${hex(base)} are in no vmalloc area of that size`;
  // An area of its own ends with a guard page. Since 6.13 several modules may share huge pages.
  const rounded = Math.ceil(size / pageSize) * pageSize;
  const isOwn = area.address === base && area.bytes <= 2 ** 21;
  if (!isOwn && shared !== undefined && shared.get(base) !== rounded)
    return `${size} bytes at ${hex(base)}, but execmem_cache has ${shared.get(base) ?? 'no area'} there`;
  if (!isOwn || room - rounded === pageSize) return undefined;
  return `${size} bytes at ${hex(base)}, but its vmalloc area has ${area.bytes} bytes`;
}
