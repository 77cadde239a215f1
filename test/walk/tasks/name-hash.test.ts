import { expect, test } from 'vitest';
import { isNameHash, nameHash } from '../../../src/walk/tasks/cgroup.js';

const bytes = (name: string) => new TextEncoder().encode(name);

// kernfs_node.hash of cgroups in a 6.1 guest, read with drgn.
test.each([
  ['deep', 1564918518],
  ['lives', 63537893],
])('matches the hash of %s to its kernfs node and to no other name', (name, hash) => {
  expect(isNameHash(hash, bytes(name))).toBe(true);
  expect(isNameHash(hash ^ 1, bytes(name))).toBe(false);
  expect(isNameHash(hash, bytes(`${name}x`))).toBe(false);
});

test("computes the kernel's hash for any name", () => {
  const name = Buffer.from('g00000001');
  expect(isNameHash(nameHash(name), name)).toBe(true);
  expect(isNameHash(nameHash(name), Buffer.from('g00000002'))).toBe(false);
});
