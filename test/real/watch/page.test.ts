import { beforeAll, describe, expect, test } from 'vitest';
import { watchHtml } from '../../../src/answers/watch/html/page.js';
import { watchedFor } from '../../answers/watch/watched.js';
import { lookAt, type Seen } from '../../support/browser.js';
import { pageTests } from '../../support/page-tests.js';

const PAGES = ['leak', 'quiet', 'one'] as const;
const FACTS = { source: 'kdump-mem watch', version: '0', made: new Date(0) };

let seen: Record<(typeof PAGES)[number], Seen>;
beforeAll(async () => {
  const hostile = '"><script>alert(1)</script>\u202e';
  seen = await lookAt({
    leak: watchHtml(watchedFor({ leak: 1, days: 3 }, hostile), FACTS, 20),
    quiet: watchHtml(watchedFor({}), FACTS, 20),
    one: watchHtml(watchedFor({ days: 0 }), FACTS, 20),
  });
});

describe.each(PAGES)('the page of %s in Chromium', (name) => {
  pageTests(() => seen[name]);

  test('the keyboard reaches both tables', () => {
    const { stops } = seen[name];
    expect(stops[0]).toMatchObject({ what: 'a', name: 'Go to the table of categories' });
    expect(stops.length).toBeGreaterThanOrEqual(3);
    for (const { outlined, inView } of stops) expect([outlined, inView]).toEqual([true, true]);
  });
});
