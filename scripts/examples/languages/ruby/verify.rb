# Verifies a delivery (Standard Webhooks, v1). The body comes on stdin, byte for byte:
#   WEBHOOK_SECRET=whsec_... ruby verify.rb WEBHOOK-ID WEBHOOK-TIMESTAMP WEBHOOK-SIGNATURE <body
require "openssl"

TOLERANCE = 5 * 60

# Raises ArgumentError unless one of the signatures is by this secret and not old.
def verify(secret, id, timestamp, signatures, body)
  if (Time.now.to_i - Integer(timestamp, 10)).abs > TOLERANCE
    raise ArgumentError, "the timestamp is more than 5 minutes off"
  end

  key = secret.delete_prefix("whsec_").unpack1("m0")
  raise ArgumentError, "there is no secret" if key.bytesize < 24

  digest = OpenSSL::HMAC.digest("SHA256", key, "#{id}.#{timestamp}.".b + body)
  expected = "v1,#{[digest].pack("m0")}"
  return if signatures.split(" ").any? { |given| OpenSSL.secure_compare(given, expected) }

  raise ArgumentError, "no signature is by this secret"
end

begin
  verify(ENV.fetch("WEBHOOK_SECRET"), *ARGV.first(3), $stdin.binmode.read)
  puts "verified"
rescue ArgumentError => error
  abort "refused: #{error.message}"
end
