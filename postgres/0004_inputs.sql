-- Up Migration

ALTER TABLE commands
  -- What the client handed to the script beside the options: the keys env, cwd and args of its request, and of its
  -- secret_env only the names. Null: nothing.
  ADD COLUMN inputs jsonb,
  -- What the script reads from its stdin. Null: nothing.
  ADD COLUMN stdin bytea,
  -- Null: none.
  ADD COLUMN labels jsonb,
  -- How far the script says that it is: {percent, text}. Null: it has said nothing.
  ADD COLUMN progress jsonb;

-- Most commands have none, and each change of a status would cost these an entry; `labels @> …` implies this condition.
CREATE INDEX commands_labels ON commands USING gin (labels jsonb_path_ops) WHERE labels IS NOT NULL;

-- Down Migration

ALTER TABLE commands DROP COLUMN inputs, DROP COLUMN stdin, DROP COLUMN labels, DROP COLUMN progress;
