import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { KernelError } from '../../../../src/base/errors.js';
import { openImage } from '../../../../src/kernel/native/image/open.js';
import { vmcoreinfoNote, writeElf } from '../../../support/dump/elf.js';
import { DumpDirectory, pageOf } from '../../../support/dump/file.js';

const directory = new DumpDirectory();
afterAll(() => directory.dispose());
const core = writeElf({ loads: [{ physical: 0n, data: pageOf(1) }], notes: [vmcoreinfoNote('OSRELEASE=x\n')] });

function refusal(...files: string[]): KernelError {
  try {
    openImage(files).close();
  } catch (error) {
    if (error instanceof KernelError) return error;
    throw error;
  }
  throw new Error('it opened');
}

function bytes(text: string, size = 8192): Buffer {
  const whole = Buffer.alloc(size, 0x55);
  whole.write(text, 0, 'latin1');
  return whole;
}

/** Magic, version 3, a configuration section (QEMU's migration/savevm.c). */
const qemuStream = Buffer.concat([
  Buffer.from('QEVM\0\0\0\x03\x07\0\0\0\x0epc-i440fx-10.0', 'latin1'),
  Buffer.alloc(4096, 1),
]);

/** A virQEMUSaveHeader of 92 bytes, the guest's XML, and the stream. */
function libvirtSave(state: 'Save' | 'Part'): Buffer {
  const xml = Buffer.from("<domain type='kvm'><name>guest</name></domain>\0");
  const header = Buffer.alloc(92);
  header.write(`LibvirtQemud${state}`, 0, 'latin1');
  header.writeUInt32LE(2, 16);
  header.writeUInt32LE(xml.length, 20);
  header.writeUInt32LE(1, 24);
  return Buffer.concat([header, xml, qemuStream]);
}

describe('names a file that is not a dump:', () => {
  it.each([
    ['gzip', gzipSync(core), 'unsupported-format', /: compressed with gzip\n/],
    ['xz', bytes('\xfd7zXZ\0'), 'unsupported-format', /: compressed with xz\n/],
    ['zstd', bytes('\x28\xb5\x2f\xfd'), 'unsupported-format', /: compressed with zstd\n/],
    ['lz4', bytes('\x04\x22\x4d\x18'), 'unsupported-format', /: compressed with lz4\n/],
    ['bzip2', bytes('BZh91AY'), 'unsupported-format', /: compressed with bzip2\n/],
    ['zip', bytes('PK\x03\x04'), 'unsupported-format', /: zip archive\n/],
    ['qcow2', bytes('QFI\xfb'), 'unsupported-format', /qcow2/],
    ['virsh dump', qemuStream, 'unsupported-format', /QEMU migration stream[^)]*\)\n.*--memory-only/],
    ['virsh save', libvirtSave('Save'), 'unsupported-format', /guest state of virsh save\)\n.*--memory-only/],
    ['virsh save, truncated', libvirtSave('Part'), 'unsupported-format', /incomplete guest state/],
    ['vmss', bytes('\xd2\xbe\xd2\xbe'), 'unsupported-format', /vmss2core/],
    ['diskdump', bytes('DISKDUMP'), 'unsupported-format', /diskdump/],
    ['lkcd', bytes('\xed\x23\x8f\x61\x73\x01\x19\xa8'), 'unsupported-format', /LKCD/],
    ['windows', bytes('PAGEDU64'), 'unsupported-format', /Windows/],
    ['btf', bytes('\x9f\xeb\x01\0'), 'not-a-dump', /BTF/],
    ['text', bytes('[    0.000000] Linux version 6.1'), 'not-a-dump', /unknown format/],
    ['zeros', Buffer.alloc(100_000), 'damaged', /zeros/],
    ['empty', Buffer.alloc(0), 'truncated', /empty/],
  ])('%s', (name, content, code, message) => {
    const error = refusal(directory.write(name, content));
    expect(error.code).toBe(code);
    expect(`${error.message}\n${error.next ?? ''}`).toMatch(message);
    expect(error.message).toContain(join(directory.path, name));
    expect(error.message).not.toContain('\n');
  });

  it('refuses the first bytes of a dump, however few', () => {
    for (const start of ['no dump at all, but text', 'makedumpfile\0\0\0\0', 'KDUMP   ', '\x7fELF\x02']) {
      for (let length = 0; length <= start.length; length++) {
        const file = directory.write('short', bytes(start, Math.max(length, start.length)).subarray(0, length));
        expect(refusal(file), `${length} bytes of ${start}`).toBeInstanceOf(KernelError);
      }
    }
  });

  it('refuses a process core and a Xen dump', () => {
    const auxv = { name: 'CORE', type: 6, data: new Uint8Array(16) };
    const xen = { name: 'Xen', type: 0x1000001, data: new Uint8Array(16) };
    const loads = [{ physical: 0n, data: pageOf(1) }];
    const process = directory.write('core', writeElf({ loads, notes: [auxv] }));
    expect(refusal(process)).toMatchObject({ code: 'not-a-dump' });
    const host = directory.write('xen', writeElf({ loads, notes: [xen] }));
    expect(refusal(host)).toMatchObject({ code: 'unsupported-format' });
  });

  it('reports a missing file', () => {
    expect(refusal(join(directory.path, 'missing'))).toMatchObject({ code: 'no-such-file' });
    expect(refusal()).toMatchObject({ code: 'no-such-file' });
  });
});

