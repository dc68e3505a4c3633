-- Up Migration

ALTER TABLE commands
  -- The name of the token that it was sent with. Null: with none, or before there were any.
  ADD COLUMN created_by text,
  -- The same of the request that stopped it, where that was what ended it.
  ADD COLUMN stopped_by text;

-- Newest first, as for the other filters of the list; where no tokens are used it costs nothing.
CREATE INDEX commands_created_by_id ON commands (created_by, id DESC) WHERE created_by IS NOT NULL;

-- Down Migration

DROP INDEX commands_created_by_id;
ALTER TABLE commands DROP COLUMN created_by, DROP COLUMN stopped_by;
