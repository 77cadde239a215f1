// Bundles each command into dist/bin. A cold start spends a millisecond on every module file it
// reads, and there are a hundred; what a command imports lazily stays in files of its own.
import { build } from 'esbuild';

await build({
  entryPoints: ['src/cli/kdump-mem.ts', 'src/cli/skcheck.ts'],
  outdir: 'dist/bin',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  packages: 'external',
  sourcemap: true,
  logLevel: 'warning',
});
