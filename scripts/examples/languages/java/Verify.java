// Verifies a delivery (Standard Webhooks, v1). The body comes on stdin, byte for byte:
//   WEBHOOK_SECRET=whsec_... java Verify.java WEBHOOK-ID WEBHOOK-TIMESTAMP WEBHOOK-SIGNATURE <body
import static java.nio.charset.StandardCharsets.UTF_8;

import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Verify {
  static final Duration TOLERANCE = Duration.ofMinutes(5);

  /** Throws unless one of the signatures is by this secret and not old. */
  static void verify(String secret, String id, String timestamp, String signatures, byte[] body)
      throws GeneralSecurityException {
    var age = Duration.between(Instant.ofEpochSecond(Long.parseLong(timestamp)), Instant.now());
    if (age.abs().compareTo(TOLERANCE) > 0) {
      throw new GeneralSecurityException("the timestamp is more than 5 minutes off");
    }
    byte[] key = Base64.getDecoder().decode(secret.replaceFirst("^whsec_", ""));
    if (key.length < 24) throw new GeneralSecurityException("there is no secret");
    var mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(key, "HmacSHA256"));
    mac.update((id + "." + timestamp + ".").getBytes(UTF_8));
    String digest = Base64.getEncoder().encodeToString(mac.doFinal(body));
    byte[] expected = ("v1," + digest).getBytes(UTF_8);
    for (String given : signatures.split(" ")) {
      if (MessageDigest.isEqual(expected, given.getBytes(UTF_8))) return;
    }
    throw new GeneralSecurityException("no signature is by this secret");
  }

  public static void main(String[] args) throws Exception {
    try {
      byte[] body = System.in.readAllBytes();
      verify(System.getenv("WEBHOOK_SECRET"), args[0], args[1], args[2], body);
      System.out.println("verified");
    } catch (GeneralSecurityException | RuntimeException error) {
      System.err.println("refused: " + error.getMessage());
      System.exit(1);
    }
  }
}
