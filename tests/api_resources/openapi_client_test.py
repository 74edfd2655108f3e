"""The API's description as tools read it: it is valid, and a client that is generated from it has all of it.

Needs the packages in REQUIRED (scripts/test installs them); without them it ends with 77, which ctest counts as skipped."""
import importlib.metadata
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
DESCRIPTION = HERE.parents[1] / "daemon/api/openapi.json"
CONFIG = HERE / "openapi_client.yaml"
REQUIRED = ("openapi-python-client==0.29.1", "openapi-spec-validator==0.9.0")
SKIPPED = 77


def snake_case(name):
    """As the generator names modules."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


class DescriptionTest(unittest.TestCase):
    def setUp(self):
        self.description = json.loads(DESCRIPTION.read_text())

    def operations(self):
        for path, operations in self.description["paths"].items():
            for method, operation in operations.items():
                yield f"{method} {path}", operation


class Description(DescriptionTest):
    def test_it_is_a_valid_openapi_document(self):
        from openapi_spec_validator import validate
        validate(self.description)

    def test_every_operation_says_what_any_request_may_be_answered(self):
        for name, operation in self.operations():
            with self.subTest(operation=name):
                self.assertLessEqual({"400", "403", "422", "500", "503"}, set(operation["responses"]))

    def test_a_change_has_no_defaults(self):
        """A client that fills them in would set with each PATCH what nobody asked it to."""
        for name, schema in self.description["components"]["schemas"]["EndpointFields"]["properties"].items():
            self.assertNotIn("default", schema, name)

    def test_patterns_are_those_of_the_daemon(self):
        schemas = self.description["components"]["schemas"]
        examples = {
            "Duration": (["0s", "90s", "2h30m", "1d2h3m4s5ms", "007s"], ["", "s", "5", "1m1h", "1.5s", "-1s", "1h ", "1s1s"]),
            "TypePattern": (["a", "a.b-c_9", "order.*", "order.**", "*", "**"], ["", ".a", "a.", "a..b", "a*", "*.a", "a.*.b", "***"]),
            "EventType": (["order.paid", "A-1_b"], ["", ".a", "a.", "a..b", "a b", "ä"]),
            "Tenant": (["", "acme:eu-1.x_y", "a" * 128], ["a b", "ä", "a" * 129]),
        }
        for name, (good, bad) in examples.items():
            shape = schemas[name]
            for text in good + bad:
                with self.subTest(schema=name, text=text):
                    matches = bool(re.fullmatch(shape["pattern"], text)) and len(text) >= shape.get("minLength", 0)
                    self.assertEqual(matches, text in good)


class GeneratedClient(DescriptionTest):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="outboxd-openapi.")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.package = pathlib.Path(cls.folder.name) / "outboxd_client"
        config = pathlib.Path(cls.folder.name) / "config.json"
        overrides = {type: "application/octet-stream" for type in ("application/x-ndjson", "*/*")}
        config.write_text(json.dumps({"content_type_overrides": overrides, "post_hooks": []}))
        cls.generator = subprocess.run([sys.executable, "-m", "openapi_python_client", "generate", "--path", str(DESCRIPTION), "--meta", "none",
                                  "--output-path", str(cls.package), "--config", str(config), "--fail-on-warning"],
                                 capture_output=True, text=True, timeout=300, check=False)

    def test_the_generator_has_nothing_to_complain_of(self):
        said = self.generator.stdout + self.generator.stderr
        self.assertEqual(self.generator.returncode, 0, said)
        self.assertNotRegex(said, r"(?i)warning|error|unable to|omitted")

    def test_every_schema_of_an_object_is_a_model(self):
        models = {path.stem for path in (self.package / "models").glob("*.py")}
        schemas = self.description["components"]["schemas"]
        objects = {name for name, schema in schemas.items() if schema.get("type") == "object" or "allOf" in schema}
        self.assertGreater(len(objects), 20)
        self.assertEqual({name for name in objects if snake_case(name) not in models}, set())
        self.assertLessEqual({"new_event", "metadata", "new_endpoint", "endpoint_with_secret"}, models)

    def test_every_operation_is_a_function(self):
        functions = {path.stem for path in (self.package / "api").glob("*/*.py")}
        wanted = {snake_case(operation["operationId"]) for _, operation in self.operations()}
        self.assertEqual(wanted - functions, set())

    def test_it_can_be_imported_and_writes_an_event_as_it_was_meant(self):
        script = ("from outboxd_client.models import NewEvent, NewEndpoint, EndpointFields\n"
                  "from outboxd_client.api.events import send_events\n"
                  "import json\n"
                  "print(json.dumps([NewEvent(type_='a.b', payload={'n': 1}).to_dict(), EndpointFields(name='x').to_dict()]))")
        run = subprocess.run([sys.executable, "-c", script], cwd=self.folder.name, capture_output=True, text=True, timeout=100, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        event, change = json.loads(run.stdout)
        self.assertEqual((event["type"], event["payload"]), ("a.b", {"n": 1}))
        self.assertEqual(change, {"name": "x"})


def missing_packages():
    for requirement in REQUIRED:
        name, _, version = requirement.partition("==")
        try:
            if importlib.metadata.version(name) != version:
                yield requirement
        except importlib.metadata.PackageNotFoundError:
            yield requirement


if __name__ == "__main__":
    if missing := list(missing_packages()):
        print("skipped: the API's description is not checked without the Python packages", " ".join(missing))
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
