-- How many deliveries each endpoint has in each state, kept in the transactions that change them: a list of endpoints shows its
-- numbers without counting anything. An endpoint without a row has none.
CREATE TABLE endpoint_count (
  endpoint INTEGER PRIMARY KEY,
  pending INTEGER NOT NULL,
  delivered INTEGER NOT NULL,
  dead INTEGER NOT NULL,
  discarded INTEGER NOT NULL
) STRICT;
INSERT INTO endpoint_count
SELECT endpoint, sum(state = 'pending'), sum(state = 'delivered'), sum(state = 'dead'), sum(state = 'discarded')
FROM delivery GROUP BY endpoint;
