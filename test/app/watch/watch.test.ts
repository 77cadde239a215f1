import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, test } from 'vitest';
import { watchSampleLine } from '../../../src/answers/watch/sample.js';
import { formatJson } from '../../../src/base/util.js';
import { type WatchJson, watchSampleSchema, watchSchema } from '../../../src/contracts/watch.js';
import { RHYTHMS, type WeekOptions, week } from '../../growth/watch/made-up-weeks.js';
import { commandPath, kdumpMem } from '../../support/cli.js';
import { scratchFolder } from '../../support/scratch.js';

const folder = scratchFolder('kdump-mem-watch-');

let files = 0;
const newFile = () => join(folder, `store-${++files}.ndjson`);
const QUICK = ['--interval', '0.2'];

const linesOf = (file: string) => fs.readFileSync(file, 'utf8').trimEnd().split('\n');
const samplesOf = (file: string) => linesOf(file).map((line) => watchSampleSchema.parse(JSON.parse(line)));

/** The answer about a store. */
async function answerOf(file: string): Promise<WatchJson> {
  const { stdout, status, stderr } = await kdumpMem('watch', '--store', file, '--for', '0', '--json');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return watchSchema.parse(JSON.parse(stdout));
}

/** A running watch that has taken some samples. */
async function begun(file: string, samples: number, ...args: string[]) {
  const child = spawn(process.execPath, [commandPath('kdump-mem'), 'watch', ...QUICK, '--store', file, ...args]);
  const ended = once(child, 'exit');
  const texts = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].on('data', (text) => {
      texts[stream] += text;
    });
  const ends = () => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n').length : 1);
  const before = ends();
  for (;;) {
    if (ends() >= before + samples) break;
    if (child.exitCode !== null) throw new Error(texts.stderr);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { child, texts, ended };
}

/** A store of a made-up machine. */
function stored(options: Partial<WeekOptions> = {}): { file: string; lines: string[] } {
  const file = newFile();
  const rhythm = RHYTHMS['a wave, and little noise']!;
  const lines = [...week({ rhythm, seed: 3, leak: 1, days: 3, ...options })].map((sample) =>
    formatJson(watchSampleLine(sample)),
  );
  fs.writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  return { file, lines };
}

test('samples are lines with their schema; the answer at its end reports growth', async () => {
  const file = newFile();
  const { stdout, stderr, status } = await kdumpMem('watch', ...QUICK, '--for', '1', '--store', file);
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  const samples = samplesOf(file);
  expect(samples.length).toBeGreaterThanOrEqual(1);
  expect(samples.length).toBeLessThanOrEqual(6);
  expect(stdout).toMatch(/^Inconclusive after [\d.]+ s and \d samples?\./);
  for (const { categories, source, memTotalBytes, intervalSeconds } of samples) {
    expect([source, intervalSeconds]).toEqual(['counters', 0.2]);
    // The categories cover all memory; memory reserved at boot is not in MemTotal.
    const { 'reserved-other': aside = 0, ...others } = categories ?? {};
    expect(aside).toBeGreaterThanOrEqual(0);
    expect(Object.values(others).reduce((sum, bytes) => sum + bytes, 0)).toBe(memTotalBytes);
  }
  // It does not list itself.
  const own = samples.flatMap(({ processes }) => processes.map(({ comm }) => comm));
  expect(own).not.toContain('kdump-mem');
});

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
  '%s ends it with a complete store and its answer',
  async (signal) => {
    const file = newFile();
    const { child, texts, ended } = await begun(file, 2, '--json');
    child.kill(signal);
    expect(await ended).toEqual([0, null]);
    expect(texts.stderr).toBe('');
    const answer = watchSchema.parse(JSON.parse(texts.stdout));
    expect(answer).toMatchObject({ ended: 'signal', samples: samplesOf(file).length });
  },
);

