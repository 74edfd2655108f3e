-- What an event keeps of the CloudEvent that it came as (common/cloud_event.h): a JSON object of its attributes. The column is added
-- in the text of the schema, like that of 0011 and for the same reason.
PRAGMA writable_schema=ON;
UPDATE sqlite_schema
SET sql = replace(sql, char(10) || ') STRICT', char(10) || '  , cloud_event TEXT  -- NULL: it came as something else' || char(10) || ') STRICT')
WHERE type = 'table' AND name = 'event';
PRAGMA writable_schema=RESET;
CREATE TEMP TABLE changed (texts INTEGER CHECK (texts = 1));
INSERT INTO changed SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'event' AND sql GLOB '*cloud_event TEXT*';
DROP TABLE temp.changed;
