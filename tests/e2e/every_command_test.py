"""Every command of outboxctl with `-o json`: a script gets one JSON document on stdout, whatever it asks for.

The commands are those of the manual page, which is written from the program: a new one fails here until it has its line."""
import json
import re
import shlex
import subprocess
import time
import unittest

from harness import BIN, EndToEndTest, wait_until

# Command -> what it is called with, in this order: a later one may build upon what an earlier one has made.
COMMANDS = {
    "version": [""],
    "status": ["", "--exit-code"],
    "top": [""],
    "doctor": [""],
    "failures": ["", "--by endpoint", "--endpoint shop"],
    "why": ["{dead}", "{event}", "broken"],
    "event send": ["order.paid --data 1", "--batch {folder}/batch.ndjson"],
    "event list": ["", "--rejected", "--unmatched", "--type no.such"],
    "event types": ["", "--tenant nobody"],
    "event show": ["{event}"],
    "event replay": ["{event}", "--endpoint shop --since 1h --dry-run", "--endpoint shop --since 1h --yes",
                     "--endpoint shop --type no.such --yes"],
    "event erase": ["{erased} --yes"],
    "trigger": ["order.paid"],
    "endpoint add": ["http://127.0.0.1:9/hook --name made"],
    "endpoint list": ["", "--tenant nobody"],
    "endpoint show": ["made"],
    "endpoint stats": ["made"],
    "endpoint set": ["made --timeout 5s"],
    "endpoint pause": ["made"],
    "endpoint resume": ["made"],
    "endpoint disable": ["made"],
    "endpoint enable": ["made"],
    "endpoint test": ["shop"],
    "endpoint secret list": ["shop"],
    "endpoint secret reveal": ["shop"],
    "endpoint secret rotate": ["shop"],
    "endpoint export": ["", "{folder}/endpoints.json"],
    "endpoint remove": ["made --yes"],
    "endpoint apply": ["{folder}/endpoints.json --dry-run", "{folder}/endpoints.json --yes", "{folder}/endpoints.json"],
    "delivery list": ["", "--state dead", "--type no.such"],
    "delivery show": ["{dead}"],
    "delivery attempts": ["{dead}"],
    "delivery curl": ["{dead}", "{dead} --reveal"],
    "delivery retry": ["{dead} --dry-run", "{dead}", "--endpoint lost --dry-run", "--endpoint lost --yes", "--type no.such --yes"],
    "delivery discard": ["{waiting}", "--endpoint shop --yes"],
    "retry": ["{lost}", "{quiet}"],
    "batch list": [""],
    "batch show": ["{batch}"],
    "batch watch": ["{batch}"],
    "batch cancel": ["{slow}"],
    "outbox list": ["--rejected"],
    "outbox show": ["{row}"],
    "outbox retry": ["{row}"],
    "outbox drop": ["{row} --yes"],
    "source list": [""],
    "source ddl": [""],
    "source check": ["{folder}/none.db"],
    "db info": [""],
    "db secrets": [""],
    "db encrypt": [""],
    "db check": ["{config}", "{config} --quick"],
    "db backup": ["{folder}/copy.db {config}"],
    "db prune": ["--yes"],
    "db migrate up": ["{other_config}", "{other_config}"],
    "db migrate status": ["{other_config}"],
    "config check": ["{config}", "--config {folder}/bad.toml"],
    "config show": ["{config}", "{config} --origin"],
    "token create": ["shop --scope ingest --file {folder}/tokens"],
    "token list": ["--file {folder}/tokens"],
    "token revoke": ["shop --file {folder}/tokens"],
    "signature sign": ["{signed}"],
    "signature verify": ["{signed} --signature {signature}", "{signed} --signature v1,AAAA"],
}
# Those that end with another exit status than 0 here, because of what they found; None: with any.
STATUS = {
    "doctor": None,  # what it finds depends on the machine
    "outbox retry {row}": 4,
    "config check --config {folder}/bad.toml": 78,
    "signature verify {signed} --signature v1,AAAA": 1,
    "source check {folder}/none.db": 1,
}
# These go on until Ctrl-C, so no document could end: they refuse `json`, and have `jsonl`.
ENDLESS = {"tail": "", "event tail": "", "listen": "", "dev": "", "status": "--watch"}
NOT_JSON = {
    "dashboard": "goes on until Ctrl-C after its one document, which dashboard_proxy_test.py reads",
    "event payload": "prints the payload's exact bytes, whatever they are",
    "help": "is text for people",
    "completion": "is a shell script",
    "db copy": "needs a database on a server: copy_test.py calls it",
    "db adopt": "is for a database on a server: postgresql_test.py calls it",
}


