// npm's ssh2 over a folder, as a program: `node server.js SETTINGS`. ssh2 brings the protocol and leaves the files to
// its user; these are plain calls to the system. Like most servers made with it, it works at several requests at once.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const ssh2 = require("ssh2");

const settings = JSON.parse(fs.readFileSync(process.argv[2]));
const { OPEN_MODE, STATUS_CODE } = ssh2.utils.sftp;
const clientKey = ssh2.utils.parseKey(fs.readFileSync(settings.client_key));

const here = (asked) => settings.root + path.posix.normalize("/" + asked);
const CODES = { ENOENT: STATUS_CODE.NO_SUCH_FILE, ENOTDIR: STATUS_CODE.NO_SUCH_FILE, EACCES: STATUS_CODE.PERMISSION_DENIED };
const FLAGS = { [OPEN_MODE.READ]: fs.constants.O_RDONLY, [OPEN_MODE.WRITE]: fs.constants.O_WRONLY };

function systemFlags(flags) {
  let found = FLAGS[flags & (OPEN_MODE.READ | OPEN_MODE.WRITE)] ?? fs.constants.O_RDWR;
  if (flags & OPEN_MODE.CREAT) found |= fs.constants.O_CREAT;
  if (flags & OPEN_MODE.TRUNC) found |= fs.constants.O_TRUNC;
  if (flags & OPEN_MODE.EXCL) found |= fs.constants.O_EXCL;
  return found;
}

function serve(sftp) {
  const opened = new Map();
  let count = 0;
  const answered = (id) => (error) =>
    error ? sftp.status(id, CODES[error.code] ?? STATUS_CODE.FAILURE, error.message) : sftp.status(id, STATUS_CODE.OK);
  const number = (handle) => opened.get(handle.readUInt32BE(0));

  sftp.on("OPEN", (id, name, flags) => {
    fs.open(here(name), systemFlags(flags), 0o666, (error, descriptor) => {
      if (error) return answered(id)(error);
      const handle = Buffer.alloc(4);
      handle.writeUInt32BE(count, 0);
      opened.set(count++, descriptor);
      sftp.handle(id, handle);
    });
  });
  sftp.on("WRITE", (id, handle, offset, data) => {
    fs.write(number(handle), data, 0, data.length, offset, answered(id));
  });
  sftp.on("READ", (id, handle, offset, length) => {
    const data = Buffer.alloc(length);
    fs.read(number(handle), data, 0, length, offset, (error, read) => {
      if (error) return answered(id)(error);
      if (read === 0) return sftp.status(id, STATUS_CODE.EOF);
      sftp.data(id, data.subarray(0, read));
    });
  });
  sftp.on("CLOSE", (id, handle) => {
    const descriptor = number(handle);
    opened.delete(handle.readUInt32BE(0));
    fs.close(descriptor, answered(id));
  });
  const stat = (id, name) => {
    fs.stat(here(name), (error, found) => {
      if (error) return answered(id)(error);
      const { mode, uid, gid, size } = found;
      sftp.attrs(id, { mode, uid, gid, size, atime: found.atimeMs / 1000, mtime: found.mtimeMs / 1000 });
    });
  };
  sftp.on("STAT", stat);
  sftp.on("LSTAT", stat);
  sftp.on("REMOVE", (id, name) => fs.unlink(here(name), answered(id)));
  sftp.on("RMDIR", (id, name) => fs.rmdir(here(name), answered(id)));
  sftp.on("RENAME", (id, from, to) => fs.rename(here(from), here(to), answered(id)));
  sftp.on("MKDIR", (id, name) => fs.mkdir(here(name), answered(id)));
  sftp.on("close", () => opened.forEach((descriptor) => fs.close(descriptor, () => {})));
}

function authenticate(context) {
  if (context.method !== "publickey" || context.username !== settings.username) return context.reject(["publickey"]);
  if (!context.key.data.equals(clientKey.getPublicSSH())) return context.reject();
  if (!context.signature) return context.accept();
  return clientKey.verify(context.blob, context.signature, context.hashAlgo) ? context.accept() : context.reject();
}

new ssh2.Server({ hostKeys: [fs.readFileSync(settings.host_key)] }, (client) => {
  client.on("error", () => {}); // a connection that was lost
  client.on("authentication", authenticate);
  client.on("session", (accept) => accept().on("sftp", (acceptSftp) => serve(acceptSftp())));
}).listen(settings.port, settings.host);
