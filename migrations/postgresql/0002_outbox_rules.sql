-- All that can be judged of a row of `outbox` at its INSERT, by the rules of POST /v1/events, in the producer's words. What it cannot
-- judge (the size that [limits] event_bytes allows, a key used before, rare forms of what is listed here) the daemon judges, and keeps
-- a bad row with the reason. The functions say what schema they belong to, for a producer's search_path may be any.

-- The unix milliseconds that a column means; NULL for NULL.
CREATE FUNCTION outbox_millis(name text, value text) RETURNS bigint LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
  fields text[];
BEGIN
  IF value IS NULL THEN RETURN NULL; END IF;
  IF value ~ '^[0-9]{1,11}$' THEN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = name || ': is in seconds, it seems; write unix milliseconds: extract(epoch FROM …)::bigint * 1000';
  END IF;
  IF value ~ '^[0-9]{12,15}$' AND value::bigint BETWEEN 100000000000 AND 253402300799999 THEN RETURN value::bigint; END IF;
  IF value ~ '^[0-9]+\.[0-9]+$' THEN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = name || ': is not a whole number; write CAST(… AS bigint), in unix milliseconds';
  END IF;
  fields := regexp_match(value, '^(\d{4})-\d\d-\d\d([Tt ])(\d\d):\d\d:\d\d(?:\.\d{1,9})?(Z|z|[+-]\d\d(?::?\d\d)?)?$');
  IF fields IS NOT NULL AND fields[4] IS NULL AND fields[2] <> ' ' THEN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = name || ': does not say in which zone; end it with Z (UTC) or an offset such as +01:00';
  END IF;
  IF fields IS NOT NULL AND fields[1] >= '1970' AND fields[3] <= '23' THEN
    BEGIN
      RETURN floor(extract(epoch FROM (value || CASE WHEN fields[4] IS NULL THEN 'Z' ELSE '' END)::timestamptz) * 1000);
    EXCEPTION WHEN data_exception THEN
      NULL;  -- there is no such day
    END;
  END IF;
  RAISE EXCEPTION USING ERRCODE = 'check_violation',
    MESSAGE = name || ': must be unix milliseconds, a timestamptz, or a time such as ''2026-11-23T15:21:00Z'' or ''2026-11-23 15:21:00'' (UTC); NULL for none';
END $$;

CREATE FUNCTION outbox_judge_headers(headers json) RETURNS text LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
  found record;
