# SPDX-License-Identifier: Apache-2.0
"""TLS for the tests of repod: an authority that openssl makes, and a daemon that is spoken to over TLS."""
import ssl
import subprocess

from repod_helpers import TIMEOUT, Repod


class Authority:
    """A CA with EC keys, in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                     "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.pem")

    def openssl(self, *arguments):
        return subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, text=True,
                              timeout=TIMEOUT).stdout

    def issue(self, name, extensions="subjectAltName=DNS:h,IP:127.0.0.1"):
        """NAME.pem and NAME.key, for the subject CN=NAME,O=Tests."""
        (self.folder / "ext").write_text(extensions)
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                     f"/O=Tests/CN={name}", "-keyout", f"{name}.key", "-out", "csr")
        self.openssl("x509", "-req", "-in", "csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                     "-extfile", "ext", "-out", f"{name}.pem")

    def context(self, certificate=None, version=None):
        """What a client of this authority uses."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        context.set_alpn_protocols(["http/1.1"])
        if version:
            context.minimum_version = context.maximum_version = version
        if certificate:
            context.load_cert_chain(self.folder / f"{certificate}.pem", self.folder / f"{certificate}.key")
        return context


class TlsRepod(Repod):
    """A daemon of which the first address speaks TLS. A missing close_notify is an error in its clients."""

    def __init__(self, folder, work, authority, *options, more=""):
        self.conf = work / "repod.conf"
        self.conf.write_text(f"[server]\ntls-listen=127.0.0.1:0\ntls-certificate={authority.folder}/server.pem\n"
                             f"tls-key={authority.folder}/server.key\n{more}\n[repository all]\ndir={folder}\n")
        self.context = authority.context()
        super().__init__(None, work, "--config", self.conf, *options, listen=())

    def connect(self, port=None, receive_buffer=None, context=None, session=None):
        return (context or self.context).wrap_socket(super().connect(port, receive_buffer), server_hostname="h",
                                                     session=session, suppress_ragged_eofs=False)
