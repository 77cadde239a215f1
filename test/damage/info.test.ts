import { afterAll, expect, test } from 'vitest';
import { runCommand } from '../../scripts/fuzz-parts/command.js';
import { diskdumpExtents } from '../support/dump/diskdump.js';
import { joinExtents } from '../support/dump/extents.js';
import { DumpDirectory } from '../support/dump/file.js';
import { syntheticKernel } from '../support/native-kernel.js';

const folder = new DumpDirectory();
afterAll(() => folder.dispose());

/** `info` about a dump whose VMCOREINFO has another line; its status is checked too. */
async function info(line: string, ...options: readonly string[]): Promise<string> {
  const { memory, text: sound } = syntheticKernel();
  const key = line.slice(0, line.indexOf('='));
  const text = sound
    .split('\n')
    .filter((one) => !one.startsWith(`${key}=`))
    .join('\n');
  const pages = new Map([...memory.pages].map(([frame, data]) => [frame, { data }]));
  const extents = diskdumpExtents({ blocks: 8192, memory: pages, vmcoreinfo: `${text}${line}\n` });
  const file = folder.write('vmcore', joinExtents(extents));
  const { status, stdout } = await runCommand(['info', ...options, '--vmcore', file]);
  expect(status).toBe(0);
  return stdout;
}

test('reports the time of a crash', async () => {
  expect(await info('CRASHTIME=1763612345')).toMatch(/CRASHED +2025-11-20T04:19:05Z/);
});

test.each(['8640000000001', '253402300800', '-5', '1e400', '9'.repeat(400), '', 'NaN'])(
  'reports a crash in second %s as unknown',
  async (second) => {
    expect(await info(`CRASHTIME=${second}`)).toMatch(/TIME +unknown/);
    expect(JSON.parse(await info(`CRASHTIME=${second}`, '--json'))).toMatchObject({ time: null });
  },
);

test.each(['\x1b[2J', '\u009b31m', '\x07', '\r'])('escapes terminal control characters: %j', async (control) => {
  const text = await info(`BUILD-ID=${control}0123`);
  expect(text).not.toContain(control);
});

test.each(['-1', '0', '11', '41', '99999999999999999999'])(
  'ignores sections of 2 to the power of %s bytes, and finds the pages without them',
  async (bits) => {
    expect(await info(`NUMBER(SECTION_SIZE_BITS)=${bits}`)).toMatch(/PAGES +0x.*vmemmap_base/);
  },
);
