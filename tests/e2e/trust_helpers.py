# SPDX-License-Identifier: Apache-2.0
"""Trust written by hand with gpg, for tests that play a publisher or an attacker."""

import time

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
HEADER = f"# virt-depot: 1\n# repo-id: {ID}\n# version: {{}}\n# expires: 2100-01-01T00:00:00Z\n"


def iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Trust:
    """The chain of a repository; keys are nicknames in a fetch_helpers.Keys."""

    def __init__(self, keys, folder):
        self.keys, self.folder = keys, folder
        self.texts, self.signatures = [], []

    def add(self, roots, index, signers, threshold=2, days=30, created=None):
        """The next version; @index: nicknames, or (nickname, not-after seconds)."""
        created = int(time.time()) - 100 if created is None else created
        lines = ["virt-depot-trust: 1", f"repo-id: {ID}", f"version: {len(self.texts) + 1}", f"created: {iso(created)}",
                 f"expires: {iso(created + days * 86400)}", f"threshold: {threshold}"]
        lines += [f"root: {self.keys.fingerprints[name]}" for name in roots]
        for key in index:
            name, until = key if isinstance(key, tuple) else (key, None)
            lines.append(f"index: {self.keys.fingerprints[name]}" + (f" not-after={iso(until)}" if until else ""))
        self.texts.append("\n".join(lines) + "\n\n")
        for name in signers:
            self.sign(len(self.texts), name)
        return self

    def sign(self, version, name):
        path = self.folder / "text"
        path.write_text(self.texts[version - 1])
        self.keys.gpg("--armor", "-u", self.keys.fingerprints[name], "-o", self.folder / "text.sig", "--detach-sign", path)
        self.signatures.append(f"version: {version}\n" + (self.folder / "text.sig").read_text())

    def copy(self):
        other = Trust(self.keys, self.folder)
        other.texts, other.signatures = list(self.texts), list(self.signatures)
        return other

    def write(self, repository, *key_names):
        """Into the folder of a repository, with keys.asc of everybody who is named."""
        (repository / "trust").write_text("".join(self.texts))
        (repository / "trust.sig").write_text("".join(self.signatures))
        (repository / "keys.asc").write_text(self.keys.export(*(key_names or self.keys.fingerprints)))
        return self
