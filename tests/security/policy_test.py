"""No request goes where the address policy does not allow it: at registration, at sending, after DNS or the policy has changed in between, on
every path that sends. Runs in a network namespace where every address is this machine's own, when the machine has such a thing."""
import hashlib
import ipaddress
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from policy_support import (ALLOW_ALL, ALLOW_LOOPBACK, DEFAULT, DEFAULT_WITH_HTTP, IN_NAMESPACE, PUBLIC, Catcher, EndToEndTest,  # noqa: E402
                            NameServer, PolicyDaemon, Proxy, Subscriber, corpus, corpus_urls, enter_namespace, wait_until)

REFUSAL = "the address policy does not allow this URL"
# What a connection cannot be made to, even where every address is one's own: no control can show that it would have been seen.
UNREACHABLE = re.compile(r"(22[4-9]|23\d)\.|(127|255)\.255\.255\.255$|ff|fe[89ab]", re.I)


class PolicyTest(EndToEndTest):
    def name_server(self, default=None):
        server = NameServer(default)
        self.addCleanup(server.close)
        return server

    def started(self, policy, *settings, dns=None, environment=None):
        if dns:
            settings += (f"delivery.dns_servers={dns.servers}",)
        daemon = PolicyDaemon(self.folder, policy, settings, environment)
        self.daemons.append(daemon)
        return daemon.start()

    def opened(self, listener):
        self.addCleanup(listener.close)
        return listener

    def subscriber(self, answer=lambda request: 200, tls=None):
        return self.opened(Subscriber(answer, tls))

    def stored_urls(self, daemon):
        urls, cursor = [], ""
        while cursor is not None:
            page = daemon.get(f"/v1/endpoints?limit=250{cursor and '&cursor=' + cursor}").json
            urls += [endpoint["url"] for endpoint in page["data"]]
            cursor = page["next_cursor"]
        return urls

    def assert_blocked(self, daemon, delivery):
        self.assertEqual(("dead", "blocked"), (delivery["state"], delivery["reason"]), delivery)
        attempt = daemon.attempts(delivery)[-1]
        self.assertEqual("blocked", attempt["outcome"], attempt)
        return attempt


class Registration(PolicyTest):
    def test_every_url_and_address_of_the_corpus_gets_its_verdict_and_only_the_allowed_are_stored(self):
        daemon = self.started(DEFAULT, dns=self.name_server(default=[PUBLIC]))
        victim = daemon.endpoint("https://8.8.8.8/victim")
        wrong, denied, allowed = [], [], 0
        for url, row in corpus_urls():
            answers = [daemon.post("/v1/endpoints", {"url": url})]
            if row.verdict == "allowed":
                allowed += 1
            else:
                answers.append(daemon.call("PATCH", f"/v1/endpoints/{victim['id']}", {"url": url}))
            wrong += [(row, answer) for answer in answers if answer.status != (201 if row.verdict == "allowed" else 422)]
            if row.verdict == "denied":
                denied += answers
        self.assertEqual([], wrong)
        # What the caller is told is the same for all of them: it maps no network.
        for answer in denied:  # to an operator, who is told what was denied and what would allow it
            detail = answer.json["detail"]
            self.assertTrue(detail.startswith(REFUSAL + ": "), detail)
            self.assertRegex(detail, r"; (set \[policy\] |no setting allows it$)")
            self.assertEqual([{"pointer": "/url", "detail": detail}], answer.json["errors"])
        urls = self.stored_urls(daemon)
        self.assertEqual(allowed + 1, len(urls))
        self.assertIn("https://8.8.8.8/victim", urls)
        self.assertEqual(len(denied), self.denials(daemon))

    def denials(self, daemon):
        lines = daemon.get("/metrics").body.decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("outbox_policy_denials_total{"))

    def test_the_log_and_an_operators_answer_have_the_reason_and_the_setting(self):
        dns = self.name_server()
        dns.set("inside.test", "192.168.7.9")
        daemon = self.started(DEFAULT, dns=dns)
        for host, address in (("10.1.2.3", "10.1.2.3"), ("inside.test", "192.168.7.9"), ("[::ffff:172.16.9.9]", "::ffff:172.16.9.9")):
            answer = daemon.post("/v1/endpoints", {"url": f"https://{host}/"})
            self.assertEqual(422, answer.status)
            self.assertIn(f"address {address} is not allowed", answer.json["detail"])
            self.assertIn("set [policy] allow_networks = [", answer.json["detail"])
            wait_until(lambda: [line for line in daemon.log().splitlines() if f"address {address} is not allowed" in line
                                and "set [policy] allow_networks = [" in line], "the log has them too")

    def test_a_name_with_a_denied_answer_is_refused_and_one_without_an_answer_is_not(self):
        dns = self.name_server()
        daemon = self.started(DEFAULT, dns=dns)
        wrong, said, expected = [], [], []
        for row in corpus("dns.tsv"):
            name, aliases, found = row.answer
            dns.set(name, *found, aliases=aliases)
            answer = daemon.post("/v1/endpoints", {"url": f"https://{name}/"})
            if answer.status != (422 if row.verdict == "denied" else 201):
                wrong.append((row, answer.status))
            if row.verdict == "denied":
                said.append(answer.json["detail"])
            else:
                expected.append(f"https://{name}/")
        self.assertEqual([], wrong)
        self.assertEqual([], [text for text in said if not text.startswith(REFUSAL + ": ") or "; set [policy] " not in text])
        self.assertCountEqual(expected, self.stored_urls(daemon))

    def test_a_name_server_that_is_silent_delays_a_registration_and_does_not_decide_it(self):
        dns = self.name_server()
        dns.set("silent.test", "silent")
        daemon = self.started(DEFAULT, dns=dns)
        daemon.endpoint("https://silent.test/")
        dns.set("silent.test", "10.0.0.1")
        # The first attempt may still share the question that nobody answered.
        self.assert_blocked(daemon, wait_until(lambda: self.first_not_of_dns(daemon), "the name is resolved"))

    def first_not_of_dns(self, daemon):
        delivery, = daemon.ended(daemon.event())
        return delivery if delivery["error"] != "dns" else None

    def test_a_lenient_policy_takes_what_the_default_denies(self):
        """The control: what refuses is the policy, and nothing else about these URLs."""
        daemon = self.started(ALLOW_ALL, dns=self.name_server(default=[PUBLIC]))
        wrong = [(row, answer) for url, row in corpus_urls() if row.verdict == "denied"
                 and (answer := daemon.post("/v1/endpoints", {"url": url})).status != 201]
        self.assertEqual([], wrong)


