"""What a unit file says, as systemd reads it: assignments in order, drop-ins appended."""
import pathlib
import subprocess


class UnitFile:
    """The [Service] section of a unit and its drop-ins."""

    def __init__(self, *paths):
        self.assignments = []
        for path in paths:
            section = None
            for line in pathlib.Path(path).read_text().splitlines():
                line = line.strip()
                if line.startswith("["):
                    section = line
                elif section == "[Service]" and line and line[0] not in "#;":
                    name, _, value = line.partition("=")
                    self.assignments.append((name.strip(), value.strip()))

    def values(self, name):
        """What a list holds: each assignment adds to it, an empty one clears it."""
        values = []
        for key, value in self.assignments:
            if key == name:
                values = values + [value] if value else []
        return values

    def words(self, name):
        return [word for value in self.values(name) for word in value.split()]

    def value(self, name, otherwise=""):
        return (self.values(name) or [otherwise])[-1]

    def is_on(self, name):
        return self.value(name) in ("yes", "true", "on", "1")


def system_call_groups():
    """systemd's own: {"@group": [names and groups in it]}."""
    listing = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter"], capture_output=True, text=True, check=True).stdout
    groups, group = {}, None
    for line in listing.splitlines():
        word = line.strip()
        if line.startswith("@"):
            group = groups.setdefault(word, [])
        elif line.startswith(" ") and word[:1] not in ("", "#") and group is not None:
            group.append(word)
    return groups


def expand(word, groups):
    """A system call, or all that a group holds."""
    if not word.startswith("@"):
        return {word}
    return {call for inner in groups[word] for call in expand(inner, groups)}


def allowed_system_calls(unit):
    """What is left by the assignments of SystemCallFilter=, in their order, of which the first has to be an allow list. None: there is no
    filter."""
    groups, allowed = system_call_groups(), None
    for value in unit.values("SystemCallFilter"):
        deny = value.startswith("~")
        named = {call for word in value.lstrip("~").split() for call in expand(word, groups)}
        if allowed is None:
            if deny:
                raise ValueError("a SystemCallFilter= that begins with a deny list is not understood here")
            allowed = expand("@default", groups)
        allowed = allowed - named if deny else allowed | named
    return allowed
