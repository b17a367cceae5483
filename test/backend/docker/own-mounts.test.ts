import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ownContainerId, translate } from '../../../src/backend/docker/own-mounts.ts';

const mounts = [
  { source: '/srv/terminals', destination: '/app/data' },
  { source: '/var/lib/docker/volumes/homes/_data', destination: '/app/data/terminals' },
  { source: '', destination: '/app/data/fast' },
  { source: '/', destination: '/host' },
];

describe('a path of ours, as the host of the engine names it', () => {
  test('goes through the innermost mount that holds it', () => {
    assert.equal(translate('/app/data', mounts), '/srv/terminals');
    assert.equal(translate('/app/data/other/alice', mounts), '/srv/terminals/other/alice');
    assert.equal(
      translate('/app/data/terminals/p/alice', mounts),
      '/var/lib/docker/volumes/homes/_data/p/alice',
    );
    assert.equal(translate('/host/srv', mounts), '/srv');
    assert.equal(translate('/x/y', [{ source: '/all', destination: '/' }]), '/all/x/y');
  });

  test('is none where no mount holds it, also where one only begins alike', () => {
    assert.equal(translate('/app', mounts), null);
    assert.equal(translate('/app/database', mounts), null);
    assert.equal(translate('/anything', []), null);
  });

  test('is none on a mount in memory: what is there is lost with the container', () => {
    assert.equal(translate('/app/data/fast/p/alice', mounts), null);
  });
});

describe('the id of our own container', () => {
  const id = 'c0ffee00'.repeat(8);

  test('is read from what Docker mounts into every container', () => {
    const line = `612 590 8:1 /var/lib/docker/containers/${id}/resolv.conf /etc/resolv.conf rw - ext4 /dev/vda1 rw`;
    assert.equal(ownContainerId(`590 1 0:40 / / rw - overlay overlay rw\n${line}\n`), id);
  });

  test('is none outside of a container', () => {
    assert.equal(ownContainerId('22 1 8:1 / / rw - ext4 /dev/vda1 rw\n'), null);
    assert.equal(ownContainerId(''), null);
  });
});
