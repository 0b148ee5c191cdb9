"""The SFTP protocol without any I/O: bytes in, bytes and decisions out."""
