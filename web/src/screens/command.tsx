/** One command: how it stands, what it prints, and what can be done with it. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Command } from '../../../src/client/index.ts';
import { now } from '../clock.ts';
import { outcomeOf } from '../commands/outcome.ts';
import { firstLineOf } from '../commands/row.ts';
import { Facts } from '../components/facts.tsx';
import { lazy } from '../components/lazy.tsx';
import { OutputView } from '../components/output-view.tsx';
import { Problem } from '../components/problem.tsx';
import { Status } from '../components/status.tsx';
import { confirmed } from '../confirm.ts';
import { formatBytes } from '../format.ts';
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
      <Outcome command={command} />
      <Progress live={live} command={command} />
      <details>
        <summary>{words.value.facts.title}</summary>
        <Facts command={command} />
        <pre class="script">{command.script}</pre>
      </details>
      <Views uuid={uuid} />
      {showsStatechart() ? (
        <StatechartView command={command} />
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
  const [stoppedAt, setStoppedAt] = useState<number>();
  const isAlive = command.status === 'QUEUED' || command.status === 'EXECUTING';
  const attempt = async (work: () => Promise<unknown>) => {
    try {
      await withSession(work());
    } catch (error) {
      complain(sentenceOf(error));
    }
  };
  const stop = async () => {
    if (!isAlive || stoppedAt !== undefined) return;
    setStoppedAt(Date.now());
    await attempt(() => client.value.stop(uuid));
    setStoppedAt(undefined);
  };
  const rerun = () =>
    attempt(async () => {
      const created = await client.value.rerun(uuid);
      navigate(pathOfCommand(created.uuid));
    });
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
    { keys: ['r'], does: ({ keys }) => keys.rerun, run: () => void rerun() },
    { keys: ['e'], does: ({ keys }) => keys.edit, run: edit },
    { keys: ['d', 'Delete'], does: ({ keys }) => keys.deleteIt, run: () => void remove() },
  ]);
  return (
    <div class="buttons">
      {isAlive && (
        <button type="button" class="danger" disabled={stoppedAt !== undefined} onClick={() => void stop()}>
          {stoppedAt === undefined ? actions.stop : actions.stopping(Math.max(0, secondsSince(stoppedAt)))}
        </button>
      )}
      <button type="button" onClick={() => void rerun()}>
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
    </div>
  );
}

const secondsSince = (at: number) => Math.round((now.value - at) / 1000);

/** How it ended, in words; before that, why there is nothing to be seen yet. */
function Outcome({ command }: { command: Command }) {
  const sentence = outcomeOf(command, words.value) ?? (command.durable ? undefined : words.value.output.atEnd);
  return (
    <p class={`outcome ${command.status.toLowerCase()}`} role="status">
      {sentence}
    </p>
  );
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
