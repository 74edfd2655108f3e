-- TLS of an endpoint's own. (Encrypted secrets need no new column: `secrets` holds {"sealed", "key", ...} instead of {"text", ...}.)

ALTER TABLE endpoint ADD COLUMN tls TEXT CHECK (tls IS NULL OR json_valid(tls));  -- {"ca_file", "client_cert", "client_key"}: names of files
