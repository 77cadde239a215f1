import { readFileSync } from 'node:fs';

const { version, engines } = JSON.parse(readFileSync('package.json', 'utf8'));

/** commander can run a subcommand as a program, which kdump-mem never does; loading that takes 4 ms. */
const noPrograms = {
  name: 'no-programs',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      /node_modules\/commander\//.test(importer) ? { path: 'child_process', namespace: 'no-programs' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'no-programs' }, () => ({ contents: 'module.exports = {};' }));
  },
};

/**
 * Leaves out the modules that commands import when they run: help and version need only the declarations,
 * and so does mcp for other commands than itself.
 */
export const declarationsOnly = (own = 'none') => ({
  name: 'declarations-only',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /./ }, ({ kind, path, importer }) =>
      kind === 'dynamic-import' && !importer.includes(`/src/app/${own}/`)
        ? { path, namespace: 'elsewhere' }
        : undefined,
    );
    onLoad({ filter: /./, namespace: 'elsewhere' }, ({ path }) => ({
      contents: `throw new Error(${JSON.stringify(`${path} is in the bundles of commands`)});`,
    }));
  },
});

/** The protocol's library can validate client input against a schema by compiling code. kdump-mem does not use that. */
const noSchemaCompiler = {
  name: 'no-schema-compiler',
  setup({ onLoad }) {
    onLoad({ filter: /@modelcontextprotocol\/sdk\/dist\/esm\/validation\/ajv-provider\.js$/ }, () => ({
      contents: 'export class AjvJsonSchemaValidator {}',
    }));
  },
};

/**
 * Leaves the schema of maps, and zod with it, to a bundle next to those of commands: half of the code that
 * each of them would load for every query. They look for it in the launcher's folder.
 */
export const mapSchemaApart = {
  name: 'map-schema-apart',
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/schema\.js$/ }, ({ kind, importer }) =>
      kind === 'dynamic-import' && importer.endsWith('/extract/map/read.ts')
        ? { path: `./bundles/${MAP_SCHEMA}.js`, external: true }
        : undefined,
    );
  },
};
export const MAP_SCHEMA = 'map-schema';

/**
 * Libraries that few queries of a command need, by command: as much code as all the rest, which each of
 * its queries would load. They are bundles next to it, like the schema of maps.
 */
export const LIBRARIES_APART = { procs: ['execa', 'zod'], triage: ['yaml', 'zod'] };

/** Leaves libraries to separate bundles. */
export function librariesApart(command) {
  const libraries = LIBRARIES_APART[command] ?? [];
  return {
    name: 'libraries-apart',
    setup({ onResolve }) {
      onResolve({ filter: /^[a-z]+$/ }, ({ path }) =>
        libraries.includes(path) ? { path: `./bundles/${path}.js`, external: true } : undefined,
      );
    },
  };
}

/** The esbuild options for one CommonJS file of a program (entries.mjs) and everything that it imports. */
export function bundleOptions(entry, plugins = []) {
  return {
    ...entry,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20.19',
    legalComments: 'inline',
    metafile: true,
    define: { KDUMP_MEM_VERSION: JSON.stringify(version) },
    plugins: [noPrograms, noSchemaCompiler, ...plugins],
    logLevel: 'warning',
  };
}

/** The esbuild options for a command's launcher, which must also run on unsupported old versions of Node. */
export function launcherOptions(command, subcommands) {
  return {
    ...bundleOptions({ entryPoints: ['src/launch/launch.ts'] }),
    target: 'node8',
    define: {
      KDUMP_MEM_COMMAND: JSON.stringify(command),
      KDUMP_MEM_SUBCOMMANDS: JSON.stringify(subcommands),
      KDUMP_MEM_OLDEST_NODE: JSON.stringify(engines.node.replace('>=', '')),
    },
  };
}