class Sending(PolicyTest):
    def register_corpus(self, daemon, dns, verdicts, scheme="https"):
        """Endpoints of all rows with one of these verdicts: row by id. Without TLS thousands of connections cost next to nothing."""
        rows = {}
        for row in corpus("dns.tsv"):
            name, aliases, found = row.answer
            dns.set(name, *found, aliases=aliases)
        for url, row in corpus_urls() + [(f"https://{row.answer[0]}/", row) for row in corpus("dns.tsv")]:
            if row.verdict in verdicts and (row.kind != "cleartext" or scheme == "https"):
                rows[daemon.endpoint(re.sub("^https:", scheme + ":", url, flags=re.I))["id"]] = row
        return rows

    def literal_of(self, daemon, endpoint):
        """The address that a connection to this endpoint's URL is seen at; None for a name or a port that nobody listens at."""
        url = urllib.parse.urlsplit(daemon.get(f"/v1/endpoints/{endpoint}").json["url"])
        try:
            address = ipaddress.ip_address(url.hostname)
        except ValueError:
            return None
        if url.port not in (None, 80, 443):
            return None
        address = getattr(address, "ipv4_mapped", None) or address
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(str(address), str(address))

    def assert_verdicts(self, daemon, event, rows):
        """Each delivery of the event ended as its endpoint's row says; the errors that the API shows for the blocked ones."""
        errors, wrong = set(), []
        for delivery in daemon.ended(event, len(rows)):
            row, attempt = rows[delivery["endpoint"]], daemon.attempts(delivery)[-1]
            blocked = (delivery["state"], delivery["reason"], attempt["outcome"]) == ("dead", "blocked", "blocked")
            half_blocked = not blocked and "blocked" in (delivery["reason"], attempt["outcome"])
            if half_blocked or blocked != (row.verdict == "denied"):
                wrong.append((row, delivery["reason"], attempt["outcome"], attempt["error"]))
            if blocked:
                errors.add(attempt["error"])
                if attempt["timings"]["connect_ms"] is not None:
                    wrong.append((row, attempt["timings"]))
        self.assertEqual([], wrong)
        return errors

    def assert_one_message(self, errors):
        self.assertEqual(1, len(errors), errors)
        self.assertNotRegex(min(errors), r"\d|::|loopback|private|link local|metadata")

    @unittest.skipUnless(IN_NAMESPACE, "needs a network namespace (unshare) and ip")
    def test_endpoints_that_a_lenient_policy_took_are_blocked_after_a_reload_and_after_a_restart(self):
        dns, catcher = self.name_server(default=[PUBLIC]), self.opened(Catcher(80, 443))
        daemon = self.started(ALLOW_ALL, dns=dns)
        rows = self.register_corpus(daemon, dns, ("denied", "allowed"), scheme="http")
        # The control: the listener sees every one of them as long as the policy allows it.
        literals = {id: address for id in rows if (address := self.literal_of(daemon, id))}
        daemon.ended(daemon.event(), len(rows))
        self.assertEqual(set(), {address for address in literals.values() if not UNREACHABLE.match(address)} - set(catcher.caught))
        allowed = {address for id, address in literals.items() if rows[id].verdict == "allowed"}
        for name, (_, addresses) in dns.table.items():
            if any(row.verdict == "allowed" and row.input.startswith(name + " ") for row in rows.values()):
                allowed.update(addresses)
        for change in (daemon.reload, daemon.restart):
            change(DEFAULT_WITH_HTTP)
            catcher.caught.clear()
            errors = self.assert_verdicts(daemon, daemon.event(), rows)
            self.assertEqual(set(), set(catcher.caught) - allowed - {PUBLIC})
            self.assertLessEqual(set(a for id, a in literals.items() if rows[id].verdict == "allowed"), set(catcher.caught))
            change(ALLOW_ALL)
        self.assert_one_message(errors)

    def test_a_proxy_is_asked_for_allowed_targets_only(self):
        dns, proxy = self.name_server(default=[PUBLIC]), self.opened(Proxy())
        daemon = self.started(ALLOW_ALL, f"delivery.proxy={proxy.url}", dns=dns)
        rows = self.register_corpus(daemon, dns, ("denied", "allowed", "unresolvable"))
        daemon.restart(DEFAULT)
        self.assert_verdicts(daemon, daemon.event(), rows)
        targets = [urllib.parse.urlsplit(daemon.get(f"/v1/endpoints/{id}").json["url"]) for id, row in rows.items() if row.verdict == "allowed"]
        self.assertCountEqual([f"{url.netloc.removesuffix(f':{url.port}')}:{url.port or 443}" for url in targets], proxy.asked)


