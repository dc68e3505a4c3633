import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { parse, parseAllDocuments } from 'yaml';
import { buildDocumentedApp } from '../../scripts/openapi.ts';
import { createProgram } from '../../src/cli/program.ts';
import { span } from '../../src/cli/values.ts';
import { loadConfig } from '../../src/config.ts';
import { collectRoutes } from '../helpers/routes.ts';
import { configVariables } from '../helpers/variables.ts';

const ROOT = new URL('../../', import.meta.url);
const read = (file: string) => readFileSync(new URL(file, ROOT), 'utf8');

/** What PostgreSQL lets in of one node, by docs/scaling.md. */
const CONNECTIONS_PER_NODE = 18;

interface Variable {
  name: string;
  value?: string;
  valueFrom?: { secretKeyRef?: { name: string; key: string }; fieldRef?: { fieldPath: string } };
}
interface Probe {
  httpGet: { path: string; port: string };
  periodSeconds: number;
  failureThreshold: number;
}
interface Container {
  image: string;
  ports: { name: string; containerPort: number }[];
  env: Variable[];
  lifecycle: { preStop: { exec: { command: string[] } } };
  startupProbe: Probe;
  livenessProbe: Probe;
  readinessProbe: Probe;
  resources: { limits: object };
  securityContext: object;
  volumeMounts: { name: string; mountPath: string }[];
}
interface Pod {
  containers: [Container];
  volumes: { name: string }[];
  terminationGracePeriodSeconds: number;
  topologySpreadConstraints: [{ labelSelector: Selector }];
}
interface Selector {
  matchLabels: object;
}
interface Deployment {
  selector: Selector;
  strategy: { rollingUpdate: object };
  template: { metadata: { labels: object }; spec: Pod };
}
interface Manifest {
  kind: string;
  metadata: { name: string };
  spec: object;
  stringData?: Record<string, string>;
}

const { app, routes } = await collectRoutes(buildDocumentedApp);
await app.close();
const isRoute = (path: string) => routes.some(({ method, url }) => `${method}`.includes('GET') && url === path);
const known = configVariables();

const kustomization: {
  labels: { pairs: Record<string, string> }[];
  resources: string[];
  images: { name: string }[];
} = parse(read('kubernetes/kustomization.yaml'));
const manifests = kustomization.resources.flatMap((file) =>
  parseAllDocuments(read(`kubernetes/${file}`), { strict: true }).map((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    return document.toJS() as Manifest;
  }),
);
const ofKind = (kind: string) => {
  const found = manifests.filter((manifest) => manifest.kind === kind);
  if (found.length !== 1) throw new Error(`there are ${found.length} manifests of the kind ${kind}`);
  return found[0] as Manifest;
};
const deployment = ofKind('Deployment').spec as Deployment;
const pod = deployment.template.spec;
const [container] = pod.containers;
const service = ofKind('Service').spec as { selector: object; ports: [{ targetPort: string }] };
const budget = ofKind('PodDisruptionBudget').spec as { selector: Selector };
const secret = ofKind('Secret');
const envOf = (name: string) => container.env.find((variable) => variable.name === name)?.value;

t.test('the manifests of Kubernetes select the pods that there are', async (t) => {
  const labels = deployment.template.metadata.labels;
  t.same(kustomization.labels[0]?.pairs, labels);
  t.same(deployment.selector.matchLabels, labels);
  t.same(service.selector, labels);
  t.same(budget.selector.matchLabels, labels);
  t.same(pod.topologySpreadConstraints[0].labelSelector.matchLabels, labels);
  t.same([...new Set(manifests.map(({ metadata }) => metadata.name))], ['shellvisor']);
  t.same(
    kustomization.images.map(({ name }) => name),
    [container.image],
  );
});

