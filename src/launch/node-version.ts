// Runs before anything else is loaded, and everything in its bundle is parsed by the oldest node that
// may meet it: esbuild writes what Node 8 understands, and nothing here may need a newer library.
export {};

/** The oldest node that package.json's `engines` allows, as in 20.19; put in by the bundler. */
declare const KDUMP_MEM_OLDEST_NODE: string;
/** The command's name; put in by the bundler. */
declare const KDUMP_MEM_COMMAND: string;

const [oldestMajor = 0, oldestMinor = 0] = KDUMP_MEM_OLDEST_NODE.split('.').map(Number);
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
  process.stderr.write(
    `${KDUMP_MEM_COMMAND}: this is Node ${process.versions.node}, and Node ${KDUMP_MEM_OLDEST_NODE} or newer is needed. Install one, or one of the packages that have their own (docs/install.md).\n`,
  );
  // Both commands' status of what could not be opened or looked at.
  process.exit(3);
}
