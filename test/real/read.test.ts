import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type ReadJson, readSchema } from '../../src/answers/read/schema.js';
import { commandPath } from '../support/cli.js';
import { drgnJson } from '../support/drgn.js';
import { kdumpMem } from '../support/in-process.js';
import { KERNELS, labDump, labKdump, labKernel, labTool } from '../support/lab.js';

const SCRIPT = new URL('./read.py', import.meta.url);
const PAGE = 4096;

async function readJson(...args: readonly string[]): Promise<ReadJson> {
  const { stdout } = await kdumpMem('read', ...args, '--json');
  return readSchema.parse(JSON.parse(stdout));
}

/** The bytes of an answer without holes, in hex. */
function bytesOf(answer: ReadJson): string {
  return answer.pieces.map((piece) => ('bytes' in piece ? piece.bytes : '?')).join('');
}

function raw(...args: readonly string[]): Buffer {
  const options = { maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'pipe'] } as const;
  return execFileSync(process.execPath, [commandPath('kdump-mem'), 'read', ...args, '--raw'], {
    ...options,
    stdio: [...options.stdio],
  });
}

describe.each(KERNELS)('read compared with drgn, %s', (version) => {
  test('symbols, the direct map, vmalloc and physical memory', async () => {
    const dump = labDump(version);
    const socket = dump.oracle.sockets[0]!;
    const requests: { args: string[]; length: number; space: 'v' | 'p' }[] = [
      { args: ['linux_banner'], length: 200, space: 'v' },
      { args: ['init_task+0x10'], length: 5000, space: 'v' },
      { args: ['tcp_prot+16'], length: 64, space: 'v' },
      { args: [socket.sock], length: 2048, space: 'v' },
      { args: [socket.file.slice(2)], length: 300, space: 'v' },
      { args: ['--phys', '0x100000'], length: 100_000, space: 'p' },
      { args: ['--phys', '1000ff1'], length: 33, space: 'p' },
    ];
    const answers: ReadJson[] = [];
    for (const { args, length } of requests) {
      answers.push(await readJson(...args, '--length', String(length), '--vmcore', dump.kdumpZlib));
    }
    const truth = drgnJson<(string | null)[]>(
      dump.elf,
      version,
      SCRIPT,
      ...answers.map(({ address, length }, index) => [requests[index]!.space, address, length.toString(16)].join(':')),
    );
    expect(answers.map(bytesOf)).toEqual(truth);
    expect(answers.every(({ complete }) => complete)).toBe(true);
    expect(bytesOf(answers[0]!)).toContain(Buffer.from(`Linux version ${dump.truth.release}`).toString('hex'));
  });
});

