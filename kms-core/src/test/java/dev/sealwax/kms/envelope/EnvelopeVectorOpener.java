package dev.sealwax.kms.envelope;

import dev.sealwax.kms.crypto.Hkdf;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import org.jspecify.annotations.Nullable;

/** Opens and seals in the most direct way, on plain JCE and without any cache. */
final class EnvelopeVectorOpener implements VectorOpener {
  private static final SecureRandom RANDOM = new SecureRandom();
  private static final int CHUNK = 16384;

  private final KeysetId keyset;
  private final List<Key> keys;

  private EnvelopeVectorOpener(KeysetId keyset, List<Key> keys) {
    this.keyset = keyset;
    this.keys = keys;
  }

  static VectorOpener create(String keyset, List<Key> keys) {
    return new EnvelopeVectorOpener(KeysetId.of(keyset), keys);
  }

  @Override
  public byte[] open(EncryptionContext context, byte[] envelope) {
    EnvelopeHeader header = EnvelopeHeader.parse(envelope);
    byte[] body = Arrays.copyOfRange(envelope, header.lengthBytes(), envelope.length);
    return open(context, header, body);
  }

  private byte[] open(EncryptionContext context, EnvelopeHeader header, byte[] body) {
    boolean oneShot = header.suite() == AlgorithmSuite.ONE_SHOT;
    if (body.length < (oneShot ? 28 : 72) || (oneShot && body.length > 32796)) {
      throw new MalformedEnvelopeException(
          "body", header.lengthBytes(), "has length " + body.length);
    }
    byte[] dataKey = dataKey(header);
    byte[] messageKey = derive("message-key", dataKey, header.suite());
    byte[] aad = context.toCanonicalBytes();
    if (header.suite() == AlgorithmSuite.ONE_SHOT) {
      return gcm(
          Cipher.DECRYPT_MODE,
          messageKey,
          Arrays.copyOf(body, 12),
          aad,
          Arrays.copyOfRange(body, 12, body.length));
    }
    byte[] s = schedule(messageKey, Arrays.copyOf(body, 24), aad);
    if (!MessageDigest.isEqual(Arrays.copyOfRange(s, 44, 76), Arrays.copyOfRange(body, 24, 56))) {
      throw new DecryptionFailedException();
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    int at = 56;
    for (int i = 0; ; i++) {
      int length = Math.min(CHUNK + 16, body.length - at);
      if (length < 16) {
        throw new DecryptionFailedException();
      }
      out.writeBytes(
          gcm(
              Cipher.DECRYPT_MODE,
              Arrays.copyOf(s, 32),
              nonce(s, i),
              new byte[0],
              Arrays.copyOfRange(body, at, at + length)));
      at += length;
      if (length < CHUNK + 16) {
        return out.toByteArray();
      }
    }
  }

  private byte[] dataKey(EnvelopeHeader header) {
    if (!header.keyset().equals(keyset)) {
      throw unavailable(KeyUnavailableException.Reason.OTHER_KEYSET, header);
    }
    Key key = key(header.keyVersion());
    if (key == null) {
      throw unavailable(KeyUnavailableException.Reason.UNKNOWN_VERSION, header);
    }
    if (!key.state().equals("ENABLED") && !key.state().equals("PENDING")) {
      throw unavailable(KeyUnavailableException.Reason.valueOf(key.state()), header);
    }
    byte[] dataKey;
    try {
      Cipher cipher = Cipher.getInstance("AES/KWP/NoPadding");
      cipher.init(Cipher.UNWRAP_MODE, new SecretKeySpec(key.kek(), "AES"));
      int at = header.wrappedDataKeyPosition();
      dataKey =
          cipher
              .unwrap(Arrays.copyOfRange(header.encoded(), at, at + 40), "AES", Cipher.SECRET_KEY)
              .getEncoded();
    } catch (GeneralSecurityException e) {
      throw new DecryptionFailedException();
    }
    if (dataKey.length != 32
        || !MessageDigest.isEqual(
            derive("commitment", dataKey, header.suite()), header.commitment())) {
      throw new DecryptionFailedException();
    }
    return dataKey;
  }

  private KeyUnavailableException unavailable(
      KeyUnavailableException.Reason reason, EnvelopeHeader header) {
    return new KeyUnavailableException(reason, keyset, header.keyVersion(), "vector");
  }

  private @Nullable Key key(int version) {
    return keys.stream().filter(key -> key.version() == version).findFirst().orElse(null);
  }

  private byte[] derive(String label, byte[] dataKey, AlgorithmSuite suite) {
    byte[] name = keyset.value().getBytes(StandardCharsets.US_ASCII);
    byte[] prefix = Hkdf.label("sealwax/envelope/v1/" + label);
    byte[] info =
        ByteBuffer.allocate(prefix.length + 2 + name.length)
            .put(prefix)
            .put((byte) suite.id())
            .put((byte) name.length)
            .put(name)
            .array();
    return Hkdf.SHA256.expand(dataKey, info, 32);
  }

  private static byte[] schedule(byte[] messageKey, byte[] salt, byte[] aad) {
    byte[] prefix = Hkdf.label("c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM");
    byte[] info =
        ByteBuffer.allocate(prefix.length + salt.length + aad.length)
            .put(prefix)
            .put(salt)
            .put(aad)
            .array();
    return Hkdf.SHA512.expand(messageKey, info, 76);
  }

  private static byte[] nonce(byte[] schedule, int chunk) {
    ByteBuffer nonce = ByteBuffer.wrap(Arrays.copyOfRange(schedule, 32, 44));
    return nonce.putInt(8, nonce.getInt(8) ^ chunk).array();
  }

  private static byte[] gcm(int mode, byte[] key, byte[] nonce, byte[] aad, byte[] data) {
    try {
      Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
      cipher.init(mode, new SecretKeySpec(key, "AES"), new GCMParameterSpec(128, nonce));
      cipher.updateAAD(aad);
      return cipher.doFinal(data);
    } catch (GeneralSecurityException e) {
      throw new DecryptionFailedException();
    }
  }

  @Override
  public byte[] openText(EncryptionContext context, String text) {
    if (!text.startsWith("swx1.")) {
      throw new MalformedEnvelopeException("text prefix", 0, "is not swx1.");
    }
    String coded = text.substring(5);
    try {
      byte[] envelope = Base64.getUrlDecoder().decode(coded);
      if (!Base64.getUrlEncoder().withoutPadding().encodeToString(envelope).equals(coded)) {
        throw new IllegalArgumentException("not canonical");
      }
      return open(context, envelope);
    } catch (IllegalArgumentException e) {
      throw new MalformedEnvelopeException("text", 5, "is not canonical base64url");
    }
  }

  @Override
  public byte[] openSplit(EncryptionContext context, byte[] header, byte[] body) {
    EnvelopeHeader parsed = EnvelopeHeader.parse(header);
    if (parsed.lengthBytes() != header.length) {
      throw new MalformedEnvelopeException(
          "body", parsed.lengthBytes(), "starts in the header part");
    }
    return open(context, parsed, body);
  }

  @Override
  public InputStream openStream(EncryptionContext context, InputStream envelope) {
    try {
      return new ByteArrayInputStream(open(context, envelope.readAllBytes()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public long sizeOf(EncryptionContext context, byte[] envelope) {
    return open(context, envelope).length;
  }

  @Override
  public byte[] openRange(
      EncryptionContext context, byte[] envelope, long position, int lengthBytes) {
    return Arrays.copyOfRange(
        open(context, envelope), (int) position, (int) position + lengthBytes);
  }

  @Override
  public byte[] seal(EncryptionContext context, byte[] plaintext) {
    return plaintext.length > 32768
        ? sealStream(context, plaintext)
        : seal(AlgorithmSuite.ONE_SHOT, context, plaintext);
  }

  @Override
  public byte[] sealStream(EncryptionContext context, byte[] plaintext) {
    return seal(AlgorithmSuite.CHUNKED, context, plaintext);
  }

  private byte[] seal(AlgorithmSuite suite, EncryptionContext context, byte[] plaintext) {
    byte[] dataKey = bytes(32);
    Key primary = primary();
    byte[] commitment = derive("commitment", dataKey, suite);
    byte[] messageKey = derive("message-key", dataKey, suite);
    byte[] aad = context.toCanonicalBytes();
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(
        EnvelopeHeader.of(suite, keyset, primary.version(), wrap(primary, dataKey), commitment)
            .toBytes());
    if (suite == AlgorithmSuite.ONE_SHOT) {
      byte[] nonce = bytes(12);
      out.writeBytes(nonce);
      out.writeBytes(gcm(Cipher.ENCRYPT_MODE, messageKey, nonce, aad, plaintext));
    } else {
      byte[] salt = bytes(24);
      byte[] s = schedule(messageKey, salt, aad);
      out.writeBytes(salt);
      out.write(s, 44, 32);
      for (int at = 0; at <= plaintext.length; at += CHUNK) {
        byte[] chunk = Arrays.copyOfRange(plaintext, at, Math.min(at + CHUNK, plaintext.length));
        out.writeBytes(
            gcm(
                Cipher.ENCRYPT_MODE,
                Arrays.copyOf(s, 32),
                nonce(s, at / CHUNK),
                new byte[0],
                chunk));
      }
    }
    return out.toByteArray();
  }

  private Key primary() {
    return keys.stream()
        .filter(key -> key.state().equals("ENABLED"))
        .reduce((a, b) -> a.version() > b.version() ? a : b)
        .orElseThrow();
  }

  private static byte[] wrap(Key key, byte[] dataKey) {
    try {
      Cipher cipher = Cipher.getInstance("AES/KWP/NoPadding");
      cipher.init(Cipher.WRAP_MODE, new SecretKeySpec(key.kek(), "AES"));
      return cipher.wrap(new SecretKeySpec(dataKey, "AES"));
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  private static byte[] bytes(int length) {
    byte[] out = new byte[length];
    RANDOM.nextBytes(out);
    return out;
  }

  @Override
  public byte[] rewrap(byte[] envelope) {
    EnvelopeHeader header = EnvelopeHeader.parse(envelope);
    byte[] out = envelope.clone();
    Key primary = primary();
    header.withWrapping(primary.version(), wrap(primary, dataKey(header))).writeTo(out);
    return out;
  }

  @Override
  public long mostMessagesPerDataKey() {
    return 1L << 32;
  }

  @Override
  public void close() {}
}
