import { expect, test } from 'vitest';
import { memoryMetrics } from '../../../src/answers/memory/prometheus.js';
import { answerOf } from './answer.js';

test('each category is a series with each of its labels once', () => {
  const owners = [
    { kind: 'process', name: 'nginx', pid: 1, bytes: 4096 },
    { kind: 'process', name: 'nginx', pid: 2, bytes: 8192 },
  ] as const;
  const lines = memoryMetrics(answerOf({ 'free-buddy': 2, vmalloc: 3 }, { owners })).split('\n');
  expect(lines).toContain('kdump_mem_memory_bytes{group="free",category="free-buddy"} 8192');
  expect(lines).toContain('kdump_mem_memory_bytes{group="kernel",category="vmalloc"} 12288');
  expect(lines.filter((line) => line.startsWith('kdump_mem_memory_owner_bytes{'))).toEqual([
    'kdump_mem_memory_owner_bytes{category="vmalloc",kind="process",name="nginx"} 12288',
  ]);
  const series = lines.filter((line) => !line.startsWith('#')).map((line) => line.split(' ')[0]);
  expect(new Set(series).size).toBe(series.length);
});

test('a category without a kernel counter has no counter series, rather than zero', () => {
  const metrics = memoryMetrics(answerOf({ vmalloc: 3 }, { counterBytes: 4096 }));
  expect(metrics).toContain('kdump_mem_memory_kernel_bytes{category="vmalloc"} 4096');
  expect(metrics.match(/kdump_mem_memory_kernel_bytes\{/g)).toHaveLength(1);
});

test('reports incomplete categories', () => {
  const metrics = memoryMetrics({ ...answerOf({}, { complete: false }), complete: false });
  expect(metrics).toContain('kdump_mem_memory_category_complete{category="vmalloc"} 0');
  expect(metrics).toMatch(/^kdump_mem_memory_complete 0$/m);
});