class Changes(PolicyTest):
    """DNS or the policy changes between registration and sending, or between two sends."""

    REBOUND = {"loopback.test": ["127.0.0.2"], "private.test": ["10.0.0.1"], "metadata.test": ["169.254.169.254"], "unspecified.test": ["0.0.0.0"],
               "six.test": ["::1"], "mapped.test": ["::ffff:127.0.0.1"],
               "mixed.test": ["127.0.0.1", "10.0.0.1"], "mixed6.test": ["127.0.0.1", "fd00::1"]}

    def rebind(self, dns):
        for name, addresses in self.REBOUND.items():
            dns.set(name, *addresses)

    def test_a_name_that_is_rebound_after_registration_is_blocked_at_its_first_attempt(self):
        dns, subscriber = self.name_server(), self.subscriber()
        daemon = self.started(ALLOW_LOOPBACK, dns=dns)
        for name in self.REBOUND:
            daemon.endpoint(f"http://{name}:{subscriber.port}/")  # no answer yet: taken
        self.rebind(dns)
        for delivery in daemon.ended(daemon.event(), len(self.REBOUND)):
            self.assert_blocked(daemon, delivery)
        self.assertEqual(0, subscriber.connections)

    def test_a_name_that_is_rebound_between_two_attempts_is_blocked_and_back_again_delivers(self):
        dns, subscriber = self.name_server(), self.subscriber()
        for name in self.REBOUND:
            dns.set(name, "127.0.0.1")
        daemon = self.started(ALLOW_LOOPBACK, dns=dns)
        for name in self.REBOUND:
            daemon.endpoint(f"http://{name}:{subscriber.port}/{name}")
        count = len(self.REBOUND)
        self.assertEqual({"delivered"}, {d["state"] for d in daemon.ended(daemon.event(), count)})
        self.assertEqual(count, len(subscriber.requests))
        asked = dict(dns.queries)
        self.rebind(dns)
        # Within their TTL, at least a second, old answers are used; then all are blocked, open connections or not.
        blocked = wait_until(lambda: self.all_in(daemon.ended(daemon.event(), count), "dead"), "every name is blocked")
        self.assertTrue(all(dns.queries[name] > asked[name] for name in self.REBOUND))
        for delivery in blocked:
            self.assert_blocked(daemon, delivery)
        came, connected = len(subscriber.requests), subscriber.connections
        for delivery in daemon.ended(daemon.event(), count):
            self.assert_blocked(daemon, delivery)
        self.assertEqual((came, connected), (len(subscriber.requests), subscriber.connections))
        # Bound back, an operator's retry delivers what was blocked.
        for name in self.REBOUND:
            dns.set(name, "127.0.0.1")
        waiting = {delivery["id"] for delivery in blocked}

        def retried():
            for id in sorted(waiting):
                if (delivery := daemon.get(f"/v1/deliveries/{id}").json)["state"] == "delivered":
                    waiting.discard(id)
                elif delivery["state"] == "dead":
                    daemon.post(f"/v1/deliveries/{id}/retry", {})
            return not waiting
        wait_until(retried, "every retry is delivered")

    def all_in(self, deliveries, state):
        return all(delivery["state"] == state for delivery in deliveries) and deliveries

    RETRIES = ["0s", *["500ms"] * 40]

    def blocked_and_pending(self, daemon, count):
        wait_until(lambda: [row["error"] for row in daemon.deliveries("&state=pending")] == ["blocked"] * count,
                   "the policy refused an attempt of each delivery")

    def test_a_name_that_answers_with_a_denied_address_for_a_while_costs_no_delivery(self):
        dns, subscriber = self.name_server(), self.subscriber()
        names = {"zero.test": "0.0.0.0", "private.test": "10.0.0.1"}
        daemon = self.started(ALLOW_LOOPBACK, dns=dns)
        for name in names:
            daemon.endpoint(f"http://{name}:{subscriber.port}/", retry_schedule=self.RETRIES)  # no answer yet: taken
        for name, denied in names.items():
            dns.set(name, denied)
        event = daemon.event()
        self.blocked_and_pending(daemon, len(names))
        for name in names:
            dns.set(name, "127.0.0.1")
        self.assertEqual({"delivered"}, {d["state"] for d in daemon.ended(event, len(names))})
        self.assertEqual(len(names), len(subscriber.requests))

    def test_a_reload_of_a_policy_that_was_cut_short_costs_no_delivery(self):
        subscriber = self.subscriber()
        daemon = self.started(ALLOW_LOOPBACK)
        daemon.endpoint(subscriber.url, retry_schedule=self.RETRIES)
        daemon.reload({"allow_http": True})  # the lines behind it are missing
        event = daemon.event()
        self.blocked_and_pending(daemon, 1)
        daemon.reload(ALLOW_LOOPBACK)
        self.assertEqual("delivered", daemon.ended(event)[0]["state"])

    def check_that_a_deny_rule_stops_the_next_request(self, host):
        dns, subscriber = self.name_server(), self.subscriber()
        dns.set("hooks.test", "127.0.0.1")
        daemon = self.started(ALLOW_LOOPBACK, dns=dns)
        daemon.endpoint(f"http://{host}:{subscriber.port}/")

        def send(state):
            delivery, = daemon.ended(daemon.event())
            self.assertEqual(state, delivery["state"], delivery)
            return delivery

        send("delivered")
        daemon.reload(ALLOW_LOOPBACK)  # the control: a reload without a rule, and the connection serves again
        send("delivered")
        self.assertEqual((2, 1, 1), (len(subscriber.requests), subscriber.connections, subscriber.open))
        daemon.reload({**ALLOW_LOOPBACK, "deny_networks": ["127.0.0.0/8"]})
        self.assertEqual(1, subscriber.open)  # it could be used
        self.assert_blocked(daemon, send("dead"))
        self.assertEqual((2, 1), (len(subscriber.requests), subscriber.connections))
        daemon.reload(ALLOW_LOOPBACK)
        send("delivered")
        self.assertEqual(3, len(subscriber.requests))

    def test_a_deny_rule_stops_the_very_next_request_to_an_address_on_its_open_connection(self):
        self.check_that_a_deny_rule_stops_the_next_request("127.0.0.1")

    def test_a_deny_rule_stops_the_very_next_request_to_a_name_on_its_open_connection(self):
        self.check_that_a_deny_rule_stops_the_next_request("hooks.test")

    def test_a_deny_rule_reaches_every_thread_that_sends(self):
        subscriber = self.subscriber()
        daemon = self.started(ALLOW_LOOPBACK, "delivery.threads=3")
        for number in range(12):
            daemon.endpoint(f"{subscriber.url}/{number}")
        self.assertEqual({"delivered"}, {d["state"] for d in daemon.ended(daemon.event(), 12)})
        daemon.reload(DEFAULT)
        for delivery in daemon.ended(daemon.event(), 12):
            self.assert_blocked(daemon, delivery)
        self.assertEqual(12, len(subscriber.requests))

    def test_a_deny_rule_stops_a_request_whose_name_is_being_resolved(self):
        dns, subscriber = self.name_server(), self.subscriber()
        dns.set("slow.test", "none")
        daemon = self.started(ALLOW_LOOPBACK, dns=dns)
        daemon.endpoint(f"http://slow.test:{subscriber.port}/")
        dns.set("slow.test", "silent")
        asked = dns.queries["slow.test"]
        event = daemon.event()
        wait_until(lambda: dns.queries["slow.test"] > asked, "the name is asked for")
        daemon.reload({**ALLOW_LOOPBACK, "deny_networks": ["127.0.0.1"]})
        dns.set("slow.test", "127.0.0.1")
        self.assert_blocked(daemon, daemon.ended(event)[0])
        self.assertEqual(0, subscriber.connections)

    def test_other_rules_of_a_reload_hold_for_the_very_next_request(self):
        """Those of the URL: http, ports; and those of the address: no exception any more, for networks and for hosts."""
        dns, subscriber = self.name_server(), self.subscriber()
        dns.set("hooks.test", "127.0.0.1")
        hosts = {"allow_http": True, "ports": [], "allow_hosts": ["hooks.test"]}
        daemon = self.started(hosts, dns=dns)
        daemon.endpoint(f"http://hooks.test:{subscriber.port}/")
        changes = {"allow_http": False}, {"ports": [80, 443]}, {"allow_hosts": ["*.hooks.test"]}, {"allow_hosts": []}
        for number, taken_away in enumerate(changes, 1):
            daemon.reload(hosts)
            self.assertEqual("delivered", daemon.ended(daemon.event())[0]["state"])
            daemon.reload({**hosts, **taken_away})
            self.assert_blocked(daemon, daemon.ended(daemon.event())[0])
            self.assertEqual(number, len(subscriber.requests), taken_away)

    def test_a_policy_that_cannot_be_read_changes_nothing(self):
        subscriber = self.subscriber()
        daemon = self.started(ALLOW_LOOPBACK)
        daemon.endpoint(subscriber.url)
        daemon.policy({"deny_networks": ["127.0.0.1/8"]})  # host bits
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "reload refused" in daemon.log(), "the reload is refused")
        self.assertEqual("delivered", daemon.ended(daemon.event())[0]["state"])
        self.assertEqual(422, daemon.post("/v1/endpoints", {"url": "http://127.0.0.2/"}).status)


