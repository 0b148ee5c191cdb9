"""A processor that notes what it was given, and a request that is submitted."""

from pathlib import Path

from iris_communication.sftp_uploader_thread import SftpUploadRequest

SERVER = {"host": "sftp.example.org", "username": "iris", "password": "open sesame"}


class Processor:
    def __init__(self, does=lambda: None):
        self.does, self.asked = does, []

    def transferData(self, sftp_server_info, file_path, project_settings, folder_type):  # noqa: N802 - its users' name
        self.asked.append((sftp_server_info, Path(file_path).name, project_settings, folder_type))
        return self.does()


def submit(uploader, path, server=SERVER, **changed):
    facts = {"project_settings": {"project": "line-1"}, "folder_type": "model", **changed}
    return uploader.submit(SftpUploadRequest(server, path, **facts))
