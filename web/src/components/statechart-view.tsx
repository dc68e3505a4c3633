/** The machine of a command where it is now, or where it was after one of its steps. */
import { useMemo, useState } from 'preact/hooks';
import type { Transition } from '../../../src/client/index.ts';
import { formatDuration, formatFullTime, formatPreciseTime } from '../format.ts';
import { words } from '../i18n/language.ts';
import { useKeys } from '../keys.ts';
import type { LiveCommand } from '../output/live-command.ts';
import { commandMachine } from '../statecharts/drawn.ts';
import { InspectorLink } from './inspector-link.tsx';
import { Machine } from './machine.tsx';

export function StatechartView({ live }: { live: LiveCommand }) {
  const steps = live.steps.value;
  return steps === undefined ? null : <Replay uuid={live.uuid} steps={steps} />;
}

function Replay({ uuid, steps }: { uuid: string; steps: readonly Transition[] }) {
  const { statechart } = words.value;
  const latest = steps.length - 1;
  /** The step that is looked at; undefined: the latest, whichever that is. */
  const [chosen, setChosen] = useState<number>();
  const shown = chosen ?? latest;
  const show = (index: number) => setChosen(index >= latest ? undefined : Math.max(0, index));
  useKeys([
    { keys: ['ArrowLeft'], does: ({ keys }) => keys.stepBack, run: () => show(shown - 1) },
    { keys: ['ArrowRight'], does: ({ keys }) => keys.stepOn, run: () => show(shown + 1) },
    { keys: ['Home'], does: ({ keys }) => keys.firstStep, run: () => show(0) },
    { keys: ['End'], does: ({ keys }) => keys.latestStep, run: () => show(latest) },
  ]);
  const path = useMemo(() => steps.slice(0, shown + 1), [steps, shown]);
  const step = path.at(-1);
  return (
    <section class="statechart" aria-label={statechart.title}>
      <div class="toolbar">
        <button type="button" class="chip" onClick={() => show(0)} disabled={shown <= 0}>
          {statechart.first}
        </button>
        <button type="button" class="chip" onClick={() => show(shown - 1)} disabled={shown <= 0}>
          {statechart.back}
        </button>
        <button type="button" class="chip" onClick={() => show(shown + 1)} disabled={shown >= latest}>
          {statechart.on}
        </button>
        <button type="button" class="chip" onClick={() => show(latest)} disabled={shown >= latest}>
          {statechart.latest}
        </button>
        <span role="status">
          {step === undefined ? statechart.unknown : statechart.step(shown + 1, steps.length, step.event, step.to)}
        </span>
        <InspectorLink of={uuid} />
      </div>
      <div class="replay">
        <Machine drawn={commandMachine} label={statechart.picture(step?.to)} state={step?.to} path={path} />
        <Path steps={steps} shown={shown} onChoose={show} />
      </div>
    </section>
  );
}

interface PathProps {
  steps: readonly Transition[];
  shown: number;
  onChoose: (index: number) => void;
}

/** All steps, those too that are ahead of the one that is looked at. */
function Path({ steps, shown, onChoose }: PathProps) {
  const { statechart, locale } = words.value;
  const sinceLast = (index: number) => {
    const [before, at] = [steps[index - 1], steps[index]].map((step) => Date.parse(step?.at ?? ''));
    return `+${formatDuration(Math.max(0, Number(at) - Number(before)), locale)}`;
  };
  return (
    <ol class="steps" aria-label={statechart.path}>
      {steps.map(({ event, to, at }, index) => (
        <li key={index}>
          <button
            type="button"
            class="quiet"
            aria-current={index === shown ? 'step' : undefined}
            onClick={() => onChoose(index)}
          >
            <span>
              {event} → <strong>{to}</strong>
            </span>
            <span class="muted">
              <time dateTime={at} title={formatFullTime(Date.parse(at), locale)}>
                {formatPreciseTime(Date.parse(at), locale)}
              </time>
              {index > 0 && ` ${sinceLast(index)}`}
            </span>
          </button>
        </li>
      ))}
    </ol>
  );
}