class EveryCommand(EndToEndTest):
    def setUp(self):
        super().setUp()
        key = self.folder / "key"
        key.write_text("ab" * 32 + "\n")
        key.chmod(0o600)
        self.outboxd = self.daemon(f"store.secrets_key_file={key}").start()
        self.receiver_ = self.receiver(lambda request: 500 if request.path in ("/broken", "/lost") else 200)

    def run_json(self, *arguments):
        return self.outboxd.ctl("-o", "json", *arguments, stdin=b"")

    def in_manual(self):
        page = subprocess.run([BIN / "outboxctl", "man", "outboxctl"], capture_output=True, text=True, check=True).stdout
        return re.findall(r"^\.SS outboxctl (.*)$", page.replace("\\-", "-"), re.M)

    def batch(self, **fields):
        answer = self.outboxd.post("/v1/batches", {"action": "retry", "filter": {"endpoint": "lost", "state": "dead"}, **fields})
        self.assertLess(answer.status, 300, answer)
        return answer.json["id"]

    def write(self, script):
        """As an application does that shares the daemon's database."""
        self.outboxd.sql(script)

    def some_data(self):
        """Something for every command to be called with: what the braces in COMMANDS stand for."""
        daemon, url = self.outboxd, f"http://127.0.0.1:{self.receiver_.port}"
        daemon.endpoint(url + "/shop", name="shop")
        for name, types in (("broken", "order.**"), ("held", "order.**"), ("lost", "lost.**")):
            daemon.endpoint(url + "/" + name, name=name, types=[types], retry_schedule=["0s"])
        daemon.post("/v1/endpoints/held/pause", {})
        event, quiet, erased = (daemon.event(type)["id"] for type in ("order.paid", "quiet.one", "quiet.two"))
        lost = [daemon.event("lost.one")["id"] for _ in range(3)]
        self.write("".join(f"INSERT INTO outbox(type, payload, idempotency_key) VALUES ('a.b', '{n}', 'k');" for n in (1, 2)))
        dead = wait_until(lambda: daemon.deliveries("&endpoint=broken&state=dead"), "a dead letter")[0]["id"]
        all_lost = lambda: len(daemon.deliveries("&endpoint=lost&state=dead")) == len(lost)
        wait_until(all_lost, "what is lost is dead")
        batch = self.batch()
        wait_until(lambda: daemon.get(f"/v1/batches/{batch}").json["state"] == "finished", "the batch ends")
        wait_until(all_lost, "what was retried is dead again")
        rejected = wait_until(lambda: daemon.get("/v1/events?rejected=true").json["data"], "a row is rejected")
        (self.folder / "batch.ndjson").write_text('{"type": "a.b", "payload": 1}\n{"type": "a.b", "payload": 2}\n')
        (self.folder / "bad.toml").write_text("[store]\nurl = 1\n")
        (self.folder / "other.toml").write_text(f'[store]\nurl = "sqlite://{self.folder}/other.db"\n')
        secret = self.folder / "secret"
        secret.write_text("whsec_" + "A" * 43 + "=")
        secret.chmod(0o600)
        signed = f"--secret-file {secret} --id evt_1 --timestamp {int(time.time())}"
        signature = json.loads(self.run_json("signature", "sign", *shlex.split(signed)).stdout)["webhook-signature"]
        return {"event": event, "quiet": quiet, "erased": erased, "lost": lost[0], "dead": dead, "folder": self.folder,
                "waiting": daemon.deliveries("&endpoint=held")[0]["id"], "batch": batch, "slow": self.batch(rate="1/h"),
                "row": rejected[0]["row"], "config": f"--config {daemon.config}",
                "other_config": f"--config {self.folder}/other.toml", "signed": signed, "signature": signature}

    def test_there_is_a_line_for_every_command(self):
        found = self.in_manual()
        self.assertGreater(len(found), 50)
        never_json = (set(ENDLESS) - set(COMMANDS)) | set(NOT_JSON)
        self.assertEqual(set(), set(COMMANDS) & set(NOT_JSON))
        self.assertEqual(sorted(found), sorted(set(COMMANDS) | never_json))

    def test_each_prints_one_json_document(self):
        self.call_all(COMMANDS, STATUS, self.some_data())

    def call_all(self, commands, status, data):
        for command, calls in commands.items():
            for arguments in calls:
                call = f"{command} {arguments}".strip()
                with self.subTest(call=call):
                    ended = self.run_json(*shlex.split(call.format(**data)))
                    self.assertIn(status.get(call, 0), (ended.returncode, None), ended)
                    try:
                        self.assertIsInstance(json.loads(ended.stdout), (dict, list))
                    except ValueError as error:
                        self.fail(f"{error}: {ended}")

    def test_what_never_ends_refuses_to_be_one_document(self):
        for command, arguments in ENDLESS.items():
            with self.subTest(command=command):
                ended = self.run_json(*shlex.split(f"{command} {arguments}"))
                self.assertEqual((2, b""), (ended.returncode, ended.stdout), ended)
                self.assertIn(b"jsonl", ended.stderr)


if __name__ == "__main__":
    unittest.main()
