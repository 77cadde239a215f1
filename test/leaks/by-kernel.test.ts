import { describe, expect, test } from 'vitest';
import { ReadError } from '../../src/base/errors.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import { Pointer } from '../../src/kernel/pointer.js';
import { lookupByKernel } from '../../src/leaks/survivors/by-kernel.js';
import { kernelWith } from '../support/damaged-kernel.js';
import { FIXTURES } from '../support/fixtures.js';
import { littleEndian } from '../support/little-endian.js';
import { fixtureKernel, fullestQueue } from '../support/opened-kernel.js';
import { survivor } from './made-recording.js';

/** An address that no kernel maps. */
const NOWHERE = 0xffff_ffff_ffff_0000n;
/** IORESOURCE_MEM and IORESOURCE_SYSRAM. */
const SYSTEM_RAM = 0x0100_0200n;
const PAGE = 4096n;

/** Fixtures have no resource tree: this one is synthetic, and only these frames are RAM. */
function withRam(kernel: Kernel, frames: readonly number[]): Kernel {
  const type = kernel.struct('resource')!;
  const root = kernel.symbol('iomem_resource')!;
  const resource = (fields: Readonly<Record<string, bigint>>) => {
    const bytes = new Uint8Array(type.size);
    for (const [name, value] of Object.entries(fields)) bytes.set(littleEndian(value, 8), type.member(name)!.offset);
    return bytes;
  };
  const size = BigInt(type.size);
  const all = [...new Set(frames)].toSorted((one, other) => one - other).map(BigInt);
  const made = all.map((frame, at) => {
    const sibling = at + 1 < all.length ? NOWHERE + BigInt(at + 1) * size : 0n;
    const [start, end] = [frame * PAGE, (frame + 1n) * PAGE - 1n];
    return [NOWHERE + BigInt(at) * size, resource({ parent: root, sibling, start, end, flags: SYSTEM_RAM })] as const;
  });
  const parts = [[root, resource({ child: NOWHERE, end: 2n ** 46n })] as const, ...made];
  const read = (address: bigint, length: number): DataView => {
    for (const [start, bytes] of parts)
      if (address >= start && address + BigInt(length) <= start + size)
        return new DataView(bytes.buffer, Number(address - start), length);
    return kernel.read(address, length);
  };
  return kernelWith(kernel, { read });
}

// Kernels of arm64 describe RAM by memblock.
describe.each(FIXTURES.filter((name) => !name.includes('arm64')))('lookup in %s', (name) => {
  const dump = fixtureKernel(name);
  const { kernel } = dump;

  const { full, skbs } = fullestQueue(dump);
  const frameOf = (address: bigint) => kernel.pages.frameOf(new Pointer().set(address));
  const bytes = kernel.struct('sk_buff')!.size;
  const objects = skbs.map((place) => survivor('s', { place, bytes, order: null }));
  const sock = survivor('s', { place: BigInt(full.sock!), bytes: 64, order: null });

  test('finds packets of a socket as held by it, and the socket as held by its processes', () => {
    const parts: number[] = [];
    const ram = withRam(kernel, [...skbs, sock.place].map(frameOf));
    const lookup = lookupByKernel(ram, 'slab', [...objects, sock], (part) => parts.push(part));
    expect([lookup.source, lookup.unavailable]).toEqual(['kcore', []]);
    const found = objects.map((one) => lookup.of(one));
    expect(found.map(({ place }) => place)).toEqual(skbs.map(() => 'socket'));
    // drgn lists the holders of the socket.
    const holders = full.holders.map(({ pid, fd }) => [pid, fd]);
    for (const { socket } of found) expect(socket?.holders.map(({ pid, fd }) => [pid, fd])).toEqual(holders);
    expect(lookup.of(sock).place).not.toBe('socket');
    expect(parts.length).toBeGreaterThan(0);
    expect(parts.every((part) => part >= 0 && part <= 1)).toBe(true);
    // A fixture lacks part of the memory: its incomplete account makes the lookup doubtful.
    expect(lookup.warnings.join(' ')).toMatch(/cannot be read|was filtered out of the dump/);
  });

  test('does not mistake packets for pages', () => {
    const ram = withRam(kernel, skbs.map(frameOf));
    const lookup = lookupByKernel(ram, 'page', [], () => {});
    expect(lookup.of(survivor('s', { place: 5n, order: 0 }))).toMatchObject({ place: 'unknown', why: 'no-such-frame' });
  });

  test('refuses a lookup if RAM is unknown', () => {
    expect(() => lookupByKernel(kernel, 'slab', objects, () => {})).toThrow(ReadError);
  });
});
