import { expect, test } from 'vitest';
import { waitsIn } from '../../src/triage/kernel-findings.js';

type Frame = Parameters<typeof waitsIn>[0]['frames'][number];

const frame = (symbol: string): Frame => ({
  address: 0n,
  guess: false,
  interrupted: false,
  symbol,
  offset: 1,
  module: null,
});

/** Stacks of waits in kernels from 5.10 to 7.2, with the expected function last. */
test.each([
  ['__schedule', 'schedule', 'schedule_preempt_disabled', '__mutex_lock.constprop.0', 'ext4_iget'],
  ['__schedule', 'schedule', '__mutex_lock_slowpath', 'mutex_lock', 'rtnl_lock'],
  ['__schedule', 'schedule', 'rwsem_down_read_slowpath', 'down_read', 'do_user_addr_fault'],
  ['__schedule', 'schedule', 'rwsem_down_write_slowpath', 'down_write_killable', '__vm_munmap'],
  ['__schedule', 'schedule_timeout', '__down', '__down_common', 'down', 'xfs_buf_lock'],
  ['__schedule', 'schedule', 'percpu_rwsem_wait', '__percpu_down_read', 'sb_start_write'],
  ['__schedule', 'schedule_timeout', '__wait_for_common', 'wait_for_completion', 'flush_work'],
  ['__schedule', 'schedule', 'download_firmware'],
])('finds the function of the wait in %s …', (...names) => {
  expect(waitsIn({ frames: names.map(frame) })).toBe(names.at(-1));
});
