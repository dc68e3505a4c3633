/** One command: how it stands, what it prints, and what can be done with it. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import { type Command, Refused } from '../../../src/client/index.ts';
import { now } from '../clock.ts';
import { outcomeOf } from '../commands/outcome.ts';
import { firstLineOf, isAlive } from '../commands/row.ts';
import { type Stopping, secondsLeft, stoppingOf } from '../commands/stopping.ts';
import { Facts } from '../components/facts.tsx';
import { lazy } from '../components/lazy.tsx';
import { OutputView } from '../components/output-view.tsx';
import { Problem } from '../components/problem.tsx';
import { Status } from '../components/status.tsx';
import { useRerun } from '../components/use-rerun.tsx';
import { confirmed } from '../confirm.ts';
import { formatBytes } from '../format.ts';
import type { Words } from '../i18n/en.ts';
import { words } from '../i18n/language.ts';
import { useKeys } from '../keys.ts';
import { complain, sentenceOf } from '../notices.ts';
import { LiveCommand } from '../output/live-command.ts';
import { navigate, pathOfCommand, search } from '../router.ts';
import { client, withSession } from '../session.ts';

const StatechartView = lazy(async () => (await import('../components/statechart-view.tsx')).StatechartView);

export function CommandScreen({ uuid }: { uuid: string }) {
  const server = client.value;
  const live = useMemo(() => {
    const noteOfGap = (count: number) => {
      const { output, locale, bytes } = words.value;
      return output.gap(formatBytes(count, locale, bytes));
    };
    return new LiveCommand(server, uuid, noteOfGap);
  }, [server, uuid]);
  useEffect(() => () => live.stop(), [live]);
  const command = live.command.value;
  if (live.failure.value !== undefined) return <Problem error={live.failure.value} onRetry={() => location.reload()} />;
  if (command === undefined) return null;
  return (
    <div class="command">
      <Heading command={command} />
      <Actions live={live} command={command} />
      <Outcome live={live} command={command} />
      <Progress live={live} command={command} />
      <details>
        <summary>{words.value.facts.title}</summary>
        <Facts command={command} steps={live.steps.value} />
        <pre class="script">{command.script}</pre>
      </details>
      <Views uuid={uuid} />
      {showsStatechart() ? (
        <StatechartView live={live} />
      ) : (
        <OutputView live={live} onDownload={() => void download(uuid)} />
      )}
    </div>
  );
}

/** In the address, so that one can keep and send it. */
const showsStatechart = () => new URLSearchParams(search.value).get('view') === 'statechart';

function Views({ uuid }: { uuid: string }) {
  const { output, statechart } = words.value;
  const isStatechart = showsStatechart();
  const toOutput = pathOfCommand(uuid);
  const toStatechart = `${toOutput}?view=statechart`;
  useKeys([
    {
      keys: ['v'],
      does: ({ keys }) => keys.view,
      run: () => navigate(isStatechart ? toOutput : toStatechart, { replaces: true }),
    },
  ]);
  return (
    <nav class="views" aria-label={statechart.views}>
      <a href={toOutput} data-screen aria-current={isStatechart ? undefined : 'page'}>
        {output.title}
      </a>
      <a href={toStatechart} data-screen aria-current={isStatechart ? 'page' : undefined}>
        {statechart.title}
      </a>
    </nav>
  );
}

function Heading({ command }: { command: Command }) {
  return (
    <div class="head">
      <Status status={command.status} />
      <h1>{command.description || firstLineOf(command.script)}</h1>
    </div>
  );
}

