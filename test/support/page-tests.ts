import { expect, test } from 'vitest';
import type { Seen } from './browser.js';

/** What holds of every page. @param seen what a browser saw of it, once it did */
export function pageTests(seen: () => Seen): void {
  test('axe finds nothing, in light and in dark, with all that is folded open', () => {
    expect(seen().violations).toEqual([]);
  });

  test('no message of the console, no dialog, and nothing is fetched', () => {
    expect(seen().messages).toEqual([]);
    expect(seen().requests).toEqual([]);
  });

  test('fits windows of 360, 768 and 1280 pixels, and is another in the dark', () => {
    expect(seen().views.map(({ overflow }) => overflow)).toEqual(Array(6).fill(0));
    const grounds = seen().views.map(({ scheme, ground }) => `${scheme} ${ground}`);
    expect(new Set(grounds).size).toBe(2);
  });

  test('on paper all is there that a window folds', () => {
    expect(seen().print).toEqual({ hidden: 0, overflow: 'visible' });
  });
}

/** What holds of every page that has a treemap. */
export function boxTests(seen: () => Seen): void {
  test('words in boxes are whole', () => {
    for (const { labels, clipped } of seen().views) {
      expect(clipped).toEqual([]);
      expect(labels).toBeGreaterThan(5);
    }
  });
}
