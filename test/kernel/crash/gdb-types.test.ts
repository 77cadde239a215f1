import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findMember, memberNames, parseEnum, parsePtype, parseWhatis } from '../../../src/kernel/crash/gdb-types.js';

// Output of gdb 16 in crash 9.0.2.
const PLACED = `/* offset      |    size */  type = struct sk_buff {
/*      0      |      24 */    union {
/*                    24 */        struct {
/*      0      |       8 */            struct sk_buff *next;
/*      8      |       8 */            struct sk_buff *prev;

                                       /* total size (bytes):   24 */
                                   };
/*                    24 */        struct rb_node {
/*      0      |       8 */            unsigned long __rb_parent_color;

                                       /* total size (bytes):   24 */
                                   } rbnode;

                                   /* total size (bytes):   24 */
                               };
/*     40      |      48 */    char cb[48];
/*     96      |       8 */    void (*destructor)(struct sk_buff *);
/*    126: 2   |       1 */    __u8 fclone : 2;
/* XXX  4-bit hole       */
/*    129: 7   |       4 */    unsigned int wide : 9;

                               /* total size (bytes):  232 */
                             }
`;

describe('ptype', () => {
  const members = parsePtype(PLACED) ?? [];

  test('names members, including those of anonymous structs and unions', () => {
    expect(memberNames(members)).toEqual(['next', 'prev', 'rbnode', 'cb', 'destructor', 'fclone', 'wide']);
  });

  test('distinguishes arrays, pointers and types', () => {
    expect(findMember(members, 'cb')).toMatchObject({ count: 48, type: 'char', pointer: false });
    expect(findMember(members, 'next')).toMatchObject({ type: 'sk_buff', pointer: true });
    expect(findMember(members, 'destructor')).toMatchObject({ type: '', pointer: true });
    expect(findMember(members, 'rbnode')?.members).toHaveLength(1);
  });

  test('locates bitfields', () => {
    expect(findMember(members, 'fclone')).toMatchObject({ width: 2, at: { byte: 126, bit: 2 } });
    expect(findMember(members, 'wide')).toMatchObject({ width: 9, at: { byte: 129, bit: 7 } });
  });

  test.each(['', 'gdb: gdb request failed: ptype struct nosuch', 'type = int', 'type = struct x {'])(
    'returns undefined for %j',
    (text) => expect(parsePtype(text)).toBeUndefined(),
  );

  test('reads any text without throwing', () => {
    const piece = fc.constantFrom('type = struct a {', '}', '} b;', 'int x : 3;', '/* 1: 2 | 3 */', '\n');
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string())), (pieces) => {
        parsePtype(pieces.join(''));
        parseEnum(pieces.join(''));
        parseWhatis(pieces.join(''));
      }),
    );
  });
});

test('continues an enum from its last value', () => {
  const values = parseEnum('type = enum pageflags {PG_a, PG_b, PG_c = 18, PG_d, PG_e = -1, PG_f}');
  expect([...(values ?? [])]).toEqual([
    ['PG_a', 0n],
    ['PG_b', 1n],
    ['PG_c', 18n],
    ['PG_d', 19n],
    ['PG_e', -1n],
    ['PG_f', 0n],
  ]);
});

test.each([
  ['type = struct list_head', { type: 'list_head', pointer: false, aggregate: true }],
  ['type = char [16]', { type: 'char', pointer: false, count: 16, aggregate: false }],
  ['type = struct files_struct *', { type: 'files_struct', pointer: true, aggregate: true }],
  ['type = struct {...}', { type: '', pointer: false, aggregate: true }],
  ['type = struct sockaddr_un []', { type: 'sockaddr_un', pointer: false, count: 0, aggregate: true }],
  ['type = void (*)(struct sk_buff *)', { type: '', pointer: true, aggregate: true }],
  ['type = u16 [2][3]', { type: 'u16', pointer: false, count: 6, aggregate: false }],
])('whatis: %s', (text, expected) => expect(parseWhatis(text)).toEqual(expected));