class Paths(PolicyTest):
    """Every path that sends asks the same policy."""

    def test_tests_retries_replays_and_batches_are_blocked_as_the_first_attempt_is(self):
        dns, subscriber = self.name_server(), self.subscriber()
        dns.set("hooks.test", "127.0.0.1")
        daemon = self.started(ALLOW_LOOPBACK, dns=dns)
        endpoints = [daemon.endpoint(f"http://{host}:{subscriber.port}/") for host in ("127.0.0.1", "hooks.test", "localhost")]
        event = daemon.event()
        self.assertEqual({"delivered"}, {d["state"] for d in daemon.ended(event, 3)})
        for endpoint in endpoints:  # the control
            self.assertEqual("success", daemon.post(f"/v1/endpoints/{endpoint['id']}/test", {}).json["attempt"]["outcome"])
        came, connections = len(subscriber.requests), subscriber.connections
        daemon.reload({**ALLOW_LOOPBACK, "allow_networks": []})
        errors = set()
        for endpoint in endpoints:
            attempt = daemon.post(f"/v1/endpoints/{endpoint['id']}/test", {}).json["attempt"]
            self.assertEqual("blocked", attempt["outcome"])
            self.assertTrue(attempt["error"].startswith(REFUSAL + ": "), attempt)  # it is stored nowhere
            self.assertNotEqual(0, daemon.ctl("endpoint", "test", endpoint["id"]).returncode)
        dead = daemon.ended(daemon.event(), 3)
        self.assertLess(daemon.post(f"/v1/events/{event['id']}/replay", {}).status, 300)
        replayed = wait_until(lambda: self.ended_dead(daemon, event, 3), "the replayed deliveries have ended")
        for delivery in dead:
            daemon.post(f"/v1/deliveries/{delivery['id']}/retry", {})
            wait_until(lambda: self.has_died_twice(daemon, delivery), "the retry has ended")
        for delivery in dead + replayed:
            errors.add(self.assert_blocked(daemon, delivery)["error"])
        self.assertEqual((came, connections), (len(subscriber.requests), subscriber.connections))
        self.assertEqual(1, len(errors), errors)
        self.assertNotRegex(min(errors), r"\d|loopback")

    def has_died_twice(self, daemon, delivery):
        now = daemon.get(f"/v1/deliveries/{delivery['id']}").json
        return now["state"] == "dead" and len(now["attempt_list"]) == 2

    def ended_dead(self, daemon, event, count):
        rows = [row for row in daemon.deliveries(f"&event={event['id']}") if row["state"] == "dead"]
        return len(rows) == count and rows

    def test_urls_put_into_the_database_by_hand_are_sent_nothing(self):
        """Whoever writes to the file has more than this, but an old or a restored database is nobody's attack."""
        catcher = self.opened(Catcher())
        daemon = self.started(DEFAULT, dns=self.name_server(default=["127.0.0.1"]))
        here = f"http://127.0.0.1:{catcher.port}"
        rows = [(url.replace("https://example.com", here), row) for url, row in corpus_urls() if row.verdict == "malformed"]
        ids = [daemon.endpoint("https://8.8.8.8/")["id"] for _ in rows]
        self.assertEqual(0, daemon.stop())
        with sqlite3.connect(daemon.database) as database:
            for (url, _), (seq,) in zip(rows, database.execute("SELECT seq FROM endpoint ORDER BY seq").fetchall()):
                database.execute("UPDATE endpoint SET url = ? WHERE seq = ?", (url, seq))
        database.close()
        # Even where any address, port and scheme is allowed.
        daemon.policy(ALLOW_ALL)
        daemon.start()
        control = daemon.endpoint(here)["id"]
        daemon.event()
        wait_until(lambda: [d["endpoint"] for d in daemon.deliveries("&state=dead")] == [control], "the control has been sent")
        wrong = []
        for id, (url, row) in zip(ids, rows):
            attempt = daemon.post(f"/v1/endpoints/{id}/test", {}).json["attempt"]
            if attempt["outcome"] != "blocked":
                wrong.append((url, row, attempt))
        self.assertEqual([], wrong)
        self.assertEqual(1, len(catcher.caught))
        lines = lambda: daemon.log().count("an endpoint cannot be sent to")
        wait_until(lambda: lines() >= len(rows), "each is in the log")
        self.assertEqual(len(rows), lines())


