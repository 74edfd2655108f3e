-- A checksum of every event, and the reason `damaged`. Takes the same time
-- however large the database is: of its rows only that of counter is touched.

-- Up to this event there are no checksums: one made now would vouch for bytes that may be damaged already.
ALTER TABLE counter ADD COLUMN last_unchecked INTEGER NOT NULL DEFAULT 0;
UPDATE counter SET last_unchecked = event_seq;

-- SQLite cannot change a CHECK, newer versions read a whole STRICT table to add a column to it, and to copy `delivery` would
-- take minutes and twice the disk where there are millions of rows. What leaves every row as it is (a constraint that admits
-- more or goes, a last column that is NULL) is changed in the text of the schema (sqlite.org/lang_altertable.html, "Making
-- Other Kinds Of Table Schema Changes"). RESET has SQLite read the schema anew within this transaction, so that a text which
-- it cannot read undoes it, and the temporary table fails unless every text was changed.
--
-- `event` gets its checksum (daemon/common/event_checksum.h). `delivery` admits `damaged`.
PRAGMA writable_schema=ON;
UPDATE sqlite_schema SET sql = replace(sql, 'deliveries INTEGER NOT NULL CHECK (deliveries >= 0)',
                                       'deliveries INTEGER NOT NULL CHECK (deliveries >= 0),
  checksum INTEGER  -- NULL: accepted before there were any')
WHERE type = 'table' AND name = 'event';
UPDATE sqlite_schema SET sql = replace(sql, 'OR reason = ''skipped'')', 'OR reason = ''skipped'' OR reason = ''damaged'')')
WHERE type = 'table' AND name = 'delivery';
PRAGMA writable_schema=RESET;
CREATE TEMP TABLE changed (texts INTEGER CHECK (texts = 2));
INSERT INTO changed SELECT count(*) FROM sqlite_schema
WHERE type = 'table' AND (name = 'delivery' AND sql GLOB '*OR reason = ''skipped'' OR reason = ''damaged'')*' OR name = 'event' AND sql GLOB '*checksum INTEGER*');
DROP TABLE temp.changed;
