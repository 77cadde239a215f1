import { readAround } from '../image-scan.js';
import type { Evidence } from './evidence.js';
import { wordOrNot } from './reads.js';

/** Functions of `socket_file_ops` (net/socket.c), by its members. */
const SOCKET_OPERATIONS = {
  read_iter: 'sock_read_iter',
  write_iter: 'sock_write_iter',
  poll: 'sock_poll',
  mmap: 'sock_mmap',
  release: 'sock_close',
  fasync: 'sock_fasync',
} as const;

const MOST_PLACES = 64;

/** `socket_file_ops`: the one table of functions that holds all of the sockets'. */
export function socketOperations(evidence: Evidence): bigint | undefined {
  const { source } = evidence;
  const layout = source.types.struct('file_operations');
  if (layout === undefined) return undefined;
  const expected: { offset: number; address: bigint }[] = [];
  for (const [member, name] of Object.entries(SOCKET_OPERATIONS)) {
    const offset = layout.member(member)?.offset;
    const found = source.symbols.find(name);
    if (offset !== undefined && found.length === 1)
      expected.push({ offset, address: found[0]!.address });
  }
  const first = expected[0];
  if (first === undefined || expected.length < 4) return undefined;
  const tables = evidence.bytes
    .wordsEqual(first.address, MOST_PLACES)
    .map((at) => evidence.bytes.address(at - first.offset));
  const table = evidence.only(tables, (memory, at) =>
    expected.every(({ offset, address }) => wordOrNot(memory, at + BigInt(offset)) === address),
  );
  // The word that is searched for may lie in the next page.
  if (table !== undefined) readAround(source.memory, table + BigInt(first.offset));
  return table;
}
