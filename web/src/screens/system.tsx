/** How the server is: its health, its figures of the last two minutes, and the machine that gives out the slots. */
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import { Chart } from '../components/chart.tsx';
import { Icon } from '../components/icon.tsx';
import { InspectorLink } from '../components/inspector-link.tsx';
import { Machine } from '../components/machine.tsx';
import { Problem } from '../components/problem.tsx';
import { formatBytes, formatDuration } from '../format.ts';
import { words } from '../i18n/language.ts';
import { client } from '../session.ts';
import { supervisorMachine } from '../statecharts/drawn.ts';
import { LiveSystem, MOMENTS } from '../system/live-system.ts';
import { FIGURES, type FigureName } from '../system/sample.ts';

export function SystemScreen() {
  const server = client.value;
  const live = useMemo(() => new LiveSystem(server), [server]);
  useEffect(() => () => live.stop(), [live]);
  if (live.failure.value !== undefined) return <Problem error={live.failure.value} onRetry={() => location.reload()} />;
  return (
    <div class="system">
      <h1 class="hidden">{words.value.system.title}</h1>
      <Health live={live} />
      <Charts live={live} />
      <Supervisor live={live} />
    </div>
  );
}

function Health({ live }: { live: LiveSystem }) {
  const { system, locale, bytes, commands } = words.value;
  const { database, launcher_pid: pid, process_trees: trees, storage, status } = live.readiness.value ?? {};
  const answers = live.answers.value;
  const state = answers ? status : 'disconnected';
  return (
    <section aria-labelledby="health">
      <h2 id="health">{system.health}</h2>
      <dl class="facts">
        <Fact name={system.server}>
          <span role="status">
            {state !== undefined && <Sign isWell={state === 'ready'}>{system.states[state]}</Sign>}
          </span>
        </Fact>
        <Fact name={system.database}>
          {answers && database !== undefined && <Sign isWell={database === 'up'}>{system.databases[database]}</Sign>}
        </Fact>
        <Fact name={system.launcher}>
          {answers && pid !== undefined && <Sign isWell>{pid === null ? system.noLauncher : system.process(pid)}</Sign>}
        </Fact>
        <Fact name={system.trees}>{trees?.join(', ')}</Fact>
        <Fact name={system.stored}>{storage && commands.count(storage.commands)}</Fact>
        <Fact name={system.disk}>{storage && formatBytes(storage.disk_bytes, locale, bytes)}</Fact>
      </dl>
    </section>
  );
}

/** What is not known is said to be so. */
function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children || words.value.system.unknown}</dd>
    </div>
  );
}

function Sign({ isWell, children }: { isWell: boolean; children: ComponentChildren }) {
  return (
    <span class={isWell ? 'status executed' : 'status failed'}>
      <Icon name={isWell ? 'executed' : 'failed'} />
      <span>{children}</span>
    </span>
  );
}

function Charts({ live }: { live: LiveSystem }) {
  const { system, locale, bytes } = words.value;
  const samples = live.samples.value;
  const queue = live.readiness.value?.queue;
  const number = (value: number) => new Intl.NumberFormat(locale, { maximumFractionDigits: 1 }).format(value);
  const duration = (ms: number) => formatDuration(ms, locale);
  const formats: Record<FigureName, (value: number) => string> = {
    executing: number,
    queued: number,
    throughput: number,
    wait: duration,
    commit: duration,
    lag: duration,
    memory: (value) => formatBytes(value, locale, bytes),
  };
  const limits: Partial<Record<FigureName, number | undefined>> = {
    executing: queue?.max_parallel,
    queued: queue?.max_queued,
  };
  return (
    <section aria-labelledby="charts">
      <h2 id="charts">{system.charts}</h2>
      <div class="charts">
        {FIGURES.map((name) => (
          <Chart
            key={name}
            name={system.figures[name]}
            values={samples.map((sample) => sample[name])}
            room={MOMENTS}
            limit={limits[name]}
            format={formats[name]}
          />
        ))}
      </div>
    </section>
  );
}

function Supervisor({ live }: { live: LiveSystem }) {
  const { system } = words.value;
  const state = live.answers.value ? live.supervisor.value : undefined;
  return (
    <section aria-labelledby="supervisor-machine">
      <h2 id="supervisor-machine">{system.supervisor}</h2>
      <Machine drawn={supervisorMachine} label={system.picture(state)} state={state} />
      <p>
        <InspectorLink />
      </p>
    </section>
  );
}
