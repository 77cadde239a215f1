import { describe, expect, test } from 'vitest';
import { instanceSchema, type Value } from '../../src/contracts/struct.js';
import { drgnJson } from '../support/drgn.js';
import { kdumpMem } from '../support/in-process.js';
import { kernelOf, type LabDumpName, labDump } from '../support/lab.js';

/** Every leaf of a value by its path, as test/real/struct-values.py names them. */
function flatten(value: Value, path: string, into: Map<string, unknown>): void {
  switch (value.kind) {
    case 'struct':
    case 'union':
      for (const { name, value: inner } of value.members) {
        flatten(inner, name === '' ? path : path === '' ? name : `${path}.${name}`, into);
      }
      return;
    case 'array':
      value.elements.forEach((element, index) => {
        flatten(element, `${path}[${index}]`, into);
      });
      return;
    case 'text':
      into.set(path, { text: Buffer.from(value.text, 'utf8').toString('hex') });
      return;
    case 'int':
    case 'enum':
    case 'pointer':
      into.set(path, String(value.value));
      return;
    default:
      into.set(path, value.kind);
  }
}

/** Compares `struct TYPE ADDRESS` of a dump with drgn. */
export function structInstancesSuite(name: LabDumpName): void {
  const version = kernelOf(name);
  describe(`instances compared with drgn, ${name}`, () => {
    test('every value of tasks, sockets, files, protocols and pages', async () => {
      const dump = labDump(name);
      const sockets = dump.oracle.sockets.filter(({ protocol }) => protocol === 'TCP').slice(0, 4);
      const instances = [
        ['struct task_struct', 'init_task'],
        ['struct proto', 'tcp_prot'],
        ['struct net', 'init_net'],
        ['struct uts_namespace', 'init_uts_ns'],
        ['struct mm_struct', 'init_mm'],
        ...sockets.flatMap(({ sock, file, socket }) => [
          ['struct tcp_sock', sock],
          ['struct file', file],
          ['struct socket', socket],
        ]),
        ['struct page', dump.oracle.sockets.flatMap(({ pages }) => Object.values(pages).flat())[0]!.page],
      ] as [string, string][];
      const script = new URL('./struct-values.py', import.meta.url);
      const truth = drgnJson<{ address: string; values: Record<string, unknown> }[]>(
        dump.elf,
        version,
        script,
        ...instances.flat(),
      );
      let compared = 0;
      for (const [index, [type, place]] of instances.entries()) {
        // A symbol table with functions only lacks some of these.
        const at = version === '6.1-arm64' ? truth[index]!.address : place;
        const { stdout, stderr, status } = await kdumpMem(
          'struct',
          type,
          at,
          '--vmcore',
          dump.kdumpZlib,
          '--elements',
          '16',
          '--json',
        );
        expect({ stderr, status }, type).toEqual({ stderr: '', status: 0 });
        const answer = instanceSchema.parse(JSON.parse(stdout));
        expect(answer.address).toBe(BigInt(truth[index]!.address));
        const ours = new Map<string, unknown>();
        flatten(answer.value!, '', ours);
        for (const [path, value] of Object.entries(truth[index]!.values)) {
          expect(ours.get(path), `${type} at ${place}: ${path}`).toEqual(value);
          compared++;
        }
      }
      expect(compared).toBeGreaterThan(1000);
    });
  });
}