class Surroundings(PolicyTest):
    """What a subscriber answers and what is around the daemon leads no request elsewhere."""

    def test_redirects_are_not_followed(self):
        elsewhere = self.subscriber()
        daemon = self.started(ALLOW_LOOPBACK)
        for status in (300, 301, 302, 303, 305, 307, 308):
            bouncer = self.subscriber(lambda request, status=status: (status, {"Location": elsewhere.url, "Refresh": f"0; url={elsewhere.url}"}))
            daemon.endpoint(bouncer.url)
        pointing = {"Location": elsewhere.url, "Content-Location": elsewhere.url, "Refresh": f"0; url={elsewhere.url}"}
        daemon.endpoint(self.subscriber(lambda request: (200, pointing)).url)
        ends = daemon.ended(daemon.event(), 8)
        self.assertEqual(["redirect"] * 7 + ["success"], sorted(daemon.attempts(d)[-1]["outcome"] for d in ends))
        self.assertEqual(0, elsewhere.connections)

    def test_the_environment_and_the_home_folder_lead_no_request_elsewhere(self):
        proxy, subscriber, dns = self.opened(Proxy()), self.subscriber(), self.name_server()
        dns.set("hooks.test", "127.0.0.1")
        home = self.folder / "home"
        home.mkdir()
        (home / ".netrc").write_text("machine 127.0.0.1 login thief password s3cret\ndefault login thief password s3cret\n")
        (home / ".netrc").chmod(0o600)
        (home / ".curlrc").write_text(f'proxy = "{proxy.url}"\nuser-agent = "curlrc"\nuser = "thief:s3cret"\nnetrc\nlocation\n')
        names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")
        environment = {**{name: proxy.url for name in names}, "no_proxy": "", "NO_PROXY": "", "HOME": str(home), "CURL_HOME": str(home),
                       "XDG_CONFIG_HOME": str(home), "NETRC": str(home / ".netrc"), "HOSTALIASES": str(home / "aliases"),
                       "LOCALDOMAIN": "test", "RES_OPTIONS": "ndots:15"}
        (home / "aliases").write_text("hooks elsewhere.test\n")
        daemon = self.started(ALLOW_LOOPBACK, dns=dns, environment=environment)
        for host in ("127.0.0.1", "hooks.test", "localhost"):
            daemon.endpoint(f"http://{host}:{subscriber.port}/")
        search = daemon.endpoint(f"http://hooks:{subscriber.port}/")["id"]  # no search list and no alias makes this a name that exists
        ends = daemon.ended(daemon.event(), 4)
        self.assertEqual({"dns"}, {daemon.attempts(d)[-1]["outcome"] for d in ends if d["endpoint"] == search})
        self.assertEqual(["delivered"] * 3, [d["state"] for d in ends if d["endpoint"] != search])
        self.assertEqual([], proxy.asked)
        for request in subscriber.requests:
            self.assertNotIn("authorization", request.headers)
            self.assertNotIn("proxy-connection", request.headers)
            self.assertTrue(request.headers["user-agent"].startswith("outboxd/"))
        if shutil.which("curl"):  # the control: this is how libcurl's own tool goes with the same surroundings
            subprocess.run(["curl", "-sm5", subscriber.url], env={**os.environ, **environment}, capture_output=True, check=False)
            self.assertEqual([subscriber.url], proxy.asked)

    def test_cookies_of_an_answer_are_not_sent_back(self):
        subscriber = self.subscriber(lambda request: (200, {"Set-Cookie": "session=1; Path=/"}))
        daemon = self.started(ALLOW_LOOPBACK, "delivery.max_in_flight=32")
        for host in ("127.0.0.1", "localhost"):
            daemon.endpoint(f"http://{host}:{subscriber.port}/", types=[host])
        for host in ("127.0.0.1", "localhost") * 2:
            self.assertEqual("delivered", daemon.ended(daemon.event(host))[0]["state"])
        self.assertEqual(4, len(subscriber.requests))
        self.assertEqual([], [request.headers for request in subscriber.requests if "cookie" in request.headers])

    def certificate(self, name):
        """Signs itself: (a server's context, the file of its authority)."""
        cert, key = self.folder / "cert.pem", self.folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", cert],
                       capture_output=True, check=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return context, cert

    @unittest.skipUnless(shutil.which("openssl"), "needs openssl")
    def test_hsts_and_alternative_services_of_an_answer_have_no_effect(self):
        context, authority = self.certificate("hooks.test")
        dns, elsewhere, plain = self.name_server(), self.subscriber(tls=context), self.subscriber()
        dns.set("hooks.test", "127.0.0.1")
        answers = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains",
                   # h1 is what libcurl 7.88 calls HTTP/1.1 here
                   "Alt-Svc": ", ".join(f'{protocol}="hooks.test:{elsewhere.port}"; ma=3600' for protocol in ("h1", "http/1.1", "h2"))}
        secure = self.subscriber(lambda request: (200, answers), tls=context)
        urls = f"https://hooks.test:{secure.port}/", f"http://hooks.test:{plain.port}/"
        # libcurl keeps such things in its handles: with few of them, and one request at a time, all go through the same one.
        daemon = self.started(ALLOW_LOOPBACK, "delivery.max_in_flight=32", dns=dns)
        daemon.endpoint(urls[0], types=["secure"], tls={"ca_file": str(authority)})
        daemon.endpoint(urls[1], types=["plain"])
        for type in ("secure", "plain", "secure", "plain"):
            delivery, = daemon.ended(daemon.event(type))
            self.assertEqual("delivered", delivery["state"], daemon.attempts(delivery))
        self.assertEqual((2, 2, 0), (len(secure.requests), len(plain.requests), elsewhere.connections))
        if shutil.which("curl"):  # the control: libcurl's own tool follows both when it is told to
            curl = ["curl", "-sm10", "--cacert", authority, "--hsts", self.folder / "hsts", "--alt-svc", self.folder / "alt-svc", "-d", ""]
            for receiver in (secure, plain, elsewhere):
                curl += ["--resolve", f"hooks.test:{receiver.port}:127.0.0.1"]
            for url in (*urls, urls[0]):
                subprocess.run([*curl, url], capture_output=True, check=False)
            self.assertEqual((2, 1), (len(plain.requests), elsewhere.connections))


