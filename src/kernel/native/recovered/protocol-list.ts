import type { Evidence } from './evidence.js';
import { ring } from './lists.js';
import { numberOrNot, only, textOrNot } from './reads.js';

/** `proto_list`: the head of the ring that `tcp_prot.node` is in: the one node that is in no `struct proto`. */
export function protocolList(evidence: Evidence): bigint | undefined {
  const { source } = evidence;
  const tcp = evidence.exported.get('tcp_prot');
  const layout = source.types.struct('proto');
  const node = layout?.member('node');
  const name = layout?.member('name');
  const size = layout?.member('obj_size');
  if (tcp === undefined || !node || !name || !size) return undefined;
  const { memory } = source;
  const start = tcp + BigInt(node.offset);
  const nodes = ring(memory, start);
  const heads = nodes?.filter((at) => {
    const proto = at - BigInt(node.offset);
    const text = textOrNot(memory, proto + BigInt(name.offset), name.size);
    const bytes = numberOrNot(memory, proto + BigInt(size.offset));
    return text === undefined || bytes === undefined || bytes === 0 || bytes > 65_536;
  });
  return heads && only(heads);
}
