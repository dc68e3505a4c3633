/** The steps of one command through its machine, as it takes them. */
import { useEffect, useState } from 'preact/hooks';
import { type Command, type Transition, Unreachable } from '../../../src/client/index.ts';
import { isAlive } from '../commands/row.ts';
import { client, withSession } from '../session.ts';

/** How often is looked for the steps that change no status, such as from SIGTERM to SIGKILL, in ms. */
const LOOK_MS = 500;

export interface Steps {
  /** Oldest first; undefined: they are not known yet. */
  steps: readonly Transition[] | undefined;
  /** Why they are not. */
  error: unknown;
}

export function useSteps({ command_uuid: uuid, status }: Command): Steps {
  const [steps, setSteps] = useState<readonly Transition[]>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;
    const look = async () => {
      let looksAgain = isAlive({ status });
      try {
        const found = await withSession(client.value.transitions(uuid));
        if (isOver) return;
        setError(undefined);
        // Steps are added, never changed.
        setSteps((before) => (before?.length === found.length ? before : found));
      } catch (error) {
        if (isOver) return;
        setError(error);
        looksAgain = error instanceof Unreachable;
      }
      if (looksAgain) timer = setTimeout(() => void look(), LOOK_MS);
    };
    void look();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [uuid, status]);
  return { steps, error };
}
