package dev.sealwax.kms.envelope;

import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import java.util.Random;
import java.util.TreeMap;
import javax.crypto.Cipher;
import javax.crypto.Mac;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import org.jspecify.annotations.Nullable;

/**
 * envelope-v1 once more, in the most direct way: plain JCE, one KEK, nothing shared with the
 * library but the class that carries the context. It opens what the library wrote and writes what
 * the library must open.
 */
final class ReferenceDecoder {
  private static final int CHUNK = 16384;

  private final String keyset;
  private final byte[] kek;

  ReferenceDecoder(String keyset, byte[] kek) {
    this.keyset = keyset;
    this.kek = kek.clone();
  }

  /**
   * Opens an intact envelope of its keyset.
   *
   * @throws DecryptionFailedException if anything about it is wrong
   */
  byte[] open(EncryptionContext context, byte[] envelope) {
    try {
      ByteBuffer in = ByteBuffer.wrap(envelope);
      byte[] name = keyset.getBytes(StandardCharsets.US_ASCII);
      int suite = envelope[4];
      byte[] expectedStart = cat("SWX".getBytes(StandardCharsets.US_ASCII), one(1), one(suite));
      require(expectedStart, take(in, 5));
      require(cat(one(name.length), name), take(in, 1 + name.length));
      in.getInt(); // the key version: this reader has one KEK
      byte[] dataKey = keyWrap(Cipher.UNWRAP_MODE, take(in, 40));
      require(derive("commitment", dataKey, suite), take(in, 32));
      byte[] messageKey = derive("message-key", dataKey, suite);
      byte[] aad = encode(context);
      if (suite == 1) {
        return gcm(Cipher.DECRYPT_MODE, messageKey, take(in, 12), aad, take(in, in.remaining()));
      }
      byte[] schedule = schedule(messageKey, take(in, 24), aad);
      require(Arrays.copyOfRange(schedule, 44, 76), take(in, 32));
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      for (long i = 0; ; i++) {
        byte[] sealed = take(in, Math.min(CHUNK + 16, in.remaining()));
        out.writeBytes(
            gcm(
                Cipher.DECRYPT_MODE,
                Arrays.copyOf(schedule, 32),
                nonce(schedule, i),
                null,
                sealed));
        if (sealed.length < CHUNK + 16) {
          return out.toByteArray();
        }
      }
    } catch (GeneralSecurityException e) {
      throw new DecryptionFailedException();
    }
  }