describe('read, as a command', () => {
  const { elf, kdumpZlib } = labDump('6.1');
  const { vmlinux, systemMap } = labKernel('6.1');

  test('its hex equals hexdump -C of its raw bytes, except for the address', async () => {
    const place = ['init_task', '--length', '9001', '--vmcore', kdumpZlib];
    const bytes = raw(...place);
    expect(bytes.length).toBe(9001);
    const theirs = execFileSync('hexdump', ['-C'], { input: bytes }).toString();
    const { stdout } = await kdumpMem('read', ...place);
    const start = BigInt(`0x${stdout.slice(0, 16)}`);
    const moved = theirs.replace(/^[0-9a-f]{8}/gm, (offset) =>
      (start + BigInt(`0x${offset}`)).toString(16).padStart(16, '0'),
    );
    expect(stdout).toBe(moved);
  });

  test('crash, as engine and on its own, reads the same bytes', async () => {
    const said = execFileSync(labTool('crash'), ['-s', vmlinux, elf], {
      input: 'rd -64 tcp_prot 32\nquit\n',
    }).toString();
    const words = [...said.matchAll(/^ *[0-9a-f]{16}: {2}([0-9a-f]{16}) ([0-9a-f]{16}) /gm)];
    expect(words.length).toBe(16);
    const theirs = words
      .flatMap(([, first = '', second = '']) => [first, second])
      .map((word) => Buffer.from(word, 'hex').reverse().toString('hex'))
      .join('');
    const native = await readJson('tcp_prot', '--vmcore', kdumpZlib);
    const engine = await readJson(
      'tcp_prot',
      '--vmcore',
      elf,
      '--engine',
      'crash',
      '--vmlinux',
      vmlinux,
      '--crash',
      labTool('crash'),
    );
    expect(bytesOf(native)).toBe(theirs);
    expect(engine).toEqual(native);
  });

  test('refuses a name of several symbols, with all addresses', async () => {
    const { stderr, status } = await kdumpMem('read', 'cleanup_module', '--vmcore', kdumpZlib);
    expect(status).toBe(4);
    expect(stderr).toMatch(/^kdump-mem: the kernel has no symbol cleanup_module; did you mean \w+, \w+ or \w+\?\n$/);
    const names = readFileSync(systemMap, 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[2]);
    const count = names.filter((name) => name === 'udp_lib_close').length;
    expect(count).toBeGreaterThan(1);
    const shared = await kdumpMem('read', 'udp_lib_close', '--vmcore', kdumpZlib);
    expect(shared.status).toBe(4);
    expect(shared.stderr).toMatch(
      new RegExp(
        `^kdump-mem: ${count} symbols have the name udp_lib_close: (0x[0-9a-f]{16} \\(t\\)(, |;)){${count}}? give the address\n$`,
      ),
    );
  });

  test('wrong usage', async () => {
    for (const args of [
      ['init_task', '--length', '0'],
      ['init_task', '--length', '12q'],
      ['init task'],
      ['0xfffffffffffffff8', '--length', '16'],
      ['init_task', '--phys'],
      ['init_task', '--raw', '--json'],
      ['init_task', '--engine', 'verify'],
    ]) {
      const { stdout, status } = await kdumpMem('read', ...args, '--vmcore', kdumpZlib);
      expect({ stdout, status }, args.join(' ')).toEqual({ stdout: '', status: 2 });
    }
    expect((await kdumpMem('read', '0xffff800000000000', '--vmcore', kdumpZlib)).status).toBe(3);
  });

  test('--phys reads a truncated dump in which no kernel can be found', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-read-'));
    try {
      // The header block, the bitmaps and the first pages of a dump: no kernel can be found in it.
      const file = join(folder, 'vmcore');
      writeFileSync(file, readFileSync(labKdump('6.1').formats['raw-d31'][0]!).subarray(0, 4_000_000));
      const answer = await readJson('--phys', '0', '--length', '16M', '--vmcore', file);
      expect(answer.pieces.some((piece) => 'bytes' in piece)).toBe(true);
      expect((await kdumpMem('read', 'init_task', '--vmcore', file)).status).toBe(3);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('read of filtered memory', () => {
  const [whole] = labKdump('6.1').formats.elf;
  const [filtered] = labKdump('6.1').formats['lzo-d31'];
  const length = 0x100_0000;
  let from = 0;
  let range: string[];
  // The addresses of kernel data differ from guest to guest.
  beforeAll(async () => {
    for (from = 0; from < 0x2000_0000; from += length) {
      range = ['--phys', from.toString(16), '--length', `${length / 1024}k`];
      const { pieces } = await readJson(...range, '--vmcore', filtered!);
      const left = pieces.reduce((sum, piece) => sum + ('missing' in piece ? piece.length : 0), 0);
      if (left > length / 16 && left < length - length / 16) return;
    }
    throw new Error('no range of this dump is left out in part');
  });

  test('pieces cover the range; captured bytes are right, and holes are really not in the dump', async () => {
    const answer = await readJson(...range, '--vmcore', filtered!);
    const truth = raw(...range, '--vmcore', whole!);
    let at = from;
    let holes = 0;
    for (const piece of answer.pieces) {
      expect(Number(piece.address)).toBe(at);
      if ('bytes' in piece) {
        const theirs = truth.subarray(at - from, at - from + piece.length).toString('hex');
        expect(piece.bytes === theirs, piece.address).toBe(true);
      } else {
        expect(piece.missing).toBe('filtered');
        holes += piece.length;
      }
      at += piece.length;
    }
    expect(at).toBe(from + length);
    expect(holes).toBeGreaterThan(0);
    expect(answer.complete).toBe(false);

    // libkdumpfile, through drgn, cannot read our holes either.
    const elf = labKdump('6.1').formats['elf-d31'][0]!;
    const missing = answer.pieces.filter((piece) => 'missing' in piece).slice(0, 50);
    const queries = missing.map(({ address }) => `p:${address}:8`);
    const theirs = drgnJson<(string | null)[]>(filtered!, '6.1', SCRIPT, ...queries);
    expect(theirs).toEqual(missing.map(() => null));
    // The ELF core leaves zero pages out, the compressed format stores one for all.
    const inElf = new Set(
      (await readJson(...range, '--vmcore', elf)).pieces.flatMap((piece) => ('bytes' in piece ? [piece.address] : [])),
    );
    for (const piece of answer.pieces) {
      if (!('bytes' in piece) || inElf.has(piece.address)) continue;
      expect(/^0+$/.test(piece.bytes), piece.address).toBe(true);
    }
  });

  test('hex reports holes in a line, and on stderr; raw output is refused, or zeros on request', async () => {
    const { pieces } = await readJson(...range, '--vmcore', filtered!);
    const hole = pieces.find((piece, index) => index > 0 && 'missing' in piece && piece.length >= PAGE)!;
    const start = Number(hole.address) - 32;
    const around = ['--phys', start.toString(16), '--length', '48', '--vmcore', filtered!];
    const { stdout, stderr, status } = await kdumpMem('read', ...around);
    const lines = stdout.split('\n');
    const at = hole.address.slice(2).padStart(16, '0');
    expect(lines).toContain(`${at}  (16 bytes filtered out of the dump)`);
    expect(stderr).toBe(`kdump-mem: warning: ${hole.address}: 16 bytes filtered out of the dump\n`);
    expect(status).toBe(0);
    expect((await kdumpMem('read', ...around, '--strict')).status).toBe(5);

    const refused = await kdumpMem('read', ...around, '--raw');
    expect({ stdout: refused.stdout, status: refused.status }).toEqual({ stdout: '', status: 3 });
    const zeros = raw(...around, '--zero-excluded');
    expect(zeros.length).toBe(48);
    expect(zeros.subarray(32).every((byte) => byte === 0)).toBe(true);
    const captured = raw('--phys', start.toString(16), '--length', '32', '--vmcore', whole!);
    expect(zeros.subarray(0, 32).equals(captured)).toBe(true);

    const nothing = await kdumpMem('read', '--phys', hole.address, '--vmcore', filtered!);
    expect(nothing.status).toBe(3);
  });
});
