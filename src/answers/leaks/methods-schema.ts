import { z } from 'zod';

const method = z.enum([
  ...(['page-owner-stacks', 'page-owner', 'allocinfo', 'slab-traces', 'vmallocinfo'] as const),
  'tracefs',
  'bpftrace',
]);

/** `kdump-mem leaks --methods --json`, version 1. */
export const leakMethodsSchema = z.strictObject({
  schema: z.literal('kdump-mem.leak-methods/1'),
  type: z.enum(['page', 'slab', 'vmalloc']),
  /** The method without `--method`; null: none is available. */
  default: method.nullable(),
  /** The best first. */
  methods: z.array(
    z.strictObject({
      method,
      /** Null: available. */
      refusal: z
        .enum([
          'absent',
          'off',
          'not-mounted',
          'denied',
          'threshold',
          'not-installed',
          'not-readable',
        ])
        .nullable(),
      why: z.string().nullable(),
      reports: z.string(),
      costs: z.string(),
      message: z.string(),
    }),
  ),
});

export type LeakMethodsJson = z.infer<typeof leakMethodsSchema>;
