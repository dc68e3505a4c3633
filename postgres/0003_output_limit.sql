-- Up Migration

-- How much of its output a command keeps: set when it begins, so that a server that goes on with it keeps the same.
ALTER TABLE commands
  -- Bytes kept of the beginning; no row of command_output reaches across this place.
  ADD COLUMN output_head bigint,
  -- Bytes kept of the end, once it has printed more than both together.
  ADD COLUMN output_tail bigint;

ALTER TABLE commands
  DROP CONSTRAINT commands_reason_check,
  ADD CONSTRAINT commands_reason_check CHECK (
    reason IN ('exit', 'signal', 'timeout', 'output_limit', 'stop', 'shutdown', 'spawn_error', 'lost')
  );

-- Down Migration

UPDATE commands SET reason = 'signal' WHERE reason = 'output_limit';
ALTER TABLE commands
  DROP CONSTRAINT commands_reason_check,
  ADD CONSTRAINT commands_reason_check CHECK (
    reason IN ('exit', 'signal', 'timeout', 'stop', 'shutdown', 'spawn_error', 'lost')
  );
ALTER TABLE commands DROP COLUMN output_head, DROP COLUMN output_tail;
