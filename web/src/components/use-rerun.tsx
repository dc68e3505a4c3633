/** Runs a command once more. The values of its secrets are stored nowhere, so whoever runs it again is asked for them. */
import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';
import type { Command } from '../../../src/client/index.ts';
import { words } from '../i18n/language.ts';
import { complain, sentenceOf } from '../notices.ts';
import { navigate, pathOfCommand } from '../router.ts';
import { newKey } from '../run/idempotency.ts';
import { client, withSession } from '../session.ts';
import { Dialog } from './dialog.tsx';
import { SecretValue } from './secret-value.tsx';

export interface Rerun {
  begin(): void;
  /** Asks for the secrets; to be drawn somewhere. */
  dialog: ComponentChildren;
}

export function useRerun({ command_uuid: uuid, inputs }: Command): Rerun {
  const [isAsking, setAsking] = useState(false);
  const names = inputs?.secret_env ?? [];
  const begin = async () => {
    if (names.length > 0) return setAsking(true);
    try {
      await rerun(uuid);
    } catch (error) {
      complain(sentenceOf(error));
    }
  };
  return {
    begin: () => void begin(),
    dialog: isAsking && <SecretsDialog uuid={uuid} names={names} onClose={() => setAsking(false)} />,
  };
}

async function rerun(uuid: string, options?: { secretEnv: Record<string, string>; idempotencyKey: string }) {
  const created = await withSession(client.value.rerun(uuid, options));
  navigate(pathOfCommand(created.uuid));
}

function SecretsDialog({ uuid, names, onClose }: { uuid: string; names: readonly string[]; onClose: () => void }) {
  const { actions, bulk, run } = words.value;
  const [secretEnv, setSecretEnv] = useState<Record<string, string>>(
    Object.fromEntries(names.map((name) => [name, ''])),
  );
  const [problem, setProblem] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const key = useRef(newKey());
  const submit = async () => {
    if (isBusy) return;
    setProblem(undefined);
    setBusy(true);
    try {
      await rerun(uuid, { secretEnv, idempotencyKey: key.current });
      onClose();
    } catch (error) {
      setProblem(sentenceOf(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title={actions.rerun} onClose={onClose}>
      <form
        class="ask"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <p>{run.giveAgain}</p>
        {names.map((name) => (
          <div key={name} class="secret">
            <code>{name}</code>
            <SecretValue
              label={run.secretValue(name)}
              value={secretEnv[name] ?? ''}
              onChange={(value) => {
                // Another request, which is not to be taken for the one before.
                key.current = newKey();
                setSecretEnv((before) => ({ ...before, [name]: value }));
              }}
            />
          </div>
        ))}
        <p role="alert" class="problem">
          {problem}
        </p>
        <div class="actions">
          <button type="button" onClick={onClose}>
            {bulk.cancel}
          </button>
          <button type="submit" class="primary" disabled={isBusy}>
            {run.submit}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
