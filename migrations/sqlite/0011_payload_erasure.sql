-- An event whose payload was erased (DELETE /v1/events/{id}/payload): its bytes are gone, and this says when. The column is added in
-- the text of the schema, like those of 0007 and for the same reason. It is put before the closing bracket, whatever the last column is.
PRAGMA writable_schema=ON;
UPDATE sqlite_schema
SET sql = replace(sql, char(10) || ') STRICT', char(10) || '  , payload_erased_at INTEGER  -- NULL: the payload is there' || char(10) || ') STRICT')
WHERE type = 'table' AND name = 'event';
PRAGMA writable_schema=RESET;
CREATE TEMP TABLE changed (texts INTEGER CHECK (texts = 1));
INSERT INTO changed SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'event' AND sql GLOB '*payload_erased_at INTEGER*';
DROP TABLE temp.changed;