t.test('ports, probes and volumes lead to something', async (t) => {
  const names = container.ports.map(({ name }) => name);
  t.ok(names.includes(service.ports[0].targetPort));
  t.equal(`${container.ports[0]?.containerPort}`, envOf('PORT'));
  const { startupProbe, livenessProbe, readinessProbe } = container;
  for (const { httpGet } of [startupProbe, livenessProbe, readinessProbe]) {
    t.ok(isRoute(httpGet.path), httpGet.path);
    t.ok(names.includes(httpGet.port), httpGet.port);
  }
  t.equal(livenessProbe.httpGet.path, '/manage/health', 'a database that is away kills no scripts');
  t.equal(readinessProbe.httpGet.path, '/manage/ready');
  const volumes = pod.volumes.map(({ name }) => name);
  t.same(
    container.volumeMounts.map(({ name }) => name),
    volumes,
  );
  t.ok(container.volumeMounts.some(({ mountPath }) => mountPath === envOf('DATA_DIR')));
});

t.test('the server takes the configuration of the manifests, and knows each variable of it', async (t) => {
  const env = Object.fromEntries(
    container.env.map(({ name, value, valueFrom }) => {
      t.ok(known.has(name), name);
      if (valueFrom?.secretKeyRef === undefined) return [name, value ?? valueFrom?.fieldRef?.fieldPath];
      t.equal(valueFrom.secretKeyRef.name, secret.metadata.name);
      return [name, secret.stringData?.[valueFrom.secretKeyRef.key]];
    }),
  );
  t.match(loadConfig(env), {
    host: '0.0.0.0',
    cluster: { name: 'metadata.name' },
    token: secret.stringData?.SHELLVISOR_TOKEN,
  });
});

t.test('a pod drains and then shuts down before it is killed', async (t) => {
  const [node, file, name, ...args] = container.lifecycle.preStop.exec.command;
  t.equal(node, 'node');
  t.ok(existsSync(new URL(`${file}`, ROOT)), `${file} is there`);
  const drain = createProgram({}).commands.find((command) => command.name() === name);
  const { operands, unknown } = drain?.parseOptions(args) ?? {};
  t.same([operands, unknown], [[], []]);
  t.match(drain?.opts(), { wait: true, timeout: span('55m') });
  const shutdownMs = Number(envOf('SHELLVISOR_SHUTDOWN_MS'));
  t.ok((drain?.opts().timeout as number) + shutdownMs < pod.terminationGracePeriodSeconds * 1000);
  t.same(deployment.strategy.rollingUpdate, { maxUnavailable: 0, maxSurge: 1 });
});

t.test('pods have as few rights as they can', async (t) => {
  t.match(pod, {
    automountServiceAccountToken: false,
    shareProcessNamespace: false,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  });
  t.match(container.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
});

t.test('the compose file of a cluster fits the server, its load balancer and its PostgreSQL', async (t) => {
  const { services } = parse(read('docker-compose.cluster.yml'));
  const { node, balancer, postgres } = services;
  const env: Record<string, string> = Object.fromEntries(
    Object.entries<unknown>(node.environment).map(([name, value]) => {
      t.ok(known.has(name), name);
      return [name, `${value}`.replaceAll(/\$\{\w+:-(\w*)\}/g, '$1')];
    }),
  );
  const config = loadConfig(env);
  t.match(config, { host: '0.0.0.0', ratePerMinute: undefined, token: undefined });
  t.ok(config.cluster);
  t.ok(span(node.stop_grace_period) > config.shutdownMs);

  const [file = ''] = balancer.volumes[0].split(':');
  const haproxy = read(file);
  const [, port] = /^ *bind :(\d+)$/m.exec(haproxy) ?? [];
  t.equal(balancer.ports[0], `127.0.0.1:\${PORT:-8080}:${port}`, 'only this machine reaches it');
  const [, path = ''] = /http-check send meth GET uri (\S+)/.exec(haproxy) ?? [];
  t.ok(isRoute(path), path);
  const [, nodes, name = '', nodePort] = /server-template node (\d+) (\w+):(\d+)/.exec(haproxy) ?? [];
  t.equal(services[name], node);
  t.equal(Number(nodePort), config.port);
  const [, connections] = /max_connections=(\d+)/.exec(postgres.command.join(' ')) ?? [];
  t.ok(Number(connections) > Number(nodes) * CONNECTIONS_PER_NODE);
});
