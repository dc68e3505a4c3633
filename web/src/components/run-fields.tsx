/** The fields of a script to be run, beside those that one always sees: what it is given, and how it runs. */
import { words } from '../i18n/language.ts';
import type { Form } from '../run/form.ts';
import type { Problems } from '../run/problems.ts';
import { CheckField, ChoiceField, LinesField, TextField } from './form-field.tsx';
import { SecretFields } from './secret-fields.tsx';

/** The fields of each part. */
export const INPUTS = ['env', 'secrets', 'args', 'cwd', 'labels'] as const;
export const OPTIONS = [
  'timeout',
  'sandbox',
  'nice',
  'maxMemory',
  'maxProcesses',
  'maxOpenFiles',
  'onOutputLimit',
  'nodeLabel',
  'onLost',
  'keepsBackground',
  'isPinned',
] as const;

/** The keys of a request that have a field here to say at what is wrong with them. */
export const KEYS_WITH_FIELDS = [
  'env',
  'secret_env',
  'args',
  'cwd',
  'stdin',
  'labels',
  'timeout_ms',
  'sandbox',
  'nice',
  'max_memory_bytes',
  'max_processes',
  'max_open_files',
  'on_output_limit',
  'node',
  'on_lost',
];

interface RunFieldsProps {
  form: Form;
  problems: Problems;
  onChange: (part: Partial<Form>) => void;
}

export function InputFields({ form, problems, onChange }: RunFieldsProps) {
  const { run } = words.value;
  return (
    <div class="fields">
      <LinesField
        label={run.env}
        hint="NAME=value"
        text={form.env}
        problem={problems.env}
        onChange={(env) => onChange({ env })}
      />
      <LinesField
        label={run.args}
        hint={run.argsHint}
        text={form.args}
        problem={problems.args}
        onChange={(args) => onChange({ args })}
      />
      <div>
        <LinesField
          label={run.stdin}
          text={form.stdin}
          problem={problems.stdin}
          onChange={(stdin) => onChange({ stdin })}
        />
        <select
          aria-label={run.encoding}
          value={`${form.isBase64}`}
          onChange={({ currentTarget }) => onChange({ isBase64: currentTarget.value === 'true' })}
        >
          <option value="false">{run.encodings.text}</option>
          <option value="true">{run.encodings.base64}</option>
        </select>
      </div>
      <LinesField
        label={run.labels}
        hint={run.labelsHint}
        text={form.labels}
        problem={problems.labels}
        onChange={(labels) => onChange({ labels })}
      />
      <TextField
        label={run.cwd}
        hint="/home/you"
        text={form.cwd}
        problem={problems.cwd}
        onChange={(cwd) => onChange({ cwd })}
      />
      <SecretFields
        secrets={form.secrets}
        problem={problems.secret_env}
        onChange={(secrets) => onChange({ secrets })}
      />
    </div>
  );
}

export function OptionFields({ form, problems, onChange }: RunFieldsProps) {
  const { run } = words.value;
  return (
    <div class="fields">
      <TextField
        label={run.timeout}
        hint={run.timeoutHint}
        text={form.timeout}
        problem={problems.timeout_ms}
        onChange={(timeout) => onChange({ timeout })}
      />
      <ChoiceField
        label={run.sandbox}
        names={run.sandboxes}
        value={form.sandbox}
        problem={problems.sandbox}
        onChange={(sandbox) => onChange({ sandbox })}
      />
      <TextField
        label={run.maxMemory}
        hint="512 MiB"
        text={form.maxMemory}
        problem={problems.max_memory_bytes}
        onChange={(maxMemory) => onChange({ maxMemory })}
      />
      <TextField
        label={run.maxProcesses}
        hint="100"
        text={form.maxProcesses}
        problem={problems.max_processes}
        onChange={(maxProcesses) => onChange({ maxProcesses })}
      />
      <TextField
        label={run.maxOpenFiles}
        hint="1024"
        text={form.maxOpenFiles}
        problem={problems.max_open_files}
        onChange={(maxOpenFiles) => onChange({ maxOpenFiles })}
      />
      <TextField
        label={run.nice}
        hint={run.niceHint}
        text={form.nice}
        problem={problems.nice}
        onChange={(nice) => onChange({ nice })}
      />
      <ChoiceField
        label={run.onOutputLimit}
        names={run.outputLimitActions}
        value={form.onOutputLimit}
        problem={problems.on_output_limit}
        onChange={(onOutputLimit) => onChange({ onOutputLimit })}
      />
      <TextField
        label={run.node}
        hint="gpu"
        text={form.nodeLabel}
        problem={problems.node}
        onChange={(nodeLabel) => onChange({ nodeLabel })}
      />
      <ChoiceField
        label={run.onLost}
        names={run.lostActions}
        value={form.onLost}
        problem={problems.on_lost}
        onChange={(onLost) => onChange({ onLost })}
      />
      <div>
        <CheckField
          label={run.keepsBackground}
          isChecked={form.keepsBackground}
          onChange={(keepsBackground) => onChange({ keepsBackground })}
        />
        <CheckField label={run.pinned} isChecked={form.isPinned} onChange={(isPinned) => onChange({ isPinned })} />
      </div>
    </div>
  );
}
