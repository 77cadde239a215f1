// Runs before anything else is loaded, and the oldest possible node must be able to parse everything in
// its bundle: esbuild emits syntax for Node 8, and nothing here may require a newer library.
export {};

/** The oldest node that package.json's `engines` allows, such as 20.19; inserted by the bundler. */
declare const KDUMP_MEM_OLDEST_NODE: string;
/** The command's name; inserted by the bundler. */
declare const KDUMP_MEM_COMMAND: string;

const [oldestMajor = 0, oldestMinor = 0] = KDUMP_MEM_OLDEST_NODE.split('.').map(Number);
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
  process.stderr.write(
    `${KDUMP_MEM_COMMAND}: this is Node ${process.versions.node}, and Node ${KDUMP_MEM_OLDEST_NODE} or newer is needed. Install one, or one of the packages that have their own (docs/install.md).\n`,
  );
  // Both commands' exit status for input that could not be opened or read.
  process.exit(3);
}