describe('opens the dump in a directory', () => {
  let count = 0;
  const made = (files: Readonly<Record<string, Uint8Array | string>>) => {
    const path = `crash${count++}`;
    mkdirSync(join(directory.path, path));
    for (const [name, content] of Object.entries(files)) {
      directory.write(join(path, name), content);
    }
    return join(directory.path, path);
  };

  it.each([
    ['RHEL', { vmcore: core, 'vmcore-dmesg.txt': 'x', 'kexec-dmesg.log': 'x' }, 'vmcore'],
    ['Debian', { 'dump.202611200412': core, 'dmesg.202611200412': 'x' }, 'dump.202611200412'],
    ['a copy next to the dump', { vmcore: core, 'vmcore.flat': 'x' }, 'vmcore'],
    ['another name', { '6.1.vmcore': core, 'vmcore.txt': 'x', 'vmcore.log': 'x' }, '6.1.vmcore'],
  ])('in the layout of %s', (_, files, name) => {
    const path = made(files);
    const image = openImage([path]);
    expect(image.facts.files).toEqual([join(path, name)]);
    image.close();
  });

  it('one level below', () => {
    const path = made({ 'kexec.log': 'x' });
    mkdirSync(join(path, '202611200412'));
    directory.write(join(path.slice(directory.path.length), '202611200412', 'vmcore'), core);
    const image = openImage([path]);
    expect(image.facts.files).toEqual([join(path, '202611200412', 'vmcore')]);
    image.close();
  });

  it('or names several dumps, or reports that there is none', () => {
    const several = refusal(made({ 'dump.202611200412': core, 'dump.202611210500': core }));
    expect(several.message).toMatch(/dump\.202611200412, .*dump\.202611210500/);
    expect(refusal(made({ 'dmesg.txt': 'x' }))).toMatchObject({ code: 'no-such-file' });
  });
});

it('reads an ELF core with any changed headers, or ends in a typed error', () => {
  const file = (content: Uint8Array) => directory.write('mutated', content);
  const place = fc.integer({ min: 4, max: 300 });
  const value = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(fc.array(fc.tuple(place, value), { minLength: 1, maxLength: 8 }), (changes) => {
      const content = Buffer.from(core);
      for (const [at, byte] of changes) content[at] = byte;
      const path = file(content);
      let image: ReturnType<typeof openImage>;
      try {
        image = openImage([path]);
      } catch (error) {
        expect(error).toBeInstanceOf(KernelError);
        return;
      }
      for (const address of [0, 4090, 2 ** 40]) {
        try {
          image.readPhysical(address, 64);
        } catch (error) {
          expect(error).toHaveProperty('name', 'ReadError');
        }
      }
      for (const { address } of image.virtualRanges) {
        try {
          image.readVirtual(address, 64);
        } catch (error) {
          expect(error).toHaveProperty('name', 'ReadError');
        }
      }
      expect([...image.facts.physicalRanges].length).toBeLessThan(10);
      image.close();
    }),
    { numRuns: 500 },
  );
});
