/**
 * What a person types into a field whose value is kept elsewhere, and changes only when he is done. Until then nothing that
 * is drawn meanwhile may take it back.
 */
import { useEffect, useRef, useState } from 'preact/hooks';

export interface Draft {
  text: string;
  type(text: string): void;
  /** Says that he is done. */
  commit(text: string): void;
}

/** @param value what is kept; where it becomes something else than what was committed, the field shows that. */
export function useDraft(value: string, onCommit: (text: string) => void): Draft {
  const [text, type] = useState(value);
  const known = useRef(value);
  useEffect(() => {
    if (value === known.current) return;
    known.current = value;
    type(value);
  }, [value]);
  return {
    text,
    type,
    commit(committed) {
      known.current = committed;
      onCommit(committed);
    },
  };
}
