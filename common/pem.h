// Certificates and private keys in PEM (RFC 7468), from the files of an endpoint's `tls` and of [listen]. Error texts
// follow the file's name, say what is wrong, and quote nothing.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "common/time.h"

struct x509_st;
struct evp_pkey_st;

namespace outboxd {

struct FreePem {
  void operator()(x509_st* certificate) const;
  void operator()(evp_pkey_st* key) const;
};
using Certificate = std::unique_ptr<x509_st, FreePem>;
using PrivateKey = std::unique_ptr<evp_pkey_st, FreePem>;

// All certificates in the text, in order: at least one.
tl::expected<std::vector<Certificate>, std::string> read_certificates(const std::string& pem);
// Refuses an encrypted key.
tl::expected<PrivateKey, std::string> read_private_key(const std::string& pem);

bool is_key_of(const PrivateKey& key, const Certificate& certificate);
bool has_expired(const Certificate& certificate, Time now);
bool is_not_valid_yet(const Certificate& certificate, Time now);

}  // namespace outboxd