BEGIN
  IF length(headers::text) > 16384 OR json_typeof(headers) <> 'object' OR strpos(headers::text, '\u0000') > 0 THEN
    RETURN 'must be a JSON object of names and values, such as ''{"x-shop": "7"}''; NULL for none';
  END IF;
  SELECT coalesce(bool_or(json_typeof(h.value) <> 'string'), false) AS no_text,
         coalesce(bool_or(h.key !~ '^[A-Za-z0-9!#$%&''*+.^_`|~-]{1,128}$'), false) AS bad_name,
         coalesce(bool_or(translate(lower(h.key), '_', '-') ~ '^(accept-encoding|connection|content-encoding|content-length|content-type|expect|host|http2-settings|keep-alive|te|traceparent|tracestate|trailer|transfer-encoding|upgrade|user-agent|proxy|proxy-.*|webhook-.*|outboxd-.*)$'), false) AS reserved,
         coalesce(bool_or(octet_length(h.value #>> '{}') NOT BETWEEN 1 AND 4096 OR h.value #>> '{}' !~ '^[\t -~]*$'
                          OR btrim(h.value #>> '{}', E' \t') <> h.value #>> '{}'), false) AS bad_value,
         count(*) > count(DISTINCT lower(h.key)) AS twice,
         count(*) > 32 OR coalesce(sum(length(h.key) + length(h.value #>> '{}')), 0) > 8192 AS too_many
  INTO found FROM json_each(headers) AS h;
  RETURN CASE
    WHEN found.no_text THEN 'every value must be text: {"x-shop": "7"} and not {"x-shop": 7}'
    WHEN found.bad_name THEN 'a name must be 1 to 128 letters, digits or characters of !#$%&''*+-.^_`|~'
    WHEN found.reserved THEN 'host, connection, user-agent, webhook-*, outboxd-*, proxy-* and the like are set by outboxd or belong to the connection, content_type and traceparent are columns; leave them out'
    WHEN found.bad_value THEN 'a value must be 1 to 4096 visible ASCII characters, spaces and tabs, the last two not at its ends'
    WHEN found.twice THEN 'a name appears more than once'
    WHEN found.too_many THEN 'must be at most 32, of 8192 bytes in all'
  END;
END $$;

CREATE FUNCTION outbox_judge_payload(payload json, bytes bytea, content_type text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
  IF payload IS NULL AND bytes IS NULL THEN
    RETURN 'is missing; write ''null'' or ''{}'' for an event without one';
  ELSIF payload IS NOT NULL AND bytes IS NOT NULL THEN
    RETURN 'and payload_bytes are both there; give one of them';
  ELSIF coalesce(octet_length(bytes), octet_length(payload::text)) > 67108864 THEN
    RETURN 'must be at most 64 MiB';
  ELSIF bytes IS NOT NULL
        AND coalesce(lower(content_type), 'application/json') ~ '^(application/json|[^;]*\+json)[ \t]*(;.*)?$' THEN
    BEGIN
      PERFORM convert_from(bytes, 'UTF8')::json;
    EXCEPTION WHEN data_exception THEN
      RETURN 'is not JSON; give the content_type of what it is';
    END;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION outbox_row_is_judged() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  control CONSTANT text := E'[\u0001-\u001f\u007f-\u009f]';
  token CONSTANT text := '[A-Za-z0-9!#$%&''*+.^_`|~-]+';
  at CONSTANT bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
  deliver CONSTANT bigint := outbox_millis('deliver_at', NEW.deliver_at);
  expires CONSTANT bigint := outbox_millis('expires_at', NEW.expires_at);
  why text := 'payload: ' || outbox_judge_payload(NEW.payload, NEW.payload_bytes, NEW.content_type);
BEGIN
  why := coalesce(why, 'headers: ' || outbox_judge_headers(NEW.headers), CASE
    WHEN NEW.type IS NULL THEN 'type: is missing; name what happened, such as ''order.paid'''
    WHEN length(NEW.type) > 128 OR NEW.type !~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$' THEN
      'type: must be 1 to 128 of A-Z a-z 0-9 _ . - in segments separated by single dots, such as ''order.paid'''
    WHEN NEW.rejected IS NOT NULL OR NEW.rejected_at IS NOT NULL THEN
      'rejected, rejected_at: are set by outboxd; leave them out'
    WHEN length(NEW.content_type) > 255 OR NEW.content_type !~ ('^' || token || '/' || token || '[ \t]*(;[\t -~]*)?$') THEN
      'content_type: must be a media type of at most 255 characters, such as ''text/plain''; NULL for application/json'
    WHEN strpos(NEW.content_type, ';') > 0 AND strpos(NEW.content_type, '"') = 0
         AND NEW.content_type !~ ('^[^;]*(;[ \t]*' || token || '=' || token || '[ \t]*)+$') THEN
      'content_type: each parameter must be name=value, such as ''text/plain; charset=utf-8'''
    WHEN NEW.tenant = '_ops' THEN 'tenant: _ops is reserved for events of outboxd itself'
    WHEN NEW.tenant !~ '^[A-Za-z0-9_.:-]{0,128}$' THEN 'tenant: must be at most 128 of A-Z a-z 0-9 _ . : -'
    WHEN octet_length(NEW.ordering_key) NOT BETWEEN 1 AND 256 OR NEW.ordering_key ~ control THEN
      'ordering_key: must be 1 to 256 bytes of UTF-8 without control characters; NULL for none'
    WHEN octet_length(NEW.idempotency_key) NOT BETWEEN 1 AND 256 OR NEW.idempotency_key ~ control THEN
      'idempotency_key: must be 1 to 256 bytes of UTF-8 without control characters; NULL for none'
    WHEN NEW.priority NOT BETWEEN 0 AND 9 THEN 'priority: must be 0 to 9, a higher one goes first; NULL for 5'
    WHEN length(NEW.traceparent) > 256 THEN
      'traceparent: must be that of W3C Trace Context, such as ''00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'''
    WHEN expires <= at THEN 'expires_at: lies in the past; a time without an offset is UTC'
    WHEN deliver > at + 31536000000 THEN 'deliver_at: must be at most 365 days ahead'
    WHEN expires <= deliver THEN 'expires_at: must be later than deliver_at'
  END);
  IF why IS NOT NULL THEN RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = why; END IF;
  -- A timestamptz becomes text with an offset that may have no minutes, which RFC 3339 does not know.
  IF NEW.deliver_at ~ '[+-]\d\d(\d\d)?$' AND NEW.deliver_at ~ ':' THEN NEW.deliver_at := deliver; END IF;
  IF NEW.expires_at ~ '[+-]\d\d(\d\d)?$' AND NEW.expires_at ~ ':' THEN NEW.expires_at := expires; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER outbox_row_is_judged BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION outbox_row_is_judged();

-- What happened does not change. (Only `rejected` and `rejected_at` are written after the INSERT.)
CREATE FUNCTION outbox_row_is_final() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = 'a row of outbox cannot be changed: delete it and insert another';
END $$;
CREATE TRIGGER outbox_row_is_final
BEFORE UPDATE OF seq, type, payload, payload_bytes, tenant, content_type, ordering_key, idempotency_key, deliver_at, expires_at,
  priority, headers, traceparent ON outbox FOR EACH ROW EXECUTE FUNCTION outbox_row_is_final();
