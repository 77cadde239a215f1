import fc from 'fast-check';
import { expect, test } from 'vitest';
import { UnixNames } from '../../../src/capture/write/sockets.js';
import { UnixScan } from '../../../src/host/ss/unix.js';

const SKMEM = 'skmem:(r1280,rb131072,t0,tb16384,f0,w0,o0,bl0,d0) <->';

function scanned(text: string) {
  const scan = new UnixScan(1);
  scan.push(Buffer.from(text, 'latin1'));
  const { sockets, ...rest } = scan.end();
  return { ...rest, sockets: sockets.map(({ inode, peerInode, recvQ }) => [inode, peerInode, recvQ]) };
}

function nameless(text: string): string {
  let out = '';
  const names = new UnixNames((line) => {
    out += line;
  });
  names.push(Buffer.from(text, 'latin1'));
  names.end();
  return out;
}

/**
 * Hostile names: blanks, line breaks, numbers, imitated rows and row ends. A name of tabs only
 * cannot be read unchanged, but after its removal.
 */
const words = fc.constantFrom(
  '/run/a.sock',
  '@abstract',
  '5',
  '*',
  '**',
  '\n',
  ' ',
  '  ',
  '77',
  '<->',
  'ino:5',
  SKMEM,
  'u_str ESTAB 5 0 * 9 * 8',
  'Netid State',
  'é',
  '\u0001',
);
const name = fc.oneof(
  fc.constant('*'),
  fc.array(words, { minLength: 1, maxLength: 6 }).map((all) => all.join('')),
);

test('removes all names, and yields the same rows', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(name, name), { maxLength: 5 }), (names) => {
      const text = names
        .map(
          ([local, peer], index) => `u_str ESTAB 7 0 ${local} ${100 + 2 * index} ${peer} ${101 + 2 * index} ${SKMEM}\n`,
        )
        .join('');
      const [now, before] = [scanned(nameless(text)), scanned(text)];
      // Before the removal, a part of a name that imitates the heading is skipped as a heading.
      expect(now.unreadable).toBeGreaterThanOrEqual(before.unreadable);
      expect({ ...now, unreadable: 0 }).toEqual({ ...before, unreadable: 0 });
      expect(nameless(text)).not.toMatch(/a\.sock|abstract|é/);
    }),
    { numRuns: 2000 },
  );
});

test('accepts pieces that are split anywhere', () => {
  const text = `u_str ESTAB 7 0 /run/a.sock 100 * 101 ${SKMEM}\n`.repeat(3);
  let out = '';
  const names = new UnixNames((line) => {
    out += line;
  });
  for (const byte of Buffer.from(text)) names.push(Buffer.from([byte]));
  names.end();
  expect(out).toBe(nameless(text));
  expect(out).toContain('u_str ESTAB 7 0 (left-out) 100 * 101 skmem:');
});
