import { describe, expect, it } from 'vitest';
import { HostError } from '../../../src/base/errors.js';
import { offeredReadings } from '../../../src/leaks/readings/methods.js';
import { captured, MadeSource } from './captured-source.js';

const OWNER = '/sys/kernel/debug/page_owner';
const STACKS = '/sys/kernel/debug/page_owner_stacks';

function offered(type: 'page' | 'slab' | 'vmalloc', files: Record<string, string | HostError>) {
  return offeredReadings(type, new MadeSource(files)).map(({ method, refusal }) => [method, refusal]);
}

describe('reading methods that a kernel offers', () => {
  it('are listed with stacks first', () => {
    const files = {
      '/proc/allocinfo': captured('allocinfo-1.txt'),
      '/proc/sys/vm/mem_profiling': '1\n',
      [OWNER]: captured('page_owner-1.txt'),
      [`${STACKS}/show_stacks`]: captured('show_stacks-1.txt'),
      [`${STACKS}/count_threshold`]: '0\n',
    };
    expect(offered('page', files)).toEqual([
      ['page-owner-stacks', null],
      ['page-owner', null],
      ['allocinfo', null],
    ]);
    const cut = { ...files, [`${STACKS}/count_threshold`]: '10\n' };
    expect(offered('page', cut)[0]).toEqual(['page-owner-stacks', 'threshold']);
    expect(offered('page', { ...files, '/proc/sys/vm/mem_profiling': '0\n' })[2]?.[1]).toBe('off');
  });

  it('include the reason if they are unavailable', () => {
    const denied = new HostError('denied', 'no');
    expect(offered('page', { '/sys/kernel/debug': '' })).toEqual([
      ['page-owner-stacks', 'not-mounted'],
      ['page-owner', 'not-mounted'],
      ['allocinfo', 'absent'],
    ]);
    const traces = '/sys/kernel/debug/slab/a/alloc_traces';
    expect(offered('slab', { [traces]: 'No data\n' })[0]).toEqual(['slab-traces', 'off']);
    expect(offered('slab', { [traces]: denied })[0]).toEqual(['slab-traces', 'denied']);
    expect(offered('slab', { [traces]: '      1 f+0x1/0x2 age=1\n' })[0]?.[1]).toBeNull();
    expect(offered('vmalloc', { '/proc/vmallocinfo': denied })).toEqual([
      ['vmallocinfo', 'denied'],
      ['allocinfo', 'absent'],
    ]);
  });
});
