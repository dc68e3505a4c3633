/** How far a script says that it is, as JSON: the same in answers and in the database. */
import { z } from 'zod';

export const ProgressJson = z.object({
  percent: z.number().min(0).max(100).describe('0–100, with two decimals at most'),
  text: z.string().describe('What it says about it, at most 255 characters; empty when it says nothing'),
});
