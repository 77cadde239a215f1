import type { Evidence } from './evidence.js';
import { headsOf, ring } from './lists.js';
import { type Memory, numberOrNot, textOrNot, wordOrNot } from './reads.js';

/** `modules`: the head of the list whose nodes are all in a `struct module`. */
export function moduleList(evidence: Evidence): bigint | undefined {
  const { source } = evidence;
  const { info } = source;
  const layout = source.types.struct('module');
  const list = layout?.member('list');
  const name = layout?.member('name');
  const state = layout?.member('state');
  // Where they are without KASLR, and all else that KASLR can move them to.
  const start = info.number('MODULES_VADDR');
  const end = info.number('VMALLOC_END');
  if (!list || !name || !state || start === undefined || end === undefined) return undefined;
  return listHead(evidence, { start, end }, (memory, node) => {
    const module = node - BigInt(list.offset);
    const text = textOrNot(memory, module + BigInt(name.offset), name.size);
    const is = numberOrNot(memory, module + BigInt(state.offset));
    return text !== undefined && is !== undefined && is <= 3;
  });
}

/**
 * `btf_modules`: the head of the list whose nodes are all in a `struct btf_module` of a loaded module.
 *
 * @param modules address of the list of those
 */
export function moduleTypesList(
  evidence: Evidence,
  modules: bigint | undefined,
): bigint | undefined {
  const { source } = evidence;
  const { memory, directMap } = source;
  const layout = source.types.struct('btf_module');
  const list = layout?.member('list');
  const module = layout?.member('module');
  const link = source.types.struct('module')?.member('list');
  if (!list || !module || !link || modules === undefined || directMap === undefined)
    return undefined;
  const loaded = new Set(ring(memory, modules)?.map((node) => node - BigInt(link.offset)));
  const range = { start: directMap.address, end: directMap.address + BigInt(directMap.length) };
  return listHead(evidence, range, (from, node) => {
    const of = wordOrNot(from, node - BigInt(list.offset) + BigInt(module.offset));
    return of !== undefined && loaded.has(of);
  });
}

/** The one head in the image of a list whose nodes lie in a range and all pass a test. */
function listHead(
  evidence: Evidence,
  range: { readonly start: bigint; readonly end: bigint },
  isNode: (memory: Memory, node: bigint) => boolean,
): bigint | undefined {
  const { search } = evidence.source;
  const heads = headsOf(search, evidence.bytes, range, (node) => isNode(search, node));
  return evidence.only(
    heads,
    (memory, head) => ring(memory, head)?.every((node) => isNode(memory, node)) === true,
  );
}
