import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WatchScreen } from '../../../src/app/kit/screen.js';

const written: string[] = [];
const before = { isTTY: process.stdout.isTTY, columns: process.stdout.columns };

beforeEach(() => {
  written.length = 0;
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  Object.assign(process.stdout, { isTTY: true, columns: 20 });
});

afterEach(() => {
  Object.assign(process.stdout, before);
  vi.restoreAllMocks();
});

/** Output that draws these lines. */
function drawn(lines: readonly string[]): string | undefined {
  const screen = new WatchScreen<readonly string[]>({
    waiting: 'watching',
    quit: () => undefined,
    frame: (shown) => ({ lines: shown, mostSkipped: 0 }),
  });
  screen.show(lines);
  const text = written.at(-1);
  screen.end();
  return text;
}

test('erases nothing after a line was written: the cursor may be on its last character', () => {
  expect(drawn(['one', 'two', 'three'])).toBe('\u001b[H\u001b[Kone\r\n\u001b[Ktwo\r\n\u001b[Jthree');
});

test('no line is wider than the screen, which would truncate its figures', () => {
  const full = 'anonymous   1.33 GiB';
  const painted = `\u001b[31m${full}\u001b[39m`;
  expect(drawn([full, painted, `${full}  +25 %`, 'page cache  +1.33 GiB'])).toBe(
    `\u001b[H\u001b[K${full}\r\n\u001b[K${painted}\r\n\u001b[Kanonymous   …\r\n\u001b[Jpage cache  …`,
  );
});