class OwnListeners(PolicyTest):
    """The daemon's API is no endpoint, even where loopback is allowed."""

    LOOPBACK = ALLOW_ALL | {"allow_networks": ["127.0.0.0/8", "0.0.0.0/8", "::ffff:0:0/96"]}

    def with_api_at(self, daemon, address):
        daemon.config.write_text(re.sub(r'tcp = ".*"', f'tcp = "{address}"', daemon.config.read_text()))

    def free_port(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            return listener.getsockname()[1]

    def urls(self, port):
        hosts = "127.0.0.1", "localhost", "api.localhost", "own.test", "0.0.0.0", "[::ffff:127.0.0.1]"
        return [f"http://{host}:{port}/v1/events" for host in hosts]

    def test_the_own_api_is_refused_at_registration_and_blocked_at_sending(self):
        dns, port = self.name_server(), self.free_port()
        dns.set("own.test", "127.0.0.1")
        daemon = self.started(self.LOOPBACK, dns=dns)
        for url in self.urls(port):
            daemon.endpoint(url)  # nobody listens there yet
        self.assertEqual(0, daemon.stop())
        self.with_api_at(daemon, f"127.0.0.1:{port}")
        daemon.start()
        event = daemon.event()
        for delivery in daemon.ended(event, len(self.urls(port))):
            self.assert_blocked(daemon, delivery)
        for url in self.urls(port):
            answer = daemon.post("/v1/endpoints", {"url": url})
            self.assertEqual(422, answer.status, url)
            self.assertTrue(answer.json["detail"].startswith(REFUSAL + ": "), answer)
        # The control: any other port of loopback is what the operator allowed.
        subscriber = self.subscriber()
        other = daemon.endpoint(subscriber.url)["id"]
        delivery, = [d for d in daemon.ended(daemon.event(), len(self.urls(port)) + 1) if d["endpoint"] == other]
        self.assertEqual("delivered", delivery["state"])
        self.assertEqual(2, len(daemon.get("/v1/events").json["data"]))

    def test_the_own_api_is_not_reached_through_the_other_family_of_localhost(self):
        """localhost is ::1 too, where nobody of ours listens: that much is allowed, and nothing comes of it."""
        port = self.free_port()
        daemon = self.started({**self.LOOPBACK, "allow_networks": ["127.0.0.0/8", "::1/128"]})
        self.assertEqual(0, daemon.stop())
        self.with_api_at(daemon, f"127.0.0.1:{port}")
        daemon.start()
        daemon.endpoint(f"http://localhost:{port}/v1/events", format="standard")
        delivery, = daemon.ended(daemon.event())
        self.assertEqual("connect", daemon.attempts(delivery)[-1]["outcome"])
        self.assertEqual(1, len(daemon.get("/v1/events").json["data"]))

    def test_an_api_at_every_address_is_refused_at_every_address(self):
        port = self.free_port()
        daemon = PolicyDaemon(self.folder, ALLOW_ALL | {"allow_networks": ["0.0.0.0/0", "::ffff:0:0/96", "::/128"]})
        self.daemons.append(daemon)
        tokens = self.folder / "tokens"
        tokens.write_text("admin " + hashlib.sha256(b"token").hexdigest() + " test\n")
        tokens.chmod(0o600)
        daemon.settings.append(f"listen.tokens_file={tokens}")
        self.with_api_at(daemon, f"0.0.0.0:{port}")
        daemon.start()
        hosts = "127.0.0.1 127.1.2.3 127.255.255.254 localhost api.localhost 0.0.0.0 [::] [::ffff:127.0.0.1] [::ffff:7f01:203]"
        for url in (f"http://{host}:{port}/" for host in hosts.split()):
            self.assertEqual(422, daemon.post("/v1/endpoints", {"url": url}).status, url)
        daemon.endpoint("http://127.1.2.3:9/")  # the control: it is the port


if __name__ == "__main__":
    enter_namespace()
    unittest.main()
