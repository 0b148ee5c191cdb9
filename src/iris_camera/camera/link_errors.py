"""Why a camera in the network cannot be reached, as a sentence that a person at the line understands."""

import errno
import socket
import ssl

from iris_camera.camera.address import Address
from iris_camera.camera.source import SourceError
from iris_camera.logs import without_secrets

_TEXTS = {
    errno.ECONNREFUSED: ("{place} refuses the connection", "The camera is there, its stream is not: see its settings."),
    errno.EHOSTUNREACH: ("no route to the host {place}", "Check the camera's power and cable."),
    errno.ENETUNREACH: ("no route to the network of {place}", "Look at this machine's own network."),
    errno.ECONNRESET: ("{place} broke the connection off", "Look whether the camera restarts."),
    errno.EPIPE: ("{place} broke the connection off", "Look whether the camera restarts."),
}
REFUSED_CREDENTIALS = "the camera refuses the username or the password"
WANTS_CREDENTIALS = "the camera wants a username and a password"
UNKNOWN_WAY = "the camera asks for the login in a way Iris does not know"
UNKNOWN_WAY_HINT = "Set it to Digest (MD5 or SHA-256) or Basic authentication."
CHECK_CREDENTIALS = "Set username and password of this camera."


def link_error(error: OSError, address: Address, waited_s: float) -> SourceError:
    """What an error of connecting or receiving means; `waited_s` is the time-out of the call."""
    place = address.place
    if isinstance(error, ssl.SSLCertVerificationError):
        return SourceError(f"the certificate of {place} is not trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return SourceError(
            f"{place} offers no TLS version that works here: {error.strerror}", "Try http instead of https."
        )
    if isinstance(error, TimeoutError):
        return SourceError(f"no answer from {place} for {waited_s:g} s", "Check the camera's power and cable.")
    if isinstance(error, socket.gaierror):
        return SourceError(f"the host name {address.host} is not known", "Check its spelling, and the DNS server.")
    text, hint = _TEXTS.get(error.errno or 0, ("{place} cannot be reached: " + (error.strerror or "no reason"), ""))
    return SourceError(text.format(place=place), hint)


def status_error(status: int, phrase: str, *, with_credentials: bool) -> SourceError:
    """What a status other than success means, of HTTP and RTSP alike."""
    if status == 401:
        reason = REFUSED_CREDENTIALS if with_credentials else WANTS_CREDENTIALS
        return SourceError(reason, CHECK_CREDENTIALS)
    if status == 403:
        return SourceError("the camera denies this user this stream", "Check the user's permissions in the camera.")
    if status == 404:
        return SourceError("the camera does not know this path", "The camera's manual lists its paths.")
    if status in (453, 503):
        return SourceError(f"the camera is busy ({status})", "It may limit the number of viewers; close others.")
    if 300 <= status < 400:
        return SourceError(f"the camera redirects to another address ({status})", "Set that address as the source.")
    # Secrets first: half of one would not be recognised.
    shown = "".join(letter for letter in without_secrets(phrase)[:60] if letter.isprintable())
    return SourceError(f"the camera answers {status} {shown}".rstrip())
