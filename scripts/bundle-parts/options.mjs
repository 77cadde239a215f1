import { readFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));

/** commander can run a subcommand as a program; ours never are, and loading that takes 4 ms. */
const noPrograms = {
  name: 'no-programs',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      /node_modules\/commander\//.test(importer)
        ? { path: 'child_process', namespace: 'no-programs' }
        : undefined,
    );
    onLoad({ filter: /./, namespace: 'no-programs' }, () => ({ contents: 'module.exports = {};' }));
  },
};

/** How esbuild makes one CommonJS file of a command and everything that it imports. */
export function bundleOptions(command) {
  return {
    entryPoints: [`src/cli/${command}.ts`],
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20.19',
    legalComments: 'inline',
    metafile: true,
    define: { KDUMP_MEM_VERSION: JSON.stringify(version) },
    plugins: [noPrograms],
    logLevel: 'warning',
  };
}
