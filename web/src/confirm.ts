/** Questions before something that can't be undone. */
import { signal } from '@preact/signals';

export interface Question {
  title: string;
  body: string;
  /** What is done when the person says so. */
  action: string;
  answer: (isConfirmed: boolean) => void;
}

export const question = signal<Question | undefined>(undefined);

/** Asks, and waits for the answer. */
export function confirmed(asked: Omit<Question, 'answer'>): Promise<boolean> {
  return new Promise((resolve) => {
    question.value?.answer(false);
    question.value = {
      ...asked,
      answer(isConfirmed) {
        question.value = undefined;
        resolve(isConfirmed);
      },
    };
  });
}
