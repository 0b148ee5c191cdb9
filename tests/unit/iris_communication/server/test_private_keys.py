"""What is taken for a key's text, which is never shown, and what for the path of its file."""

import pytest

from iris_communication.server.private_keys import is_text, shown


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n",
        "-----BEGIN PRIVATE KEY----- MC4C -----END PRIVATE KEY-----",
        "PuTTY-User-Key-File-3: ssh-ed25519",
        "b3Bl\nbnNz",
        "MC4CAQAwBQYDK2VwBCIEIJ0wQd8dJb2lGnTdXhrPrvU0zN5bTrBPxfhNfDDcyzaJ",
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAAB==\n",
        '{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}',
        "not base64, but long: " + "x" * 200,
    ],
)
def test_a_text_that_could_be_a_key_is_never_shown(text):
    assert is_text(text)
    assert shown(text) == "given as text"


@pytest.mark.parametrize(
    "path", ["~/.ssh/id_ed25519", "/x/id", "id", "keys/plant-3/id_ed25519.pem", "/opt/" + "plant/" * 20 + "key", "id\n"]
)
def test_a_path_is_shown(path):
    assert not is_text(path)
    assert shown(path) == repr(path)


def test_a_path_that_looks_unlike_one_is_one_where_it_leads_to_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ("k" * 64)).touch()
    long = tmp_path.joinpath(*["folder"] * 30)
    long.mkdir(parents=True)
    for path in ("k" * 64, str(long)):
        assert not is_text(path)
