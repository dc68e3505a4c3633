/** Runs a script. With `from` in the address it begins with what another command was given. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Command } from '../../../src/client/index.ts';
import { CopyButton } from '../components/copy-button.tsx';
import { CheckField } from '../components/form-field.tsx';
import { lazy } from '../components/lazy.tsx';
import { Problem } from '../components/problem.tsx';
import { INPUTS, InputFields, KEYS_WITH_FIELDS, OPTIONS, OptionFields } from '../components/run-fields.tsx';
import { words } from '../i18n/language.ts';
import { navigate, pathOfCommand, search } from '../router.ts';
import { curlOf, EMPTY_FORM, type Form, formOf, requestOf, secretEnvOf } from '../run/form.ts';
import { newKey } from '../run/idempotency.ts';
import { type Problems, problemsOf } from '../run/problems.ts';
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
  const [problems, setProblems] = useState<Problems>({});
  const [isBusy, setBusy] = useState(false);
  const key = useRef(newKey());
  const element = useRef<HTMLFormElement>(null);
  useEffect(() => showFirstProblem(element.current), [problems]);
  const change = (part: Partial<Form>) => {
    // Another request, which is not to be taken for the one before.
    key.current = newKey();
    setForm((before) => ({ ...before, ...part }));
  };
  const submit = async () => {
    if (isBusy) return;
    setProblems({});
    setBusy(true);
    try {
      const options = { durable: form.isDurable, idempotencyKey: key.current };
      const { uuid } = await withSession(client.value.create(requestOf(form), options));
      navigate(pathOfCommand(uuid));
    } catch (error) {
      setProblems(problemsOf(error, KEYS_WITH_FIELDS));
      setBusy(false);
    }
  };
  const fields = { form, problems, onChange: change };
  return (
    <form
      ref={element}
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
        {problems['']}
      </p>
      {source?.inputs?.stdin_bytes !== undefined && <p class="muted">{run.notTold(run.stdin)}</p>}
      <CheckField label={run.durable} isChecked={form.isDurable} onChange={(isDurable) => change({ isDurable })} />
      <details open={hasOther(initial, INPUTS)}>
        <summary>{run.inputs}</summary>
        <InputFields {...fields} />
      </details>
      <details open={hasOther(initial, OPTIONS)}>
        <summary>{run.options}</summary>
        <OptionFields {...fields} />
      </details>
      <Curl form={form} />
    </form>
  );
}

/** Whether a person would miss something if these fields were not seen. */
const hasOther = (form: Form, names: readonly (keyof Form)[]) =>
  names.some((name) => `${form[name]}` !== `${EMPTY_FORM[name]}`);

/** Leads to what is wrong; where that is in no field, to what is said of it. */
function showFirstProblem(form: HTMLFormElement | null): void {
  const field = form?.querySelector<HTMLElement>('[aria-invalid]');
  if (field == null) {
    form?.querySelector('.problem:not(:empty)')?.scrollIntoView({ block: 'center' });
    return;
  }
  const around = field.closest('details');
  if (around !== null) around.open = true;
  field.focus();
}

/** The same request for a shell, as far as it can be made. */
function Curl({ form }: { form: Form }) {
  const { run } = words.value;
  const names = Object.keys(secretEnvOf(form.secrets));
  let curl = '';
  try {
    curl = curlOf(form, location.origin, hasToken.value);
  } catch {
    // Whoever sends it is told what is wrong with it.
  }
  return (
    <details>
      <summary>{run.curl}</summary>
      {names.length > 0 && <p class="muted">{run.secretsInCurl(`read -rs ${names.join(' ')}`)}</p>}
      <pre>{curl}</pre>
      <CopyButton text={curl} />
    </details>
  );
}
