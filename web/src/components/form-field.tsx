/** A field of a form with what it is called, and below it what is wrong with it. */
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

export interface FieldProps {
  label: string;
  /** In the server's own sentence. */
  problem?: string | undefined;
}

/** What an input says of itself when something is wrong with it. */
export interface Wrong {
  'aria-invalid'?: true;
  'aria-describedby'?: string;
}

/** @param id of the element that says what is wrong. */
export const wrongBy = (id: string): Wrong => ({ 'aria-invalid': true, 'aria-describedby': id });

interface FormFieldProps extends FieldProps {
  /** Makes the input, with these attributes. */
  children: (attributes: Wrong & { id: string }) => ComponentChildren;
}

export function FormField({ label, problem, children }: FormFieldProps) {
  const id = useId();
  const problemId = `${id}-problem`;
  return (
    <div>
      <label htmlFor={id}>
        {label}
        {children({ id, ...(problem !== undefined && wrongBy(problemId)) })}
      </label>
      <FieldProblem id={problemId} problem={problem} />
    </div>
  );
}

export function FieldProblem({ id, problem }: { id: string; problem: string | undefined }) {
  return problem === undefined ? null : (
    <p role="alert" class="problem" id={id}>
      {problem}
    </p>
  );
}

interface TextFieldProps extends FieldProps {
  hint?: string;
  text: string;
  onChange: (text: string) => void;
}

/** One line. */
export function TextField({ hint, text, onChange, ...field }: TextFieldProps) {
  return (
    <FormField {...field}>
      {(attributes) => (
        <input
          {...attributes}
          placeholder={hint}
          spellcheck={false}
          value={text}
          onInput={({ currentTarget }) => onChange(currentTarget.value)}
        />
      )}
    </FormField>
  );
}

export function LinesField({ hint, text, onChange, ...field }: TextFieldProps) {
  return (
    <FormField {...field}>
      {(attributes) => (
        <textarea
          {...attributes}
          rows={3}
          spellcheck={false}
          placeholder={hint}
          value={text}
          onInput={({ currentTarget }) => onChange(currentTarget.value)}
        />
      )}
    </FormField>
  );
}

interface ChoiceFieldProps<Value extends string> extends FieldProps {
  value: Value;
  names: Readonly<Record<Value, string>>;
  onChange: (value: Value) => void;
}

export function ChoiceField<Value extends string>({ value, names, onChange, ...field }: ChoiceFieldProps<Value>) {
  return (
    <FormField {...field}>
      {(attributes) => (
        <select {...attributes} value={value} onChange={({ currentTarget }) => onChange(currentTarget.value as Value)}>
          {Object.entries<string>(names).map(([each, name]) => (
            <option key={each} value={each}>
              {name}
            </option>
          ))}
        </select>
      )}
    </FormField>
  );
}

interface CheckFieldProps {
  label: string;
  isChecked: boolean;
  onChange: (isChecked: boolean) => void;
}

export function CheckField({ label, isChecked, onChange }: CheckFieldProps) {
  return (
    <label class="check">
      <input type="checkbox" checked={isChecked} onChange={({ currentTarget }) => onChange(currentTarget.checked)} />
      {label}
    </label>
  );
}