describe('a store', () => {
  test('is continued, and can be queried meanwhile', async () => {
    const file = newFile();
    await kdumpMem('watch', ...QUICK, '--for', '0.6', '--store', file);
    const before = samplesOf(file).length;
    const { child, texts, ended } = await begun(file, 2, '--json');
    expect((await answerOf(file)).samples).toBeGreaterThanOrEqual(before + 2);
    child.kill('SIGTERM');
    await ended;
    expect(JSON.parse(texts.stdout).samples).toBe(samplesOf(file).length);
  });

  test('with a last line torn by SIGKILL is continued, and that is reported', async () => {
    const file = newFile();
    const { child, ended } = await begun(file, 2);
    child.kill('SIGKILL');
    await ended;
    const whole = linesOf(file).length;
    fs.appendFileSync(file, linesOf(file)[0]?.slice(0, 300) ?? '');
    const { stderr, stdout, status } = await kdumpMem('watch', '--store', file, '--for', '0', '--json');
    expect(status).toBe(0);
    expect(stderr).toBe('');
    const torn = watchSchema.parse(JSON.parse(stdout));
    expect(torn).toMatchObject({ samples: whole, store: { tornLines: 1 }, complete: false });
    expect(torn.warnings[0]?.message).toBe(`${file}:${whole + 1}: the last line is truncated, and ignored`);
    const next = await kdumpMem('watch', ...QUICK, '--for', '0.5', '--store', file);
    expect(next.status).toBe(0);
    expect(next.stderr).toContain('the last line is truncated');
    const lines = linesOf(file);
    expect(lines.length).toBeGreaterThan(whole + 1);
    expect(() => watchSampleSchema.parse(JSON.parse(lines.at(-1) ?? ''))).not.toThrow();
    expect(() => watchSampleSchema.parse(JSON.parse(lines[whole + 1] ?? ''))).not.toThrow();
  });

  test('in use by another watch is refused, until that watch exits in any way', async () => {
    const file = newFile();
    const { child, ended } = await begun(file, 1);
    const second = await kdumpMem('watch', ...QUICK, '--for', '1', '--store', file);
    expect(second).toMatchObject({ status: 3, stdout: '' });
    expect(second.stderr).toMatch(/in use by another kdump-mem watch\. Stop the other one/);
    child.kill('SIGKILL');
    await ended;
    expect((await kdumpMem('watch', ...QUICK, '--for', '0.2', '--store', file)).status).toBe(0);
  });

  test('with lines of another program ends the watch, and loses no line', async () => {
    const file = newFile();
    const { child, texts, ended } = await begun(file, 1);
    fs.appendFileSync(file, 'theirs\n');
    expect(await ended).toEqual([3, null]);
    expect(child.exitCode).toBe(3);
    expect(texts.stderr).toContain('another program writes to it');
    expect(linesOf(file).at(-1)).toBe('theirs');
  });

  test('on a read-only or missing path is refused before the first sample', async () => {
    // Only root may lock a file of /dev.
    const fifo = join(folder, 'fifo');
    execFileSync('mkfifo', [fifo]);
    for (const [path, words] of [
      [join(folder, 'none', 'x'), ': write failed (ENOENT)'],
      [folder, 'not a regular file'],
      [fifo, 'not a regular file'],
    ] as const) {
      const { status, stderr, stdout } = await kdumpMem('watch', ...QUICK, '--store', path);
      expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
      expect(stderr).toContain(words);
    }
  });

  test('from another machine is not continued', async () => {
    const { file, lines } = stored();
    const { status, stderr } = await kdumpMem('watch', ...QUICK, '--for', '1', '--store', file);
    expect(status).toBe(3);
    expect(stderr).toContain(`${file}: contains samples of made-up, but this host is `);
    expect(linesOf(file)).toEqual(lines);
  });

  test('in a file of another kind is not appended to', async () => {
    const file = newFile();
    for (const content of ['root:x:0:0::/root:/bin/sh\n', 'no newline', '{"a":1}\n']) {
      fs.writeFileSync(file, content, { mode: 0o600 });
      const { status } = await kdumpMem('watch', ...QUICK, '--for', '1', '--store', file);
      expect([status, fs.readFileSync(file, 'utf8')]).toEqual([3, content]);
    }
  });

  test('with a foreign line is refused by file and line', async () => {
    const { file } = stored({ days: 0.1 });
    fs.appendFileSync(file, '{"schema":"x/1"}\n');
    const { status, stderr } = await kdumpMem('watch', '--for', '0', '--store', file);
    expect(status).toBe(3);
    expect(stderr).toContain(`${file}:16: x/1 is not a sample of kdump-mem watch --store`);
    const none = await kdumpMem('watch', '--for', '0', '--store', newFile());
    expect(none).toMatchObject({ status: 3, stdout: '' });
    expect(none.stderr).toContain('contains no samples');
  });

  test('after rotation is read as one', async () => {
    const { file, lines } = stored();
    fs.writeFileSync(`${file}.2`, `${lines.slice(0, 100).join('\n')}\n`);
    fs.writeFileSync(`${file}.1`, `${lines.slice(100, 300).join('\n')}\n`);
    fs.writeFileSync(file, `${lines.slice(300).join('\n')}\n`);
    expect(await answerOf(file)).toMatchObject({ samples: lines.length, verdict: 'grows' });
  });

  test('over one day has no verdict (--strict: status 5); over three days it names the leak', async () => {
    const day = stored({ days: 1 }).file;
    const strict = await kdumpMem('watch', '--for', '0', '--store', day, '--strict');
    expect(strict.status).toBe(5);
    expect(strict.stdout).toContain('The samples cover 24.0 h.');
    const { stdout, status } = await kdumpMem('watch', '--for', '0', '--store', stored().file, '--strict');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Growth over 3 days: unreclaimable slab by 1\.\d\d GiB per day/);
  });
});

