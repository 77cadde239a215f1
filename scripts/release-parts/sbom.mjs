// What an executable contains, in CycloneDX: https://cyclonedx.org/docs/1.5/json/
import { execFileSync } from 'node:child_process';

/**
 * The bill of materials of a release. npm knows the packages, their licences and hashes; the bundle, which
 * of them are inside.
 *
 * @param {{ version: string, packages: { name: string, version: string }[],
 *   node: { name: string, version: string, sha512: string }, seconds: number }} release node: the package
 * with Node inside; sha512: of its tar, in hex; seconds: since 1970
 */
export function sbomOf({ version, packages, node, seconds }) {
  const all = execFileSync('npm', ['sbom', '--sbom-format=cyclonedx', '--package-lock-only'], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 ** 2,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { specVersion, metadata, components } = JSON.parse(all);
  const inside = packages.map((one) => {
    const found = components.find(({ name, version }) => name === one.name && version === one.version);
    if (!found) throw new Error(`npm sbom lacks ${one.name} ${one.version}`);
    const { licenses, hashes, purl } = found;
    return { type: 'library', 'bom-ref': purl, name: one.name, version: one.version, hashes, licenses, purl };
  });
  const purl = `pkg:npm/${node.name}@${node.version}`;
  const hashes = [{ alg: 'SHA-512', content: node.sha512 }];
  const licenses = [{ license: { id: 'MIT' } }];
  inside.push({ type: 'application', 'bom-ref': purl, name: node.name, version: node.version, hashes, licenses, purl });
  const { description, licenses: own } = metadata.component;
  const root = `pkg:npm/kdump-mem@${version}`;
  const component = {
    type: 'application',
    'bom-ref': root,
    name: 'kdump-mem',
    version,
    description,
    licenses: own,
    purl: root,
  };
  return {
    $schema: `http://cyclonedx.org/schema/bom-${specVersion}.schema.json`,
    bomFormat: 'CycloneDX',
    specVersion,
    version: 1,
    metadata: { timestamp: new Date(seconds * 1000).toISOString(), component },
    components: inside,
    dependencies: [{ ref: root, dependsOn: inside.map((one) => one['bom-ref']) }],
  };
}
