"""What may be configured of the page."""

import re
from dataclasses import dataclass, field

HOST = "127.0.0.1"
PORT = 5000
PORT_MAX = 65535
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class WebSettings:
    """The page, its live picture and the statistics. Raises ValueError, naming what was found and expected."""

    host: str = field(
        default=HOST,
        metadata={"doc": "the address it answers on: 127.0.0.1 this machine only, 0.0.0.0 every network it is in"},
    )
    port: int = field(default=PORT, metadata={"doc": "0 to 65535; 0 takes a free one"})
    names: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": "host names the page may be opened by, besides localhost, host and any address",
            "example": ("plant-pc",),
        },
    )
    port_falls_back: bool = field(default=False, metadata={"doc": "take a free port where the wanted one is in use"})
    page_required: bool = field(
        default=False, metadata={"doc": "without its port start nothing; false: the line runs without the page"}
    )

    def __post_init__(self) -> None:
        if not 0 <= self.port <= PORT_MAX:
            raise ValueError(f"port is {self.port}: expected 0 (any free one) to {PORT_MAX}")
        if not self.host or any(character.isspace() for character in self.host):
            raise ValueError(f'host is "{self.host}": expected an address such as {HOST}')
        for name in self.names:
            if not _NAME.fullmatch(name):
                raise ValueError(f'names has "{name}": expected a host name without scheme and port, such as plant-pc')

    @property
    def own_names(self) -> tuple[str, ...]:
        """The names by which a browser may open this server, besides localhost and addresses."""
        return (self.host, *self.names)
