-- How far the outbox of each application's own database has been relayed (store/commands.h, SourcePlace): rows with a number in
-- (cleared, relayed] are events already, and may still be there.
CREATE TABLE source (
  name TEXT PRIMARY KEY NOT NULL,
  database TEXT NOT NULL,  -- outbox_source.database there, in hex
  relayed INTEGER NOT NULL,
  cleared INTEGER NOT NULL CHECK (cleared <= relayed)
) STRICT, WITHOUT ROWID;
