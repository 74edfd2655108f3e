-- What an attempt was connected to, and whether its request was on the wire twice. Of older attempts it is not known.
-- (Neither column has a CHECK: for one, SQLite would read the whole table.)

ALTER TABLE attempt ADD COLUMN remote_address TEXT;  -- NULL: no connection came about, or not known
ALTER TABLE attempt ADD COLUMN resent INTEGER NOT NULL DEFAULT 0;
