// The drop directory transport: a Maildir for each recipient under one root.
//
//   <root>/<recipient>/tmp/<name>  --fsync, rename, fsync of the directories-->  new/<name>
//
// Recipient   The address with everything outside [A-Za-z0-9@._+=-] and a leading '.' as %XX, the
//             domain in lower case. Over 200 bytes: its start, "%H" and a hash of all of it.
// Name        <submit time>.M<microseconds>Q<queue id>R<row>.<database id>: the same on every
//             attempt. A repeated delivery replaces the file in new/ or, once a reader has moved
//             it, finds it in cur/; it is never there twice.
// Content     Return-Path and Delivered-To lines, then the message as it is transmitted, with LF
//             line ends as Maildirs have them.
// Durability  kDelivered: the file and every directory above it, up to the root, are flushed; those
//             above the root, when it is first opened.
// In doubt    Marked when all files are written and flushed, before the first rename.
// Links       Nothing below the root is followed if it is a symbolic link; the root may be one.
// Processes   Any number may deliver into one root.
// Errors      No space, over quota, file too large, I/O error: kRetryLater 4.3.1. Anything else
//             of the file system: kRetryLater 4.3.0. A directory that cannot be flushed after the
//             rename: kInDoubt. The root cannot be opened or made: kUnavailable.
#pragma once

#include <string>
#include <string_view>

#include "spooler/transport_provider.h"

namespace bobbin {

struct DropDirectoryOptions {
  std::string root;  // Made, with what is missing above it, when first used.
};

TransportFactory NewDropDirectoryTransport(const DropDirectoryOptions& options);

// The name of the directory mail for `address` goes to.
std::string DropDirectoryName(std::string_view address);

}  // namespace bobbin
