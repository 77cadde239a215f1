import { expect, test } from 'vitest';
import type { Seen } from './browser.js';

/** Tests of every page. @param seen the result of the browser, once available */
export function pageTests(seen: () => Seen): void {
  test('has no accessibility violations (axe) in light and dark mode, with all details open', () => {
    expect(seen().violations).toEqual([]);
  });

  test('has no console messages, dialogs or requests', () => {
    expect(seen().messages).toEqual([]);
    expect(seen().requests).toEqual([]);
  });

  test('fits windows of 360, 768 and 1280 pixels, and differs in dark mode', () => {
    expect(seen().views.map(({ overflow }) => overflow)).toEqual(Array(6).fill(0));
    const grounds = seen().views.map(({ scheme, ground }) => `${scheme} ${ground}`);
    expect(new Set(grounds).size).toBe(2);
  });

  test('prints everything that a window collapses', () => {
    expect(seen().print).toEqual({ hidden: 0, overflow: 'visible' });
  });
}

/** Tests of every page with a treemap. */
export function boxTests(seen: () => Seen): void {
  test('shows complete words in boxes', () => {
    for (const { labels, clipped } of seen().views) {
      expect(clipped).toEqual([]);
      expect(labels).toBeGreaterThan(5);
    }
  });
}