function Actions({ live, command }: { live: LiveCommand; command: Command }) {
  const { actions } = words.value;
  const { uuid } = live;
  /** What we have asked for and is not answered yet. */
  const [asked, setAsked] = useState<'stop' | 'kill'>();
  const stopping = stoppingOf(live.steps.value);
  const attempt = async (work: () => Promise<unknown>) => {
    try {
      await withSession(work());
    } catch (error) {
      complain(sentenceOf(error));
    }
  };
  const stop = async () => {
    if (!isAlive(command) || asked !== undefined || stopping !== undefined) return;
    setAsked('stop');
    await attempt(() => client.value.stop(uuid));
    setAsked(undefined);
  };
  const kill = async () => {
    if (!isAlive(command) || asked === 'kill' || stopping?.state !== 'terminating') return;
    setAsked('kill');
    await attempt(() => client.value.stop(uuid, { kill: true }).catch(unlessEnded));
    setAsked(undefined);
  };
  const rerun = useRerun(command);
  const edit = () => navigate(`/run?from=${uuid}`);
  const remove = async () => {
    const { bulk } = words.value;
    if (!(await confirmed({ title: bulk.deleteTitle(1), body: bulk.deleteBody, action: bulk.delete }))) return;
    await attempt(async () => {
      await client.value.remove(uuid);
      navigate('/');
    });
  };
  const pin = () =>
    attempt(async () => {
      await (command.pinned ? client.value.unpin(uuid) : client.value.pin(uuid));
      await live.reload();
    });
  useKeys([
    { keys: ['s'], does: ({ keys }) => keys.stopIt, run: () => void stop() },
    { keys: ['k'], does: ({ keys }) => keys.killIt, run: () => void kill() },
    { keys: ['r'], does: ({ keys }) => keys.rerun, run: rerun.begin },
    { keys: ['e'], does: ({ keys }) => keys.edit, run: edit },
    { keys: ['d', 'Delete'], does: ({ keys }) => keys.deleteIt, run: () => void remove() },
  ]);
  return (
    <div class="buttons">
      {isAlive(command) && stopping === undefined && (
        <button key="stop" type="button" class="danger" disabled={asked !== undefined} onClick={() => void stop()}>
          {asked === undefined ? actions.stop : actions.stopping}
        </button>
      )}
      {isAlive(command) && stopping !== undefined && (
        <KillNow key="kill" stopping={stopping} isAsked={asked === 'kill'} onKill={() => void kill()} />
      )}
      <button type="button" onClick={rerun.begin}>
        {actions.rerun}
      </button>
      <button type="button" onClick={edit}>
        {actions.edit}
      </button>
      <button type="button" aria-pressed={command.pinned} onClick={() => void pin()}>
        {actions.pin}
      </button>
      <button type="button" onClick={() => void remove()}>
        {actions.remove}
      </button>
      {rerun.dialog}
    </div>
  );
}

/** One that was stopped for another reason has not ended `STOPPED`; what was wanted is so all the same. */
function unlessEnded(error: unknown): void {
  if (!(error instanceof Refused && error.code === 'COMMAND_ENDED')) throw error;
}

interface KillNowProps {
  stopping: Stopping;
  isAsked: boolean;
  onKill: () => void;
}

/** A button of its own, not another meaning of the one that stops: whoever presses that twice does not kill. */
function KillNow({ stopping, isAsked, onKill }: KillNowProps) {
  const { actions } = words.value;
  const isTerminating = stopping.state === 'terminating';
  const seconds = isTerminating ? secondsLeft(stopping, now.value) : undefined;
  return (
    <>
      {seconds !== undefined && <span role="timer">{actions.killIn(seconds)}</span>}
      <button type="button" class="danger" disabled={isAsked || !isTerminating} onClick={onKill}>
        {actions.kill}
      </button>
    </>
  );
}

/** How it ended, in words; before that, how it is stopped, or why there is nothing to be seen yet. */
function Outcome({ live, command }: { live: LiveCommand; command: Command }) {
  const steps = live.steps.value;
  const { actions, output } = words.value;
  const stopping = isAlive(command) ? stoppingOf(steps) : undefined;
  const sentence =
    outcomeOf(command, steps, words.value) ??
    (stopping === undefined ? undefined : sentenceOfStop(stopping, actions)) ??
    (command.durable ? undefined : output.atEnd);
  return (
    <p class={`outcome ${command.status.toLowerCase()}`} role="status">
      {sentence}
    </p>
  );
}

function sentenceOfStop(stopping: Stopping, { terminating, ignores, killing }: Words['actions']): string {
  if (stopping.state === 'terminating') return terminating;
  return stopping.isWanted ? killing : ignores;
}

function Progress({ live, command }: { live: LiveCommand; command: Command }) {
  const progress = live.progress.value;
  if (progress === null || command.status !== 'EXECUTING') return null;
  return (
    <div class="progress">
      <progress max={100} value={progress.percent} aria-label={words.value.facts.progress} />
      <span>
        {Math.floor(progress.percent)} % {progress.text}
      </span>
    </div>
  );
}

/** Saves the output as it is. A link would go without the token. */
async function download(uuid: string): Promise<void> {
  try {
    const url = URL.createObjectURL(await withSession(client.value.output(uuid)));
    const link = document.createElement('a');
    link.href = url;
    link.download = `${uuid}.log`;
    link.click();
    URL.revokeObjectURL(url);
  } catch (error) {
    complain(sentenceOf(error));
  }
}
