import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCgroups, placeOf } from '../../src/records/cgroups.js';

const ID = '0123456789abcdef'.repeat(4);
const UID = '12345678-90ab-cdef-1234-567890abcdef';

describe('a cgroup path', () => {
  test.each([
    ['docker, systemd', `/system.slice/docker-${ID}.scope`, 'docker', null],
    ['docker, cgroupfs', `/docker/${ID}`, 'docker', null],
    ['podman', `/machine.slice/libpod-${ID}.scope/container`, 'podman', null],
    [
      'containerd in a pod, systemd',
      `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${UID.replaceAll('-', '_')}.slice/cri-containerd-${ID}.scope`,
      'containerd',
      UID,
    ],
    ['a pod, cgroupfs', `/kubepods/besteffort/pod${UID}/${ID}`, 'kubernetes', UID],
    ['CRI-O', `/kubepods.slice/kubepods-pod${UID.replaceAll('-', '_')}.slice/crio-${ID}.scope`, 'crio', UID],
    [
      'kind: a node in docker, with its pod inside',
      `/docker/${'f'.repeat(64)}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod${UID.replaceAll('-', '_')}.slice/cri-containerd-${ID}.scope`,
      'containerd',
      UID,
    ],
  ])('names the container: %s', (_, path, runtime, pod) => {
    expect(placeOf(path)).toEqual({ path, container: ID, runtime, pod });
  });

  test.each(['/', '/user.slice/user-1000.slice/session-3.scope', '/system.slice/ssh.service'])(
    '%s is no container',
    (path) => {
      expect(placeOf(path)).toEqual({ path, container: null, runtime: null, pod: null });
    },
  );
});

test('has priority among several hierarchies if it names a container', () => {
  const text = ['12:pids:/', `11:memory:/docker/${ID}`, '1:name=systemd:/a/b/c/d', '0::/', ''].join('\n');
  expect(parseCgroups(text)).toMatchObject({ container: ID, path: `/docker/${ID}` });
  expect(parseCgroups('0::/a:b\u001b[2J\n')?.path).toBe('/a:b\u001b[2J');
  expect(parseCgroups('rubbish')).toBeNull();
});

test('is parsed without throwing for any text', () => {
  const part = fc.constantFrom('/', 'docker', '-', ID, 'pod', UID, '.scope', '\u001b', 'a'.repeat(99));
  fc.assert(
    fc.property(fc.array(part, { maxLength: 60 }), (parts) => {
      expect(placeOf(`/${parts.join('')}`).path).toBe(`/${parts.join('')}`);
    }),
  );
});

test('may contain a carriage return, which hides no container', () => {
  const id = 'ab'.repeat(32);
  for (const end of ['\r', '\u2028'])
    expect(parseCgroups(`0::/a${end}b/kubepods/c${end}d/${id}\n`)).toMatchObject({
      path: `/a${end}b/kubepods/c${end}d/${id}`,
      container: id,
      runtime: 'kubernetes',
    });
});

test('is parsed quickly if it is made to be slow', () => {
  for (const name of ['docker', 'kubepods'])
    for (let at = 0; at < 10; at++) expect(placeOf(`/${at}${`/${name}/`.repeat(400)}`).container).toBeNull();
});
