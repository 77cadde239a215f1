import { describe, expect, test } from 'vitest';
import { socketsSchema } from '../../../../src/contracts/sockets.js';
import { jsonInGuest } from '../../../support/guest.js';
import { objectScenes, SOURCES } from './object-scenes.js';

const [SOCKETS, CLOSED, VSOCKS, PACKETS, PAGES] = [10_000, 2_000, 2_000, 1_024, 2 ** 15];

describe.each(SOURCES)('sockets that ss does not show: %s', (_, hide, sources) => {
  const { guest, compared, start, end, findings, findingOf } = objectScenes(hide, sources, {
    modules: ['vsock_loopback', 'vsock_diag'],
  });

  test('sockets that ss does not list: their process, beside as many that it lists', async () => {
    const decoy = await start('bound', SOCKETS);
    let pid = 0;
    await compared('sockets that ss does not list', async () => {
      pid = await start('sockets', SOCKETS);
    });
    const { figures, next } = await findingOf('unlisted-sockets');
    expect(figures).toMatchObject({ pid, comm: 'sockets', openSockets: SOCKETS });
    if (next?.startsWith('sockets ')) {
      const answer = await jsonInGuest(guest, `${next} --live`);
      const { sockets } = socketsSchema.parse(answer);
      expect(sockets.map(({ socket }) => socket.state)).toEqual(new Array(SOCKETS).fill('CLOSE'));
    } else expect(next).toBe(`procs --pid ${pid} --fds`);
    await end(decoy, pid);
  });

  const hasKcore = hide === 'true';

  test('a closed network namespace: the process with its sockets, beside as many in ours', async () => {
    const decoy = await start('bound', CLOSED);
    let pid = 0;
    await compared('a closed network namespace', async () => {
      pid = await start('closed', CLOSED);
    });
    // Kernel memory has all sockets, with what they pin.
    const { figures } = await findingOf(hasKcore ? 'queued-data-of-process' : 'unlisted-sockets');
    await end(decoy, pid);
    if (hasKcore) {
      expect(figures).toMatchObject({ pid, comm: 'closed', sockets: CLOSED, payloadBytes: CLOSED * 12 * 3500 });
      return;
    }
    expect(figures).toMatchObject({ pid, comm: 'closed', sockets: CLOSED, openSockets: CLOSED });
    // A datagram of 3,500 bytes is charged 4,096 and its skb.
    const charged = CLOSED * 12 * 4352;
    expect(figures.queuedBytes).toBeLessThan(charged);
    expect(figures.queuedMostBytes).toBeGreaterThan(charged);
  });

  test('sockets of AF_VSOCK: their process where the kernel lacks vsock_diag, none where it has it', async () => {
    let pid = 0;
    await compared('sockets of AF_VSOCK', async () => {
      pid = await start('vsocks', VSOCKS);
    });
    expect((await findings()).findings).toEqual([]);
    // Kernel memory has them in any case.
    if (!hasKcore) {
      await guest.run('rmmod vsock_diag');
      const { figures } = await findingOf('unlisted-sockets');
      expect(figures).toMatchObject({ pid, comm: 'vsocks', sockets: VSOCKS });
      await guest.run('insmod /modules/vsock_diag.ko');
    }
    await end(pid);
  });

  test('unread data of AF_VSOCK: its process, or without kernel memory that it was not read', async () => {
    const bytes = PACKETS << 16;
    const pids: number[] = [];
    await compared(
      'unread data of AF_VSOCK',
      async () => {
        pids.push(await start('vsock', PACKETS), await start('plain', bytes / 4096));
      },
      {
        decoy: {
          row: 'anonymous',
          bytes,
          get pid() {
            return pids[1];
          },
        },
      },
    );
    const { findings: all, unread } = await findings();
    await end(...pids);
    if (hasKcore) {
      const figures = { pid: pids[0], comm: 'vsock', payloadBytes: bytes };
      expect(all).toMatchObject([{ code: 'queued-data', figures }]);
      return;
    }
    expect(all).toEqual([]);
    expect(unread).toMatchObject([{ check: 'sockets', why: expect.stringContaining('AF_VSOCK (2)') }]);
  });

  test('memory that AF_XDP has registered is that of its process, beside as much that it has not', async () => {
    const bytes = PAGES * 4096;
    const decoy = await start('plain', PAGES);
    let pid = 0;
    const take = async () => {
      pid = await start('umem', PAGES);
    };
    // Anonymous memory of kdump-mem itself differs by more where it reads kernel memory.
    await compared('memory registered with AF_XDP', take, hasKcore ? { bytes } : { bytes, row: 'anonymous' });
    const { figures } = await findingOf(hasKcore ? 'queued-data' : 'pinned-pages');
    await end(pid, decoy);
    const owner = hasKcore ? { pid, comm: 'umem', queue: 'umem' } : { pid: null };
    expect(figures).toMatchObject({ ...owner, pinnedBytes: bytes });
  });
});

// Of the kernels of the lab, 6.1 lacks CONFIG_XDP_SOCKETS_DIAG.
describe('sockets of AF_XDP that ss lists', () => {
  const [, [, hide, sources]] = SOURCES;
  const { start, findings } = objectScenes(hide, sources, { kernel: 'newest', modules: ['xsk_diag'] });

  test('the process that has registered memory, beside as much that it has not', async () => {
    await start('plain', PAGES);
    const pid = await start('umem', PAGES);
    const registered = { pid, comm: 'umem', kinds: 'AF_XDP', registeredBytes: PAGES * 4096 };
    expect((await findings()).findings).toMatchObject([
      { code: 'pinned-pages', figures: { ...registered, pinnedBytes: PAGES * 4096 } },
    ]);
  });
});
