/** Runs a script. With `from` in the address it begins with what another command was given. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Command } from '../../../src/client/index.ts';
import { CopyButton } from '../components/copy-button.tsx';
import { lazy } from '../components/lazy.tsx';
import { Problem } from '../components/problem.tsx';
import { words } from '../i18n/language.ts';
import { sentenceOf } from '../notices.ts';
import { navigate, pathOfCommand, search } from '../router.ts';
import { BadLine, curlOf, EMPTY_FORM, type Form, formOf, requestOf } from '../run/form.ts';
import { newKey } from '../run/idempotency.ts';
import { client, hasToken, withSession } from '../session.ts';

const ScriptEditor = lazy(async () => (await import('../components/script-editor.tsx')).ScriptEditor);

export function RunScreen() {
  const from = new URLSearchParams(search.value).get('from');
  const server = client.value;
  const [source, setSource] = useState<Command>();
  const [error, setError] = useState<unknown>();
  const load = () => {
    setError(undefined);
    if (from !== null) withSession(server.get(from, { output: false })).then(setSource, setError);
  };
  useEffect(load, [from, server]);
  if (error !== undefined) return <Problem error={error} onRetry={load} />;
  if (from === null) return <RunForm key="new" initial={EMPTY_FORM} />;
  if (source === undefined) return null;
  return <RunForm key={from} initial={formOf(source)} source={source} />;
}

function RunForm({ initial, source }: { initial: Form; source?: Command }) {
  const { run } = words.value;
  const [form, setForm] = useState(initial);
  const [problem, setProblem] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const key = useRef(newKey());
  const change = (part: Partial<Form>) => {
    // Another request, which is not to be taken for the one before.
    key.current = newKey();
    setForm((before) => ({ ...before, ...part }));
  };
  const submit = async () => {
    if (isBusy) return;
    setProblem(undefined);
    setBusy(true);
    try {
      const options = { durable: form.isDurable, idempotencyKey: key.current };
      const { uuid } = await withSession(client.value.create(requestOf(form), options));
      navigate(pathOfCommand(uuid));
    } catch (error) {
      setProblem(error instanceof BadLine ? run.badLine(error.line) : sentenceOf(error));
      setBusy(false);
    }
  };
  return (
    <form
      class="run"
      aria-label={run.title}
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
      onKeyDown={(event) => {
        if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
        event.preventDefault();
        void submit();
      }}
    >
      <div class="head">
        <h1>{run.title}</h1>
        <input
          class="grow"
          aria-label={run.description}
          placeholder={run.description}
          maxLength={255}
          value={form.description}
          onInput={({ currentTarget }) => change({ description: currentTarget.value })}
        />
        <button type="submit" class="primary" disabled={isBusy || form.script === ''} title="Ctrl-Enter">
          {run.submit}
        </button>
      </div>
      <ScriptEditor label={run.script} text={initial.script} onChange={(script) => change({ script })} />
      <p role="alert" class="problem">
        {problem}
      </p>
      {source !== undefined && <NotTold source={source} />}
      <label class="check">
        <input
          type="checkbox"
          checked={form.isDurable}
          onChange={({ currentTarget }) => change({ isDurable: currentTarget.checked })}
        />
        {run.durable}
      </label>
      <details open={hasInputs(initial)}>
        <summary>{run.inputs}</summary>
        <div class="fields">
          <Lines label={run.env} hint="NAME=value" text={form.env} onChange={(env) => change({ env })} />
          <Lines label={run.args} hint={run.argsHint} text={form.args} onChange={(args) => change({ args })} />
          <Lines label={run.stdin} text={form.stdin} onChange={(stdin) => change({ stdin })} />
          <Lines
            label={run.labels}
            hint={run.labelsHint}
            text={form.labels}
            onChange={(labels) => change({ labels })}
          />
          <label>
            {run.cwd}
            <input
              placeholder="/home/you"
              value={form.cwd}
              onInput={({ currentTarget }) => change({ cwd: currentTarget.value })}
            />
          </label>
          <label>
            {run.timeout}
            <input
              type="number"
              min={0.001}
              max={2_147_483}
              step="any"
              value={form.timeout}
              onInput={({ currentTarget }) => change({ timeout: currentTarget.value })}
            />
          </label>
        </div>
      </details>
      <Curl form={form} />
    </form>
  );
}

const hasInputs = ({ env, args, cwd, timeout, labels }: Form) => [env, args, cwd, timeout, labels].some(Boolean);

/** What the command had, and can't be had from the server again. */
function NotTold({ source: { inputs } }: { source: Command }) {
  const { run } = words.value;
  const parts = [inputs?.stdin_bytes !== undefined && run.stdin, inputs?.secret_env?.join(', ')].filter(Boolean);
  return parts.length === 0 ? null : <p class="muted">{run.notTold(parts.join(', '))}</p>;
}

interface LinesProps {
  label: string;
  hint?: string;
  text: string;
  onChange: (text: string) => void;
}

function Lines({ label, hint, text, onChange }: LinesProps) {
  return (
    <label>
      {label}
      <textarea
        rows={3}
        spellcheck={false}
        placeholder={hint}
        value={text}
        onInput={({ currentTarget }) => onChange(currentTarget.value)}
      />
    </label>
  );
}

/** The same request for a shell, as far as it can be made. */
function Curl({ form }: { form: Form }) {
  const { run } = words.value;
  let curl = '';
  try {
    curl = curlOf(form, location.origin, hasToken.value);
  } catch {
    // Whoever sends it is told what is wrong with it.
  }
  return (
    <details>
      <summary>{run.curl}</summary>
      <pre>{curl}</pre>
      <CopyButton text={curl} />
    </details>
  );
}
