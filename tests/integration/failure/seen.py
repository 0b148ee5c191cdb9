"""What is seen of a failure: the link as the uploader shows it, and what the server has."""

from tests.integration.uploading import contents_of, destination_of


def is_down(uploader):
    return bool(uploader.get_details()["servers"]) and destination_of(uploader)["link"] == "down"


def received_in(server):
    return contents_of(server.folder / "in" / "line-1" / "model")


def held(uploader):
    return is_down(uploader) and destination_of(uploader)["retry_in_s"] is None
