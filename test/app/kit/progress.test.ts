import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Progress } from '../../../src/app/kit/terminal.js';

const written: string[] = [];
let now = 0;
const wasTty = process.stderr.isTTY;

beforeEach(() => {
  [now, written.length] = [1_000, 0];
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  process.stderr.isTTY = true;
  vi.stubEnv('TERM', 'xterm');
});

afterEach(() => {
  process.stderr.isTTY = wasTty;
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

test('reports the share that is done and, once known, the remaining time', () => {
  const progress = new Progress();
  const show = progress.of('looking');
  show(0);
  now += 1_000;
  show(0.25);
  now += 2_000;
  show(0.5);
  now += 1;
  show(0.51);
  progress.clear();
  expect(written).toEqual([
    '\r\x1b[Klooking … 0 %',
    '\r\x1b[Klooking … 25 %',
    '\r\x1b[Klooking … 50 %, 3 s left',
    '\r\x1b[K',
  ]);
});

test('rows above the line are removed with it', () => {
  const progress = new Progress();
  const show = progress.of('looking');
  show(0);
  progress.soFar(['Linux 6.1, panicked', 'CRITICAL  Panic']);
  now += 1_000;
  show(0.5);
  progress.clear();
  progress.clear();
  expect(written).toEqual([
    '\r\x1b[Klooking … 0 %',
    '\r\x1b[Kso far: Linux 6.1, panicked\nso far: CRITICAL  Panic\n',
    '\r\x1b[Klooking … 50 %',
    '\r\x1b[2A\x1b[J',
  ]);
});

test.each([
  ['without a terminal', false, 'xterm'],
  ['on a dumb terminal', true, 'dumb'],
])('%s prints nothing', (_, isTTY, term) => {
  process.stderr.isTTY = isTTY;
  vi.stubEnv('TERM', term);
  const progress = new Progress();
  progress.of('looking')(0.5);
  progress.soFar(['Linux 6.1']);
  progress.clear();
  expect(written).toEqual([]);
});

test('no line is wider than the terminal, which would wrap it and keep its remainder', () => {
  const before = process.stderr.columns;
  process.stderr.columns = 40;
  try {
    new Progress().show('110 of 200 dumps, 2 not readable, about 5 min left');
    new Progress().soFar(['CRITICAL  Kernel panic: Fatal exception in interrupt']);
    expect(written).toEqual([
      '\r\x1b[K110 of 200 dumps, 2 not readable, …',
      '\r\x1b[Kso far: CRITICAL  Kernel panic: Fatal …\n',
    ]);
  } finally {
    process.stderr.columns = before;
  }
});
