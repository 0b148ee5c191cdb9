"""An SFTP server as the settings name it: the delivery library's address and secret in one table.

The keys for the treatment of an account are the library's, with its defaults and its doc texts.
"""

from dataclasses import dataclass, field, fields
from typing import Any

from iris_communication.errors import InvalidRequest
from iris_communication.server import private_keys
from iris_communication.server.facts import parse_server
from iris_communication.settings import (
    DEFAULT_PORT,
    DEFAULT_REMOTE_PATH,
    PLACE_KEYS,
    Conflict,
    HostKeyPolicy,
    Marker,
    Server,
    TransportName,
)

# For each key of an account's treatment, a dataclass field with the same default, doc text and example.
_TREATMENT: dict[str, Any] = {
    found.name: field(default=found.default, metadata=found.metadata) for found in fields(Server) if found.metadata
}


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Raises ValueError naming the key that cannot be used; never shows a secret."""

    host: str = field(metadata={"doc": "name or address of the server", "example": "sftp.example.org"})
    username: str = field(metadata={"doc": "who logs in", "example": "iris"})
    port: int = field(default=DEFAULT_PORT, metadata={"doc": "the port of its SSH, 1 to 65535"})
    private_key: str = field(
        default="",
        repr=False,
        metadata={
            "doc": "the private key's file (chmod 600), or the key itself by one of the forms a secret may have",
            "path": True,
            "example": "~/.ssh/id_ed25519",
        },
    )
    passphrase: str = field(
        default="", repr=False, metadata={"doc": "of the private key", "example": {"environment": "IRIS_PASSPHRASE"}}
    )
    password: str = field(
        default="",
        repr=False,
        metadata={"doc": "in place of a private key", "example": {"command": ["pass", "show", "plant"]}},
    )
    host_key: str | tuple[str, ...] = field(
        default="",
        metadata={
            "doc": 'the key the server has to show: a line "ssh-ed25519 AAAA..." or a fingerprint "SHA256:...", or a '
            "list of them, any of which will do; with it the policy below does not matter",
            "example": "SHA256:uNiVztksCsDhcc0u9e8BrQPhxFHZVpHbQLz0JqfDSFw",
            "separator": ";",
        },
    )
    host_key_policy: HostKeyPolicy = field(
        default="strict",
        metadata={
            "doc": '"strict": ~/.ssh/known_hosts must know the server; "accept-new": an unknown server\'s key is '
            "accepted once and remembered in a known_hosts of Iris's own, a changed one is refused; "
            '"off": any key is accepted, so anyone on the network path can pose as the server (logged at each start)'
        },
    )
    remote_directory: str = field(
        default=".", metadata={"doc": "the folder on the server below which files arrive", "example": "/incoming"}
    )
    remote_path: str = field(
        default=DEFAULT_REMOTE_PATH,
        metadata={"doc": "where in it a file goes; folder_type is model, classifier or evidence"},
    )
    conflict: Conflict = _TREATMENT["conflict"]
    marker: Marker = _TREATMENT["marker"]
    bandwidth_bytes_per_s: float = _TREATMENT["bandwidth_bytes_per_s"]
    windows: tuple[str, ...] = _TREATMENT["windows"]
    health_interval_s: float = _TREATMENT["health_interval_s"]
    health_round_trip: bool = _TREATMENT["health_round_trip"]
    transport: TransportName = _TREATMENT["transport"]
    legacy_algorithms: bool = _TREATMENT["legacy_algorithms"]
    streams: int = _TREATMENT["streams"]
    connections_max: int = _TREATMENT["connections_max"]
    in_place: bool = _TREATMENT["in_place"]
    file_mode: str = _TREATMENT["file_mode"]
    keep_times: bool = _TREATMENT["keep_times"]
    attempts_max: int | None = _TREATMENT["attempts_max"]
    retry_base_s: float | None = _TREATMENT["retry_base_s"]
    retry_cap_s: float | None = _TREATMENT["retry_cap_s"]

    def __post_init__(self) -> None:
        try:
            parse_server(self.info(), ("project",))
        except InvalidRequest as error:
            raise ValueError(str(error).removeprefix("sftp_server_info: ")) from None

    def info(self) -> dict[str, Any]:
        """The same server as `sftp_server_info`; its secrets are in it."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in facts.items() if value not in ("", None, ())}

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text in it that may never be written anywhere; the path of a key is not one."""
        key = self.private_key if private_keys.is_text(self.private_key) else ""
        return tuple(text for text in (self.password, self.passphrase, key) if text)

    @property
    def account(self) -> str:
        """The server's key, which identifies the account and holds no secret."""
        return parse_server(self.info(), ("project",))[0].key

    def differing(self, other: "ServerSettings") -> list[str]:
        """The keys in which two names of one account say different things about it; an account has one of each."""
        keys = [
            name for name in self.__slots__ if name not in PLACE_KEYS and name != "host"
        ]  # may be spelled in two ways
        return [name for name in keys if getattr(self, name) != getattr(other, name)]
