-- Up Migration

-- One row a command. `id` gives the order of admission: lists are newest first, the queue is oldest first.
CREATE TABLE commands (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  command_uuid  uuid NOT NULL UNIQUE,
  description   text NOT NULL DEFAULT '' CHECK (char_length(description) <= 255),
  script        text NOT NULL,
  durable       boolean NOT NULL,
  status        text NOT NULL DEFAULT 'QUEUED'
                CHECK (status IN ('QUEUED', 'EXECUTING', 'EXECUTED', 'FAILED', 'STOPPED')),
  reason        text CHECK (reason IN ('exit', 'signal', 'timeout', 'stop', 'shutdown', 'spawn_error', 'lost')),
  exit_code     smallint,
  signal        text,
  error         text,
  created_at    timestamptz NOT NULL,
  started_at    timestamptz,
  ended_at      timestamptz,
  -- Of a monotonic clock, so not always ended_at - started_at.
  duration_ms   double precision,
  -- Set with the outcome; while a command lives, its rows in command_output tell.
  output_bytes  bigint NOT NULL DEFAULT 0,
  -- The server that runs it: the number of an advisory lock that this server holds while it lives.
  owner         integer NOT NULL,
  -- Ended or not, never in between.
  CHECK ((status IN ('EXECUTED', 'FAILED', 'STOPPED')) = (reason IS NOT NULL AND ended_at IS NOT NULL))
);

CREATE INDEX commands_status_id ON commands (status, id DESC);
CREATE INDEX commands_live_owner ON commands (owner) WHERE status IN ('QUEUED', 'EXECUTING');

-- What commands printed. The primary key is the place of a chunk in the output of its command, so writing the same
-- chunk again, after a commit whose answer got lost, changes nothing.
CREATE TABLE command_output (
  command_id   bigint NOT NULL REFERENCES commands ON DELETE CASCADE,
  byte_offset  bigint NOT NULL,
  -- 1: stdout, 2: stderr
  stream       smallint NOT NULL CHECK (stream IN (1, 2)),
  data         bytea NOT NULL,
  PRIMARY KEY (command_id, byte_offset)
);

-- Down Migration

DROP TABLE command_output;
DROP TABLE commands;
