import { beforeAll, expect, test } from 'vitest';
import { inGuest, testGuest } from '../../support/guest.js';

const guest = testGuest('newest');
beforeAll(() => guest.boot({ kdumpMem: true, append: 'lsm=lockdown lockdown=confidentiality' }));

test('reads page flags on a locked-down kernel, and reports the reason', async () => {
  const { status, output } = await inGuest(guest, 'memory --live');
  expect(output.toString()).toMatch(
    /^Source: page flags \(\/proc\/kpageflags\); \/proc\/kcore: permission denied.*\.$/m,
  );
  expect(status).toBe(0);
  const refused = await inGuest(guest, 'memory --live --source kcore');
  expect(refused.output.toString()).toMatch(/^kdump-mem: \/proc\/kcore: permission denied.*\n$/);
  expect(refused.status).toBe(3);
});
