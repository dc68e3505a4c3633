/** Which fields of a command an answer has: `fields` and `output` in a query string. */
import { z } from 'zod';
import { flag } from './filters.ts';
import { CommandBody } from './schemas.ts';

type Body = z.input<typeof CommandBody>;
type Field = keyof Body;

const FIELDS = Object.keys(CommandBody.shape) as Field[];
const OUTPUT_FIELDS: readonly Field[] = ['output', 'output_preview'];

export const fieldFields = {
  fields: z
    .unknown()
    .refine(
      (input) => typeof input === 'string' && input.split(',').every((name) => FIELDS.includes(name as Field)),
      `fields must be some of ${FIELDS.join(', ')}, with commas between them`,
    )
    .transform((input) => String(input).split(',') as Field[])
    .meta({ type: 'array', items: { type: 'string', enum: FIELDS } })
    .optional()
    .describe('Which fields the answer has, with commas between them; all unless given'),
  output: flag('output')
    .optional()
    .describe('`false`: without `output` and `output_preview`, which then need not be read'),
};

const Fields = z.object(fieldFields);

/** Some of the fields of a command. */
export const PartialCommandBody = CommandBody.partial().meta({ id: 'PartialCommand' });

/** What the parameters of a query ask for. */
export function fieldsOf({ fields = FIELDS, output }: z.output<typeof Fields>) {
  const wanted = fields.filter((name) => output !== false || !OUTPUT_FIELDS.includes(name));
  return {
    /** Whether outputs have to be read. */
    withOutput: wanted.some((name) => OUTPUT_FIELDS.includes(name)),
    /** Leaves out of a command what is not wanted. */
    pick: (body: Body): Partial<Body> =>
      wanted.length === FIELDS.length ? body : Object.fromEntries(wanted.map((name) => [name, body[name]])),
  };
}