describe('metrics', () => {
  test('--prometheus replaces FILE at each sample, and with --for 0 prints them', async () => {
    const path = join(folder, 'watch.prom');
    const { status, stderr } = await kdumpMem('watch', ...QUICK, '--for', '0.5', '--prometheus', path);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const text = fs.readFileSync(path, 'utf8');
    expect(text).toMatch(/^kdump_mem_watch_up 1$/m);
    expect(text).toMatch(/^kdump_mem_procs_samples [123]$/m);
    expect(fs.statSync(path).mode & 0o777).toBe(0o644);
    const printed = await kdumpMem('watch', '--for', '0', '--store', stored().file, '--prometheus');
    expect(printed.stdout).toMatch(/^kdump_mem_category_growing\{.*slab-unreclaimable.*\} 1$/m);
  });

  test('a file that cannot be written is reported once, and the watch continues', async () => {
    const { status, stderr } = await kdumpMem(
      'watch',
      ...QUICK,
      '--for',
      '1',
      '--prometheus',
      join(folder, 'none', 'x.prom'),
    );
    expect(status).toBe(0);
    expect(stderr.match(/write failed/g)).toHaveLength(1);
  });

  test('--listen serves them during the watch', async () => {
    const args = ['watch', ...QUICK, '--listen', '127.0.0.1:0'];
    const child = spawn(process.execPath, [commandPath('kdump-mem'), ...args]);
    const ended = once(child, 'exit');
    const [line = ''] = (await once(createInterface(child.stderr), 'line')) as string[];
    const url = /http:\S+/.exec(line)?.[0] ?? '';
    const text = await new Promise<string>((resolve, reject) => {
      get(url, (response) => {
        let body = '';
        response.on('data', (piece) => {
          body += piece;
        });
        response.on('end', () => resolve(body));
      }).on('error', reject);
    });
    expect(text).toMatch(/^kdump_mem_watch_up 1$/m);
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });

  test('an unavailable address ends it at once', async () => {
    const { status, stderr } = await kdumpMem('watch', '--listen', '192.0.2.1:1');
    expect(status).toBe(3);
    expect(stderr).toContain('cannot listen on 192.0.2.1:1 (EADDRNOTAVAIL)');
  });
});

test('--html writes a page', async () => {
  const page = join(folder, 'watch.html');
  const args = ['watch', '--for', '0', '--store', stored().file, '--html', page];
  const { stdout, status } = await kdumpMem(...args);
  expect(status).toBe(0);
  expect(stdout).toContain(`${page}: open it in a browser`);
  expect(fs.readFileSync(page, 'utf8')).toContain('<polygon class="kernel"');
  const again = await kdumpMem(...args);
  expect(again).toMatchObject({ status: 2, stdout: '' });
  expect(again.stderr).toContain('(--force replaces it)');
});

test.each([
  [['--for', '0'], '--for 0 queries a store'],
  [['--for', '10'], '--for is shorter than --interval'],
  [['--for', 'x'], 'It must be a time'],
  [['--interval', '0.05'], 'It must be 0.1 to 3600 seconds'],
  [['--store', ''], 'a file’s name is empty'],
  [['--store', '-'], 'stdout is for the answer'],
  [['--rotate', '1k'], '--rotate must be 1M or more'],
  [['--keep', '0'], '--keep must be 1 or more'],
  [['--prometheus'], '--prometheus requires a file'],
  [['--for', '0', '--store', 'x', '--listen', '127.0.0.1:1'], '--listen cannot be combined with --for 0'],
  [['--for', '0', '--store', 'x', '--prometheus', '--json'], '--prometheus, --json and --html exclude each other'],
  [['--listen', 'everywhere'], 'It must be an address and a port'],
  [['--json', '--html', 'x'], "cannot be used with option '--json'"],
  [['--source', 'vmcore'], 'Allowed choices are kcore, pageflags, counters'],
])('%j is refused', async (args, message) => {
  const { status, stderr, stdout } = await kdumpMem('watch', ...args);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toContain(message);
});
