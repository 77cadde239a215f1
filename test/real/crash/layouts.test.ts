import { describe, expect, test } from 'vitest';
import { openCrash } from '../../../src/kernel/crash/open.js';
import type { MemberLayout } from '../../../src/kernel/layout.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { labDump, labKernel, labTool, ofRun } from '../../support/lab.js';

/** Types that the socket walks need, and unusual ones: bitfields of all sorts, unions, typedefs. */
const STRUCTS = [
  'sk_buff',
  'sock',
  'sock_common',
  'tcp_sock',
  'inet_sock',
  'unix_sock',
  'skb_shared_info',
  'inet_connection_sock',
  'proto',
  'proto_ops',
  'net',
  'sk_psock',
  'sk_msg',
  'tls_context',
  'task_struct',
  'signal_struct',
  'file',
  'inode',
  'page',
  'kmem_cache',
  'zone',
  'device',
  'atomic_t',
  'skb_frag_t',
  'refcount_struct',
  'spinlock_t',
  'in6_addr',
  'rb_node',
];
const ENUMS = ['pageflags', 'zone_type', 'sock_flags', 'task_struct', 'no_such_enum'];

/**
 * The part that determines which bits are read. Names of base types differ in spelling, and are
 * left out.
 */
function place(member: MemberLayout | undefined) {
  if (!member) return undefined;
  const { offset, size, bits, count } = member;
  return bits ? { bit: offset * 8 + bits.offset, width: bits.size } : { bit: offset * 8, size, count };
}

// crash does not open the newest kernel.
describe.each(ofRun(['5.10', '6.1', '6.12'] as const))('layouts of %s through crash', (version) => {
  test('match the kernel’s own types, member by member', () => {
    const { elf } = labDump(version);
    const { vmlinux } = labKernel(version);
    const native = openNative({ files: [elf] });
    const crash = openCrash({ vmcore: elf, vmlinux, crash: labTool('crash') });
    let members = 0;
    let bitfields = 0;
    try {
      for (const name of STRUCTS) {
        const expected = native.struct(name);
        const layout = crash.struct(name);
        expect(layout?.size, name).toBe(expected?.size);
        for (const path of expected?.members ?? []) {
          const member = expected?.member(path);
          members++;
          if (member?.bits) bitfields++;
          const found = (): unknown => place(layout?.member(path));
          if (name === 'task_struct' && version === '6.12' && member?.bits) {
            // gdb treats the type as dynamic and reports no offsets: no answer, then.
            expect(found, path).toThrow('no offset of bit field');
          } else {
            expect(found(), `${name}.${path}`).toEqual(place(member));
          }
        }
        expect(layout?.member('no_such_member'), name).toBeUndefined();
      }
      for (const name of ENUMS) {
        expect(crash.enumerators(name), name).toEqual(native.enumerators(name));
      }
      // A function of many source files, a keyword of each gdb parser, a missing tag.
      for (const name of ['compound_order', 'integer', 'mut', 'no_such_struct']) {
        expect(crash.struct(name), name).toBeUndefined();
      }
    } finally {
      crash.close();
      native.close();
    }
    expect(members).toBeGreaterThan(900);
    expect(bitfields).toBeGreaterThan(60);
  });
});
