import { beforeAll, expect, test } from 'vitest';
import { inGuest, testGuest } from '../../support/guest.js';

const MAX_MS = 120_000;

const guest = testGuest('newest', MAX_MS);
beforeAll(
  () => guest.boot({ kdumpMem: true, append: 'lsm=lockdown lockdown=confidentiality', limitMs: 3 * MAX_MS }),
  MAX_MS,
);

test(
  'reads page flags on a locked-down kernel, and reports the reason',
  async () => {
    const { status, output } = await inGuest(guest, 'memory --live', MAX_MS);
    expect(output.toString().split('\n')[0]).toMatch(
      / Source: page flags \(\/proc\/kpageflags\); \/proc\/kcore: permission denied.*\.$/,
    );
    expect(status).toBe(0);
    const refused = await inGuest(guest, 'memory --live --source kcore', MAX_MS);
    expect(refused.output.toString()).toMatch(/^kdump-mem: \/proc\/kcore: permission denied.*\n$/);
    expect(refused.status).toBe(3);
  },
  2 * MAX_MS,
);
