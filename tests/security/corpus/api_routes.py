"""Every route, what it asks of its caller, and whether a token of one tenant is enough: written down once more, apart from the daemon's own
tables and from /openapi.json, with which it is compared. (method, path, (scopes besides admin, may a tenant's token?))"""
from corpus.api_json import BAT, DLV, EP, EVT

OPEN = (None, True)
SEND = (("ingest",), True)
LOOK_UP = (("ingest", "view"), True)
VIEW, VIEW_ALL = (("view",), True), (("view",), False)
ADMIN, ADMIN_ALL = ((), True), ((), False)

ROUTES = [
    ("POST", "/v1/events", SEND), ("GET", "/v1/events", VIEW), ("GET", "/v1/events/{id}", LOOK_UP),
    ("GET", "/v1/events/{id}/payload", LOOK_UP), ("DELETE", "/v1/events/{id}/payload", ADMIN), ("POST", "/v1/events/{id}/replay", ADMIN),
    ("GET", "/v1/types", VIEW),
    ("GET", "/v1/outbox/{row}", VIEW_ALL), ("DELETE", "/v1/outbox/{row}", ADMIN_ALL), ("POST", "/v1/outbox/{row}/retry", ADMIN_ALL),
    ("POST", "/v1/endpoints", ADMIN), ("GET", "/v1/endpoints", VIEW), ("GET", "/v1/endpoints/{id}", VIEW),
    ("PATCH", "/v1/endpoints/{id}", ADMIN), ("DELETE", "/v1/endpoints/{id}", ADMIN), ("POST", "/v1/endpoints/{id}/pause", ADMIN),
    ("POST", "/v1/endpoints/{id}/resume", ADMIN), ("POST", "/v1/endpoints/{id}/test", ADMIN), ("POST", "/v1/endpoints/{id}/filter/test", ADMIN),
    ("GET", "/v1/endpoints/{id}/secrets", ADMIN),
    ("POST", "/v1/endpoints/{id}/secrets/rotate", ADMIN), ("GET", "/v1/endpoints/{id}/stats", VIEW),
    ("GET", "/v1/deliveries", VIEW), ("GET", "/v1/deliveries/{id}", VIEW), ("GET", "/v1/deliveries/{id}/request", ADMIN),
    ("POST", "/v1/deliveries/{id}/retry", ADMIN), ("POST", "/v1/deliveries/{id}/discard", ADMIN),
    ("POST", "/v1/batches", ADMIN), ("GET", "/v1/batches", VIEW), ("GET", "/v1/batches/{id}", VIEW), ("POST", "/v1/batches/{id}/cancel", ADMIN),
    ("GET", "/v1/attempts", VIEW), ("GET", "/v1/attempts/stream", VIEW), ("GET", "/v1/failures", VIEW), ("GET", "/v1/series", VIEW),
    ("GET", "/v1/status", VIEW), ("GET", "/v1/sources", VIEW_ALL), ("GET", "/v1/setup", VIEW_ALL), ("GET", "/v1/audit", VIEW_ALL),
    ("POST", "/v1/prune", ADMIN_ALL),
    ("GET", "/v1/secrets", ADMIN_ALL), ("POST", "/v1/secrets/encrypt", ADMIN_ALL),
    ("GET", "/healthz", OPEN), ("GET", "/readyz", OPEN), ("GET", "/metrics", VIEW_ALL), ("GET", "/openapi.json", OPEN),
    ("GET", "/v1/session", OPEN), ("POST", "/v1/session", OPEN), ("DELETE", "/v1/session", OPEN),
    ("GET", "/", OPEN), ("GET", "/dashboard/{file}", OPEN),
]

SCOPES = ("ingest", "view", "admin")
IDS = {"/v1/events/": EVT, "/v1/endpoints/": EP, "/v1/deliveries/": DLV, "/v1/batches/": BAT}


def granted(access, scope, of_tenant):
    """May a caller of this scope, of one tenant or of all, use a route of this access?"""
    scopes, tenants = access
    return scopes is None or ((scope == "admin" or scope in scopes) and (tenants or not of_tenant))


def harmless(path):
    """The target of a request to this path that changes nothing and ends, whoever may ask: it names what is not there."""
    kind = next((own for start, own in IDS.items() if path.startswith(start)), "")
    target = path.replace("{id}", kind).replace("{row}", "9223372036854775807")
    return target + "?last=x" * path.endswith("/stream")
