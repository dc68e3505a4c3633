/** What all SQL is written with. */
import { type CommonQueryMethods, type FragmentSqlToken, sql } from 'slonik';
import { z } from 'zod';
import { InputsJson, inputsFromJson } from '../../run-inputs.ts';
import { OptionsJson, optionsFromJson } from '../../run-options.ts';
import { ProgressJson } from '../../run-progress.ts';

/** Where statements run: the pool, or a transaction of it. */
export type Connection = Pick<
  CommonQueryMethods,
  'any' | 'anyFirst' | 'maybeOne' | 'maybeOneFirst' | 'one' | 'oneFirst' | 'query'
>;

/** A part of a statement. */
export type SqlFragment = FragmentSqlToken;

/** For statements without a result. */
export const none = sql.type(z.object({}));

/** Options as PostgreSQL gives them. */
export const storedOptions = OptionsJson.transform(optionsFromJson);

/** Progress as PostgreSQL gives it. */
export const storedProgress = ProgressJson.nullable();

/** Inputs as PostgreSQL gives them. */
export const storedInputs = InputsJson.transform(inputsFromJson);
