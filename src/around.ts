/** Putting something around a journal: what is not given goes straight through. */
import type { CommandOutput, Journal } from './ports/journal.ts';

export function aroundJournal(journal: Journal, given: Partial<Journal>): Journal {
  return {
    insert: (...args) => journal.insert(...args),
    replay: (...args) => journal.replay(...args),
    begin: (...args) => journal.begin(...args),
    openOutput: (...args) => journal.openOutput(...args),
    transition: (...args) => journal.transition(...args),
    progress: (...args) => journal.progress(...args),
    finish: (...args) => journal.finish(...args),
    remove: (...args) => journal.remove(...args),
    ...given,
  };
}

/** What may happen to an output before it goes on. */
export interface OutputTaps {
  onWrite?: (...args: Parameters<CommandOutput['write']>) => void;
  onCommitted?: () => void;
}

export function aroundOutput(output: CommandOutput, { onWrite, onCommitted }: OutputTaps): CommandOutput {
  return {
    overLimit: output.overLimit,
    write(...args) {
      onWrite?.(...args);
      return output.write(...args);
    },
    full: () => output.full(),
    set onDrain(drain: () => void) {
      output.onDrain = drain;
    },
    set onCommitted(committed: (upTo: number) => void) {
      output.onCommitted = (upTo) => {
        onCommitted?.();
        committed(upTo);
      };
    },
  };
}