  /** Seals under a data key, a nonce and a salt drawn from {@code random}. */
  byte[] seal(int suite, int version, EncryptionContext context, byte[] plaintext, Random random) {
    try {
      byte[] dataKey = bytes(random, 32);
      byte[] name = keyset.getBytes(StandardCharsets.US_ASCII);
      byte[] messageKey = derive("message-key", dataKey, suite);
      byte[] aad = encode(context);
      byte[] header =
          cat(
              "SWX".getBytes(StandardCharsets.US_ASCII),
              one(1),
              one(suite),
              one(name.length),
              name,
              ByteBuffer.allocate(4).putInt(version).array(),
              keyWrap(Cipher.WRAP_MODE, dataKey),
              derive("commitment", dataKey, suite));
      if (suite == 1) {
        byte[] nonce = bytes(random, 12);
        return cat(header, nonce, gcm(Cipher.ENCRYPT_MODE, messageKey, nonce, aad, plaintext));
      }
      byte[] salt = bytes(random, 24);
      byte[] schedule = schedule(messageKey, salt, aad);
      byte[] out = cat(header, salt, Arrays.copyOfRange(schedule, 44, 76));
      for (int at = 0; at <= plaintext.length; at += CHUNK) {
        byte[] chunk = Arrays.copyOfRange(plaintext, at, Math.min(at + CHUNK, plaintext.length));
        byte[] nonce = nonce(schedule, at / CHUNK);
        out = cat(out, gcm(Cipher.ENCRYPT_MODE, Arrays.copyOf(schedule, 32), nonce, null, chunk));
      }
      return out;
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  private static byte[] encode(EncryptionContext context) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    putLength(out, context.asMap().size());
    new TreeMap<>(context.asMap())
        .forEach(
            (key, value) -> {
              for (String text : new String[] {key, value}) {
                byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
                putLength(out, utf8.length);
                out.writeBytes(utf8);
              }
            });
    return out.toByteArray();
  }

  private static void putLength(ByteArrayOutputStream out, int length) {
    out.write(length >>> 8);
    out.write(length);
  }

  private byte[] keyWrap(int mode, byte[] in) throws GeneralSecurityException {
    Cipher cipher = Cipher.getInstance("AES/KWP/NoPadding");
    cipher.init(mode, new SecretKeySpec(kek, "AES"));
    return mode == Cipher.WRAP_MODE
        ? cipher.wrap(new SecretKeySpec(in, "AES"))
        : cipher.unwrap(in, "AES", Cipher.SECRET_KEY).getEncoded();
  }

  private byte[] derive(String label, byte[] dataKey, int suite) throws GeneralSecurityException {
    return derive(keyset, label, dataKey, suite);
  }

  /** Message key or commitment, by their labels in envelope-v1 §6. */
  static byte[] derive(String keyset, String label, byte[] dataKey, int suite)
      throws GeneralSecurityException {
    byte[] name = keyset.getBytes(StandardCharsets.US_ASCII);
    byte[] start = ("sealwax/envelope/v1/" + label + "\0").getBytes(StandardCharsets.US_ASCII);
    return expand("HmacSHA256", dataKey, cat(start, one(suite), one(name.length), name), 32);
  }

  /** Key, base nonce and commitment of a chunked message, one after the other. */
  static byte[] schedule(byte[] messageKey, byte[] salt, byte[] aad)
      throws GeneralSecurityException {
    byte[] start =
        "c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0".getBytes(StandardCharsets.US_ASCII);
    return expand("HmacSHA512", messageKey, cat(start, salt, aad), 76);
  }

  /** HKDF-Expand, RFC 5869 §2.3. */
  private static byte[] expand(String mac, byte[] key, byte[] info, int length)
      throws GeneralSecurityException {
    Mac hmac = Mac.getInstance(mac);
    hmac.init(new SecretKeySpec(key, mac));
    byte[] out = new byte[0];
    byte[] block = new byte[0];
    for (int i = 1; out.length < length; i++) {
      block = hmac.doFinal(cat(block, info, one(i)));
      out = cat(out, block);
    }
    return Arrays.copyOf(out, length);
  }

  private static byte[] nonce(byte[] schedule, long chunk) {
    byte[] number =
        new BigInteger(1, Arrays.copyOfRange(schedule, 32, 44))
            .xor(BigInteger.valueOf(chunk))
            .toByteArray();
    byte[] nonce = new byte[12];
    int length = Math.min(12, number.length);
    System.arraycopy(number, number.length - length, nonce, 12 - length, length);
    return nonce;
  }

  static byte[] gcm(int mode, byte[] key, byte[] nonce, byte @Nullable [] aad, byte[] data)
      throws GeneralSecurityException {
    Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
    cipher.init(mode, new SecretKeySpec(key, "AES"), new GCMParameterSpec(128, nonce));
    if (aad != null) {
      cipher.updateAAD(aad);
    }
    return cipher.doFinal(data);
  }

  private static void require(byte[] expected, byte[] actual) {
    if (!Arrays.equals(expected, actual)) {
      throw new DecryptionFailedException();
    }
  }

  private static byte[] take(ByteBuffer in, int length) {
    byte[] out = new byte[length];
    in.get(out);
    return out;
  }

  private static byte[] one(int value) {
    return new byte[] {(byte) value};
  }

  private static byte[] bytes(Random random, int length) {
    byte[] out = new byte[length];
    random.nextBytes(out);
    return out;
  }

  /** One after the other. */
  static byte[] cat(byte[]... parts) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      out.writeBytes(part);
    }
    return out.toByteArray();
  }
}
