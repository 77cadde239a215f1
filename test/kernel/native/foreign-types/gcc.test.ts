import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openTypesFile } from '../../../../src/kernel/native/foreign-types/open.js';
import { KernelTypes } from '../../../../src/kernel/native/types.js';
import { errorOf } from '../../../support/native-errors.js';
import { scratchFolder } from '../../../support/scratch.js';

const folder = scratchFolder('kdump-mem-dwarf-');

/** Members by path; the program prints where the compiler put each. */
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  'struct plain': ['first', 'second', 'third', 'text', 'self', 'call', 'deep', 'deep.inner'],
  'struct nested': ['tag', 'left', 'right', 'middle', 'grid', 'tail', 'named.x', 'named.y', 'ints'],
  'union either': ['word', 'bytes', 'parts', 'parts.low', 'parts.high'],
  'struct packed': ['a', 'b', 'c'],
  'struct bits': ['before', 'after'],
};
const BITS = ['one', 'three', 'wide', 'far', 'last'];

const DECLARATIONS = `
#include <stddef.h>
struct unknown;
typedef unsigned int u32;
typedef struct { int inner; long other; } deep_t;
struct plain {
  char first; long second; volatile u32 third; const char text[16];
  struct plain *self; int (*call)(struct plain *, struct unknown *); deep_t deep;
};
struct nested {
  int tag;
  union { struct { int left, right; }; long middle; };
  short grid[3][5];
  struct { int x, y; } named;
  int ints[7];
  struct plain *tail[];
};
union either { unsigned long word; unsigned char bytes[8]; struct { u32 low, high; } parts; };
struct __attribute__((packed)) packed { char a; long b; short c; };
struct bits {
  char before; unsigned one:1, three:3; unsigned long wide:33; int far:17; _Bool last:1; char after;
};
enum small { NONE, SOME = 5, LESS = -1 };
enum large { HUGE_ONE = 0x8000000000000000UL, ONE = 1 };
`;

/** Locates a bitfield by the bits that change. */
const PROGRAM = `
#include <stdio.h>
#include <string.h>
#include "types.h"
struct plain plain; struct nested nested; union either either; struct packed packed; struct bits bits;
enum small small; enum large large;
int main(void) {
  printf("[");
${Object.entries(MEMBERS)
  .map(([type, members]) =>
    [
      `printf("[\\"${type}\\",\\"\\",0,%zu],", sizeof(${type}));`,
      ...members.map(
        (path) =>
          `printf("[\\"${type}\\",\\"${path}\\",%zu,%zu],", offsetof(${type}, ${path}), ${path === 'tail' ? '(size_t)0' : `sizeof(((${type} *)0)->${path})`});`,
      ),
    ].join('\n'),
  )
  .join('\n')}
${BITS.map(
  (name) => `{ struct bits b; unsigned char *p = (void *)&b; int from = -1, n = 0;
  memset(&b, 0, sizeof b); b.${name} = -1;
  for (unsigned i = 0; i < sizeof b * 8; i++) if (p[i / 8] >> (i % 8) & 1) { if (from < 0) from = i; n++; }
  printf("[\\"bits\\",\\"${name}\\",%d,%d],", from, n); }`,
).join('\n')}
  printf("[]]\\n");
  return 0;
}
`;

const gcc = (() => {
  try {
    execFileSync('gcc', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

writeFileSync(join(folder, 'types.h'), DECLARATIONS);
writeFileSync(join(folder, 'main.c'), PROGRAM);
writeFileSync(
  join(folder, 'other.c'),
  '#include "types.h"\nstruct plain other; struct clash { long pad; int at; } clash;\n',
);
writeFileSync(
  join(folder, 'third.c'),
  'struct clash { int at; int size; long more; } third; struct same { int x; } same;\n',
);

function compile(...options: string[]): string {
  const out = join(folder, `out${options.join('')}`);
  const files = ['main.c', 'other.c', 'third.c'].map((name) => join(folder, name));
  const { status, stderr } = spawnSync('gcc', [...options, '-w', '-o', out, ...files], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return out;
}

const FORMS = [
  '-gdwarf-2',
  '-gdwarf-3',
  '-gdwarf-4',
  '-gdwarf-5',
  '-gdwarf-5 -O2 -flto',
  '-gdwarf-4 -gz=zlib',
  '-gdwarf-5 -gz=zlib',
  '-gdwarf-4 -gz=zlib-gnu',
  '-gdwarf-5 -gdwarf64',
  '-gdwarf-5 -gstrict-dwarf',
];

it.skipIf(!gcc).each(FORMS)(
  'reads the same type layouts as gcc from a program: %s (skipped without gcc)',
  (options) => {
    const program = compile(...options.split(' '));
    const placed: [string, string, number, number][] = JSON.parse(execFileSync(program, { encoding: 'utf8' }));
    const types = new KernelTypes(openTypesFile(program).load(), () => []);
    for (const [type, path, offset, size] of placed.filter(({ length }) => length > 0)) {
      const layout = types.struct(type === 'bits' ? 'bits' : type.replace(/^\w+ /, ''))!;
      const member = layout.member(path);
      const found =
        type === 'bits'
          ? [path, member!.offset * 8 + member!.bits!.offset, member!.bits!.size]
          : path === ''
            ? [path, 0, layout.size]
            : [path, member?.offset, member?.size];
      expect([type, ...found]).toEqual([type, path, offset, size]);
    }
    expect(types.struct('plain')?.member('self')).toMatchObject({ type: 'plain', pointer: true });
    expect(types.struct('nested')?.member('grid[2][4]')?.offset).toBe(
      types.struct('nested')!.member('grid')!.offset + 14 * 2,
    );
    expect(types.describe('plain').map(({ spelling }) => spelling)).toEqual(['struct plain']);
    const [plain] = types.describe('plain');
    const members = plain?.kind === 'struct' ? plain.members() : [];
    expect(members.map(({ declaration }) => declaration)).toContain('int (*call)(struct plain *, struct unknown *)');
    expect([...types.enumerators('small')!]).toEqual([
      ['NONE', 0n],
      ['SOME', 5n],
      ['LESS', -1n],
    ]);
    expect(types.enumerators('large')?.get('HUGE_ONE')).toBe(1n << 63n);
  },
);

it.skipIf(!gcc)('refuses two different structs of one name, as in BTF (skipped without gcc)', () => {
  const types = new KernelTypes(openTypesFile(compile('-gdwarf-5', '-O1')).load(), () => []);
  expect(types.struct('same')?.size).toBe(4);
  const clash = types.struct('clash')!;
  expect(errorOf(() => clash.member('at'))).toMatchObject({ code: 'unsupported-layout' });
});
