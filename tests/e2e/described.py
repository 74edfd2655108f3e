"""Whether an answer is as the API's description says: as much of JSON Schema as that uses."""
import re

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


class Description:
    def __init__(self, openapi):
        self.openapi = openapi

    def wrong_in(self, answer, method, path):
        """What is wrong in the JSON that was answered with 200 to a path such as /v1/events/{event}: a list, one line each."""
        content = self.operation(method, path)["responses"]["200"]["content"]
        return list(self.check(answer, content["application/json"]["schema"], ""))

    def operation(self, method, path):
        """Of the described path with a value, or a parameter of any name, in each of the places."""
        path = path.split("?")[0]
        matching = [known for known in self.openapi["paths"] if re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", known), path)]
        return self.openapi["paths"][min(matching, key=lambda known: known.count("{"))][method]

    def resolve(self, schema):
        while "$ref" in schema:
            found = self.openapi
            for name in schema["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            schema = found
        return schema

    def check(self, value, schema, at):
        schema = self.resolve(schema)
        for part in schema.get("allOf", []):
            yield from self.check(value, part, at)
        if "oneOf" in schema and sum(not list(self.check(value, one, at)) for one in schema["oneOf"]) != 1:
            yield f"{at}: {value!r} is none of what it may be, or several"
        if "type" in schema and not any(self.is_of(value, name) for name in self.names(schema["type"])):
            yield f"{at}: {value!r} is no {schema['type']}"
            return
        if "enum" in schema and value not in schema["enum"]:
            yield f"{at}: {value!r} is not in {schema['enum']}"
        if isinstance(value, dict):
            yield from self.check_members(value, schema, at)
        if isinstance(value, list) and "items" in schema:
            for number, item in enumerate(value):
                yield from self.check(item, schema["items"], f"{at}/{number}")

    def check_members(self, value, schema, at):
        for name in schema.get("required", []):
            if name not in value:
                yield f"{at}: {name} is missing"
        for name, member in value.items():
            if name in schema.get("properties", {}):
                yield from self.check(member, schema["properties"][name], f"{at}/{name}")
            elif schema.get("additionalProperties", True) is False:
                yield f"{at}: {name} is not described"
            elif isinstance(schema.get("additionalProperties"), dict):
                yield from self.check(member, schema["additionalProperties"], f"{at}/{name}")

    @staticmethod
    def names(types):
        return types if isinstance(types, list) else [types]

    @staticmethod
    def is_of(value, name):
        if name in ("integer", "number"):
            return isinstance(value, int if name == "integer" else (int, float)) and not isinstance(value, bool)
        return isinstance(value, TYPES[name])
