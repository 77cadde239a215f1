// Validates manifests against the Kubernetes API: `node validate.mjs FILE…` prints the errors of each as JSON.
import { readFileSync } from 'node:fs';
import { PodMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor';
import { DaemonSet } from 'kubernetes-models/apps/v1/DaemonSet';
import { Job } from 'kubernetes-models/batch/v1/Job';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { PersistentVolumeClaim } from 'kubernetes-models/v1/PersistentVolumeClaim';
import { parseAllDocuments } from 'yaml';

const KINDS = {
  'apps/v1 DaemonSet': DaemonSet,
  'batch/v1 Job': Job,
  'monitoring.coreos.com/v1 PodMonitor': PodMonitor,
  'networking.k8s.io/v1 NetworkPolicy': NetworkPolicy,
  'v1 ConfigMap': ConfigMap,
  'v1 PersistentVolumeClaim': PersistentVolumeClaim,
};
const told = process.argv.slice(2).map((file) =>
  parseAllDocuments(readFileSync(file, 'utf8')).map((document) => {
    const manifest = document.toJS();
    const Kind = KINDS[`${manifest.apiVersion} ${manifest.kind}`];
    if (Kind === undefined) return `${manifest.apiVersion} ${manifest.kind} is not known`;
    try {
      new Kind(manifest).validate();
      return null;
    } catch (error) {
      return error.message;
    }
  }),
);
process.stdout.write(JSON.stringify(told.flat()));
