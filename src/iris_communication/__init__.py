"""Deliver files to SFTP servers from any program, without making it wait and without losing one."""
