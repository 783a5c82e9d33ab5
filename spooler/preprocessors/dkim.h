// DKIM: signs what goes out (RFC 6376, rsa-sha256, relaxed/relaxed, the whole body), with
// libopendkim.
//
// The DKIM-Signature field is pr::kAddedHeaderFields: it stands before the content when that is
// transmitted and is gone from the message that is kept. Signed is exactly what is transmitted, so
// this preprocessor must be the last that changes a message. A message whose author (else its
// reverse-path) is not of the domain, or of a domain below it, goes unsigned.
//
// Errors  kInvalidParameter  the key is no RSA private key in PEM, or names are empty
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "spooler/preprocessor.h"

namespace bobbin {

struct DkimOptions {
  std::string domain;           // d=
  std::string selector;         // s=
  std::string private_key_pem;  // RSA.
};

// Makes one per spooler worker.
Result<std::function<std::unique_ptr<Preprocessor>()>> NewDkimPreprocessor(
    const DkimOptions& options);

}  // namespace bobbin
